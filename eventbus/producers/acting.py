"""Where a producer emits, and in whose name: the process's own session where no scope says."""

import atexit
import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from eventbus import outlet
from eventbus.event import Event, new_id
from eventbus.events.session import SessionCreated, SessionEnded
from eventbus.scope import Scope, current_scope

__all__ = ["Bus", "Emit", "be_session", "emitter", "process_session", "scope_here", "scope_so_far"]


class Bus(Protocol):
    """What a producer asks of a bus it is given."""

    def emit_nowait(self, event: Event) -> object: ...


Emit = Callable[[Event], object]


def emitter(bus: Bus | None) -> Emit:
    """Emits on that bus, or where code that was given none does."""
    return outlet.emit if bus is None else bus.emit_nowait


# --- in whose name -----------------------------------------------------------------

_own: dict[str, str] = {}
"""The session of this process: `given` by `set_session`, or `opened` by the first who asks."""
_filled: tuple[Scope, str, Scope] | None = None
"""The scope that was filled last, by which session, and as what."""


def process_session(*, bus: Bus | None = None) -> str:
    """The session of whatever says none itself; opened by the first who asks for it."""
    return _own.get("given") or _own.get("opened") or _open_session(emitter(bus))


def _open_session(emit: Emit) -> str:
    mine = new_id()
    session = _own.setdefault("opened", mine)  # one C call: of two threads, one opens it
    if session is mine:
        atexit.register(_end_session, os.getpid())
        emit(SessionCreated(session_id=mine, reason="process", scope=Scope(session=mine)))
    return session


def _end_session(opened_by: int) -> None:
    """At exit, where somebody still records."""
    bus, session = outlet.bus_in_use(), _own.get("opened")
    if bus is not None and bus.is_open and session is not None and opened_by == os.getpid():
        scope = Scope(session=session)
        bus.emit_nowait(SessionEnded(session_id=session, reason="exit", scope=scope))


def be_session(session_id: str) -> None:
    """Make it the session of this process from now on; it is not recorded as begun."""
    _own["given"] = session_id


def scope_here(bus: Bus | None = None) -> Scope:
    """The scope in force, with session, chat and turn filled in where it has none."""
    global _filled
    here = current_scope()
    if here.session is not None and here.chat is not None and here.turn is not None:
        return here
    session = here.session or process_session(bus=bus)
    known = _filled
    if known is not None and known[0] is here and known[1] == session:
        return known[2]
    filled = msgspec.structs.replace(
        here, session=session, chat=here.chat or session, turn=here.turn or 0
    )
    _filled = (here, session, filled)
    return filled


def scope_so_far() -> Scope:
    """The scope in force, in the process's session if one was opened; none is for this."""
    here = current_scope()
    session = here.session or _own.get("given") or _own.get("opened")
    if session == here.session:
        return here
    return msgspec.structs.replace(here, session=session)


if hasattr(os, "register_at_fork"):
    # A forked child is a process of its own; a session it was given, it keeps.
    os.register_at_fork(after_in_child=lambda: _own.pop("opened", None))
