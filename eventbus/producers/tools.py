"""Tool calls around the agent's own code: `with tool(...)`, `async with tool(...)`, `@tool`."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from operator import index
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from msgspec import UNSET, UnsetType

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.event import Event, new_id
from eventbus.events.error import ToolErrored
from eventbus.events.traces import ToolFinished, ToolStarted
from eventbus.formats.as_text import as_text, stack_of, text_if_said
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.arguments import arguments_of
from eventbus.producers.around import called_in, is_function, name_of
from eventbus.producers.endings import Outcome, outcome_of
from eventbus.producers.inside import Ran, inside_of
from eventbus.producers.values import KEPT_BYTES, input_preview, kept
from eventbus.scope import Scope, current_cause, set_cause

__all__ = ["ToolCall", "tool"]

ERROR_MOST = 2_000
"""Characters kept of an error's message in its trace; the error's own event has it all."""

F = TypeVar("F", bound=Callable[..., Any])

_current: ContextVar["ToolCall | None"] = ContextVar("eventbus_tool", default=None)
"""The innermost call here. No Token: generators end out of turn, and in other contexts."""


@overload
def tool(name: F, /) -> F: ...


@overload
def tool(
    name: str | None = None,
    input: Any = None,
    *,
    message_id: str | None = None,
    cwd: str | os.PathLike[str] | None = None,
    keep_bytes: int = KEPT_BYTES,
    bus: Bus | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> "ToolCall": ...


def tool(
    name: Any = None,
    input: Any = None,
    *,
    message_id: str | None = None,
    cwd: str | os.PathLike[str] | None = None,
    keep_bytes: int = KEPT_BYTES,
    bus: Bus | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Any:
    """Record one tool call: a block, async or not, or a decorator.

    However it ends, the trace is finished. What is longer than `keep_bytes`
    as JSON is cut, of input and output each; its length and digest are kept.
    `cwd` is the directory it works in, by default the process's own: changes
    to files there are held to be its doing.
    """
    call = ToolCall(
        None if is_function(name) else text_if_said(name),
        input,
        message_id=message_id,
        cwd=cwd,
        keep_bytes=keep_bytes,
        bus=bus,
        clock=clock,
    )
    return call(name) if is_function(name) else call


class ToolCall:
    """One call of a tool: a block to be entered once, or a decorator of a function."""

    __slots__ = (
        "_before",
        "_began_at",
        "_bus",
        "_cache",
        "_clock",
        "_cwd",
        "_finish",
        "_input",
        "_is_over",
        "_keep_bytes",
        "_kept_input",
        "_message_id",
        "_outer",
        "_output",
        "_ran",
        "_reasoning",
        "_scope",
        "_used",
        "name",
        "trace",
    )

    def __init__(
        self,
        name: str | None,
        input: Any = None,
        *,
        message_id: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        keep_bytes: int = KEPT_BYTES,
        bus: Bus | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.trace: str | None = None
        """What its start and its finish share; None until it begins."""
        self._input = input
        self._message_id = text_if_said(message_id)
        self._cwd = cwd
        self._outer: ToolCall | None = None
        self._before: str | None = None
        self._keep_bytes = keep_bytes
        self._bus = bus
        self._clock = clock
        self._output: Any = None
        self._used: int | None = None
        self._cache: int | None = None
        self._reasoning: int | None = None
        self._finish: tuple[Event, ...] = ()
        self._began_at = 0.0
        self._is_over = False

    # --- what is told of it --------------------------------------------------------

    def tokens(
        self, *, used: int | None = None, cache: int | None = None, reasoning: int | None = None
    ) -> None:
        """Say what it used; said more than once, it adds up."""
        self._used = _sum(self._used, used)
        self._cache = _sum(self._cache, cache)
        self._reasoning = _sum(self._reasoning, reasoning)

    def output(self, value: Any) -> None:
        """Say what came out of it; the last word counts."""
        self._output = value

    # --- its block -----------------------------------------------------------------

    def __enter__(self) -> Self:
        if self.name is None:
            raise TypeError("a tool call needs a name: tool('read_file', {'path': path})")
        if self.trace is not None:
            raise RuntimeError(f"this call of {self.name!r} has begun already; make another")
        self.trace = new_id()
        started = self._started(self.name, self.trace)
        emit = emitter(self._bus)
        try:
            self._began_at = self._clock.monotonic()
            emit(started)
            self.resume()
        except BaseException as error:  # an interrupt; whether it was taken nobody knows
            emit(started)
            self._end(error)
            raise
        return self

    def _started(self, name: str, trace: str) -> ToolStarted:
        self._scope: Scope = scope_here(self._bus)
        self._ran: Ran | None = None
        inside = inside_of()
        if inside is not None:
            self._ran = Ran(name, input_preview(name, self._input))
            inside.begin(self._ran)
        self._kept_input = self._input
        if self._input is not None:
            self._kept_input = kept(self._input, most=self._keep_bytes)
        return ToolStarted(
            id=trace,
            ts=self._clock.now(),
            scope=self._scope,
            trace=trace,
            name=name,
            input=self._kept_input,
            message_id=self._message_id,
            cwd=_directory(self._cwd),
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._end(error)
        except BaseException:  # an interrupt; what is told twice has one id
            self._end(error)
            raise

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def pause(self) -> None:
        """Leave it for whoever takes what a generator has made."""
        if _current.get() is not self:  # a generator is closed from elsewhere, or out of turn
            return
        outer, cause = self._outer, self._before
        while outer is not None and outer._is_over and outer.trace == cause:
            cause = outer._before
            outer = outer._outer
        _current.set(outer)
        set_cause(cause)

    def resume(self) -> None:
        """Go on inside it."""
        self._outer, self._before = _current.get(), current_cause()
        _current.set(self)
        set_cause(self.trace)

    # --- its end -------------------------------------------------------------------

    def _end(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._finish = self._finish or self._ending(error)
        emit = emitter(self._bus)
        for event in self._finish:
            emit(event)
        self._is_over = True
        self.pause()
        self._input = self._output = None

    def _ending(self, error: BaseException | None) -> tuple[Event, ...]:
        """The finish, with the error before it where it failed."""
        outcome = outcome_of(error)
        latency_ms = round((self._clock.monotonic() - self._began_at) * 1000, 3)
        if self._ran is not None:
            self._ran.done(outcome, latency_ms)
        if error is None or outcome != "error":
            return (self._finished(outcome, error, latency_ms),)
        inside = inside_of()
        if inside is not None:
            inside.failed(error, str(self.name))
        return (self._errored(error), self._finished(outcome, error, latency_ms))

    def _finished(
        self, outcome: Outcome, error: BaseException | None, latency_ms: float
    ) -> ToolFinished:
        output = self._output
        return ToolFinished(
            ts=self._clock.now(),
            scope=self._scope,
            cause=self.trace,
            trace=str(self.trace),
            name=self.name,
            outcome=outcome,
            output=None if output is None else kept(output, most=self._keep_bytes),
            error=None if error is None else _line_of(error),
            latency_ms=latency_ms,
            tokens_used=self._used,
            cache_tokens=self._cache,
            reasoning_tokens=self._reasoning,
        )

    def _errored(self, error: BaseException) -> ToolErrored:
        return ToolErrored(
            ts=self._clock.now(),
            scope=self._scope,
            cause=self.trace,
            type=as_text(type(error).__name__),
            message=as_text(error),
            stack=stack_of(error),
            tool=self.name,
            args=self._kept_input,
        )

    # --- as a decorator --------------------------------------------------------------

    def __call__(self, function: F) -> F:
        """The function, each call of it recorded: arguments in, what it returns out."""
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        name, arguments = self.name or name_of(function), arguments_of(function)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> "ToolCall":
            return ToolCall(
                name,
                arguments(args, kwargs),
                message_id=self._message_id,
                cwd=self._cwd,
                keep_bytes=self._keep_bytes,
                bus=self._bus,
                clock=self._clock,
            )

        decorated: F = called_in(function, begin)
        return decorated


def _directory(said: str | os.PathLike[str] | None) -> str | UnsetType:
    """The directory a call works in; one that is gone, or no path, is not said."""
    try:
        here = os.getcwd()
        return here if said is None else os.path.join(here, os.fsdecode(said))
    except (OSError, TypeError, ValueError):
        return UNSET


def _sum(before: int | None, more: int | None) -> int | None:
    return before if more is None else (before or 0) + index(more)


def _line_of(error: BaseException) -> str:
    """An error as `TypeName: text`."""
    name, text = as_text(type(error).__name__), as_text(error)[:ERROR_MOST]
    return f"{name}: {text}" if text else name
