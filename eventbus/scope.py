"""Who is acting: one frozen Struct in one context variable."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import msgspec

__all__ = [
    "Scope",
    "because_of",
    "current_cause",
    "current_scope",
    "current_witness",
    "scope",
    "set_cause",
    "witnessed_by",
]


P = ParamSpec("P")
R = TypeVar("R")


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
_witness: ContextVar[Callable[[Any], None] | None] = ContextVar("eventbus_witness", default=None)

serving: ContextVar[Callable[[Any], None] | None] = ContextVar("eventbus_serving", default=None)
"""The `emit_nowait` of the bus whose lane runs this code; it must not wait for that bus."""

current_scope = _current.get
"""The scope in force here; a plain C call, because every event makes it."""

current_cause = _cause.get
"""The id of the event being handled here, or None."""

set_cause = _cause.set
"""For who brings it back in ways of its own; `because_of` does it for a block."""

current_witness = _witness.get
"""What is told of each model call as it is emitted here, or None."""


class scope:
    """Set who is acting for a block; what is not named is inherited.

    Tasks started inside inherit it, and so do threads started through
    asyncio or anyio. A bare `threading.Thread`, and an executor's, begin with
    none; give them `scope.carry(function)`.
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
        self._before: dict[int, tuple[Scope, Scope]] = {}
        """By the identity of the scope an entry made: that scope, and the one before it."""

    def __enter__(self) -> Scope:
        before = current_scope()
        now = msgspec.structs.replace(before, **self._named)
        self._before[id(now)] = (now, before)
        _current.set(now)
        return now

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # No Token: one breaks when an async generator is closed from another
        # context. The scope in force says which entry this is the end of; one
        # that such a generator left behind says nothing, and the last entry ends.
        entered = self._before.pop(id(current_scope()), None) or self._before.popitem()[1]
        _current.set(entered[1])

    @staticmethod
    def carry(function: Callable[P, R]) -> Callable[P, R]:
        """The function, to be run elsewhere in the scope that is in force here."""
        here, cause, witness = current_scope(), current_cause(), current_witness()

        @wraps(function)
        def carried(*args: P.args, **kwargs: P.kwargs) -> R:
            before = current_scope()
            _current.set(here)
            try:
                with because_of(cause), witnessed_by(witness):
                    return function(*args, **kwargs)
            finally:
                _current.set(before)

        return carried

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


class witnessed_by:
    """Tell a function of each model call that is emitted inside, in whichever task.

    It may be told of one more than once, and tells them apart by their ids.
    """

    __slots__ = ("_before", "_witness")

    def __init__(self, witness: Callable[[Any], None] | None) -> None:
        self._witness = witness
        self._before: Callable[[Any], None] | None = None

    def __enter__(self) -> Self:
        self._before = current_witness()
        _witness.set(self._witness)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if current_witness() is self._witness:  # else a generator is closed from elsewhere
            _witness.set(self._before)
