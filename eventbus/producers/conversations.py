"""Conversations and their turns around the agent's own code."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from operator import index
from types import TracebackType
from typing import Any, Self

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.event import new_id
from eventbus.events.conversation import ConversationEnded, ConversationStarted, TurnTaken
from eventbus.formats.as_text import text_if_said
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.sessions import save_snapshot
from eventbus.scope import current_scope, scope

__all__ = ["conversation", "turn"]

CHATS_MOST = 10_000
"""Chats whose last turn is remembered; past them the one that began first is forgotten."""

Snapshot = Callable[[], Any]
"""Gives the state to save at the end of a turn; may be async where the turn is."""

_numbers: dict[str, int] = {}
"""The last turn of each chat in this process."""
_conversation: ContextVar["conversation | None"] = ContextVar("conversation", default=None)


class conversation:
    """Record one conversation: that it began, and with how many turns it ended."""

    def __init__(
        self, chat: str | None = None, *, bus: Bus | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.chat = text_if_said(chat) or current_scope().chat or new_id()
        self.turns = 0
        """Those taken so far."""
        self._bus = bus
        self._clock = clock
        self._acting = scope(chat=self.chat)
        self._before: conversation | None = None

    def __enter__(self) -> Self:
        self._acting.__enter__()
        self._before = _conversation.get()
        _conversation.set(self)
        self._began_at = self._clock.monotonic()
        started = ConversationStarted(ts=self._clock.now(), scope=scope_here(self._bus))
        emitter(self._bus)(started)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ended = ConversationEnded(
            ts=self._clock.now(),
            scope=scope_here(self._bus),
            turns=self.turns,
            duration_ms=round((self._clock.monotonic() - self._began_at) * 1000, 3),
        )
        emitter(self._bus)(ended)
        if _conversation.get() is self:  # else a generator is closed from elsewhere
            _conversation.set(self._before)
        self._acting.__exit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


class turn:
    """Record one exchange; what is emitted inside bears its number.

    With no number it is the one after the chat's last. `snapshot` is called
    at the end of a turn that went well, and what it returns is saved; what it
    raises, and a state that is refused, goes on to the caller.
    """

    def __init__(
        self,
        number: int | None = None,
        *,
        chat: str | None = None,
        snapshot: Snapshot | None = None,
        bus: Bus | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.number = 0
        """Its number, once it has begun."""
        self.chat = ""
        """Its chat, once it has begun."""
        self._number = None if number is None else index(number)
        self._chat = text_if_said(chat)
        self._snapshot = snapshot
        self._bus = bus
        self._clock = clock

    def __enter__(self) -> Self:
        here = scope_here(self._bus)
        self.chat = self._chat or str(here.chat)
        self.number = self._number if self._number is not None else _numbers.get(self.chat, 0) + 1
        _remember(self.chat, self.number)
        self._acting = scope(session=here.session, chat=self.chat, turn=self.number)
        self._acting.__enter__()
        self._began_at = self._clock.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            state = self._end(error)
            if isinstance(state, Awaitable):
                _discard(state)
                raise TypeError(f"{self._snapshot!r} is async; write `async with turn(...)` for it")
            self._save(error, state)
        finally:
            self._acting.__exit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            state = self._end(error)
            self._save(error, await state if isinstance(state, Awaitable) else state)
        finally:
            self._acting.__exit__(None, None, None)

    def _end(self, error: BaseException | None) -> Any:
        """Record that it was taken; what the hook gives, where the turn went well."""
        within = _conversation.get()
        if within is not None and within.chat == self.chat:
            within.turns += 1
        taken = TurnTaken(
            ts=self._clock.now(),
            scope=scope_here(self._bus),
            turns=self.number,
            duration_ms=round((self._clock.monotonic() - self._began_at) * 1000, 3),
        )
        emitter(self._bus)(taken)
        return None if error is not None or self._snapshot is None else self._snapshot()

    def _save(self, error: BaseException | None, state: Any) -> None:
        if self._snapshot is not None and error is None:
            save_snapshot(self.chat, self.number, state, bus=self._bus)


def _remember(chat: str, number: int) -> None:
    _numbers[chat] = number
    while len(_numbers) > CHATS_MOST:
        _numbers.pop(next(iter(_numbers)), None)


def _discard(state: Any) -> None:
    """A coroutine that nobody will await is closed, so that nothing warns of it later."""
    close = getattr(state, "close", None)
    if close is not None:
        close()
