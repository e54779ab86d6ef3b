"""Kernel turns around the agent's own code: `async with dispatch(...)`, one line each."""

from operator import index
from types import TracebackType
from typing import Protocol, Self

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.events.dispatch import DispatchError, DispatchFinished
from eventbus.formats.as_text import as_text, middle_cut, stack_of, text_if_said
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.inside import Inside, dollars
from eventbus.scope import Scope, scope, witnessed_by

__all__ = ["Admission", "Limits", "dispatch"]

MESSAGE_MOST = 2_000
"""Characters kept of an error's message."""
STACK_MOST = 16_000
"""Characters kept of its traceback, half from each end."""


class Admission(Protocol):
    """A dispatch that was let begin."""

    def release(self) -> object:
        """Be told that it is over; what it spent is recorded by then."""
        ...


class Limits(Protocol):
    """What is asked before a dispatch begins; `SpendingLimits` is one."""

    def admit(self, user: str | None, /) -> Admission:
        """Let one of a user begin, by default the scope's; else raise `CostLimitReached`."""
        ...


class dispatch:
    """Record one dispatch: tools, model calls, tokens, cost and how it ended.

    What is emitted inside is in the name of the sender, the conversation and
    the agent given here. Where model calls are recorded inside, in whichever
    task, tokens and cost are theirs; `tokens` and `cost` are for those without.
    """

    def __init__(
        self,
        *,
        sender_id: str | None = None,
        conversation_id: str | None = None,
        model: str | None = None,
        agent_name: str | None = None,
        batch_id: str | None = None,
        limits: Limits | None = None,
        bus: Bus | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.model = text_if_said(model)
        """None: that of the first model call inside."""
        self._sender_id = text_if_said(sender_id)
        self._conversation_id = text_if_said(conversation_id)
        self._agent_name = text_if_said(agent_name)
        self._batch_id = text_if_said(batch_id)
        self._limits = limits
        self._bus = bus
        self._clock = clock
        self._said = _Said()
        self._admission: Admission | None = None
        self._inside: Inside | None = None

    # --- what is told of it --------------------------------------------------------

    def tokens(self, *, in_: int | None = None, out: int | None = None) -> None:
        """Say what it used; said more than once, it adds up."""
        if in_ is not None:
            self._said.tokens_in = (self._said.tokens_in or 0) + index(in_)
        if out is not None:
            self._said.tokens_out = (self._said.tokens_out or 0) + index(out)

    def cost(self, dollars: float | None) -> None:
        """Say what it cost; said more than once, it adds up. None: a part has no price."""
        self._said.costs.append(None if dollars is None else float(dollars))

    # --- its block -----------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._inside is not None:
            raise RuntimeError("this dispatch has begun already; make another")
        if self._limits is not None:
            self._admission = self._limits.admit(self._sender_id)
        self._inside = Inside()
        self._acting = scope(
            user=self._sender_id, chat=self._conversation_id, agent=self._agent_name
        )
        self._acting.__enter__()
        self._scope: Scope = scope_here(self._bus)
        self._witness = witnessed_by(self._inside)
        self._witness.__enter__()
        self._began_at = self._clock.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._inside is None or self._inside.is_over:
            return
        try:
            emitter(self._bus)(self._finished(self._inside, error))
        finally:
            self._inside.end()
            self._witness.__exit__(None, None, None)
            self._acting.__exit__(None, None, None)
            if self._admission is not None:
                self._admission.release()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    # --- its end -------------------------------------------------------------------

    def _finished(self, inside: Inside, error: BaseException | None) -> DispatchFinished:
        answers = inside.answers
        figures = inside if answers else self._said
        return DispatchFinished(
            ts=self._clock.now(),
            scope=self._scope,
            sender_id=self._sender_id,
            conversation_id=self._conversation_id,
            model=self.model or (answers[0].model if answers else None),
            agent_name=self._agent_name,
            tokens_in=figures.tokens_in,
            tokens_out=figures.tokens_out,
            cost=figures.cost,
            duration_ms=round((self._clock.monotonic() - self._began_at) * 1000, 3),
            tools=inside.tools,
            status="success" if error is None else "error",
            error=None if error is None else self._failure(inside, error),
            batch=self._batch_id is not None,
            batch_id=self._batch_id,
            model_calls=len(answers),
        )

    def _failure(self, inside: Inside, error: BaseException) -> DispatchError:
        stack = stack_of(error)
        return DispatchError(
            name=as_text(type(error).__name__),
            message=as_text(error)[:MESSAGE_MOST],
            stack=stack and middle_cut(stack, STACK_MOST),
            tool=inside.failed_in(error),
            turn=self._scope.turn,
        )


class _Said(msgspec.Struct):
    """The figures of a dispatch inside which no model call is recorded."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    costs: list[float | None] = []

    @property
    def cost(self) -> float | None:
        return dollars(self.costs)
