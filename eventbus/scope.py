"""Who is acting: one frozen Struct in one context variable."""

from contextvars import ContextVar
from types import TracebackType
from typing import Self

import msgspec

__all__ = ["Scope", "because_of", "current_cause", "current_scope", "scope"]


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who is acting; None where it was not said."""

    session: str | None = None
    chat: str | None = None
    turn: int | None = None
    component: str | None = None
    agent: str | None = None
    user: str | None = None
    source: str | None = None


_current: ContextVar[Scope] = ContextVar("eventbus_scope", default=Scope())  # noqa: B039 - frozen
_cause: ContextVar[str | None] = ContextVar("eventbus_cause", default=None)

current_scope = _current.get
"""The scope in force here; a plain C call, because every event makes it."""

current_cause = _cause.get
"""The id of the event being handled here, or None."""


class scope:
    """Set who is acting for a block; what is not named is inherited.

    Tasks started inside inherit it, and so do threads started through
    asyncio or anyio. A bare `threading.Thread` inherits it from Python 3.14
    on; before that, start it with `contextvars.copy_context().run`.
    """

    __slots__ = ("_before", "_named")

    def __init__(
        self,
        *,
        session: str | None = None,
        chat: str | None = None,
        turn: int | None = None,
        component: str | None = None,
        agent: str | None = None,
        user: str | None = None,
        source: str | None = None,
    ) -> None:
        named = {
            "session": session,
            "chat": chat,
            "turn": turn,
            "component": component,
            "agent": agent,
            "user": user,
            "source": source,
        }
        self._named = {word: value for word, value in named.items() if value is not None}
        self._before: list[Scope] = []

    def __enter__(self) -> Scope:
        before = current_scope()
        self._before.append(before)
        now = msgspec.structs.replace(before, **self._named)
        _current.set(now)
        return now

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Set back rather than reset: a Token breaks when an async generator
        # is closed from another context.
        _current.set(self._before.pop())

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


class because_of:
    """Make an event the cause of those constructed inside."""

    __slots__ = ("_before", "_event_id")

    def __init__(self, event_id: str | None) -> None:
        self._event_id = event_id
        self._before: str | None = None

    def __enter__(self) -> Self:
        self._before = current_cause()
        _cause.set(self._event_id)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _cause.set(self._before)
