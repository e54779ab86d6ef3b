"""Where code that was given no bus emits: the process's open bus, else a recorder in reserve."""

import time
from collections.abc import Callable
from typing import Protocol

from eventbus.bus import EventBus, open_buses
from eventbus.event import Event
from eventbus.events.llm import ModelAnswered
from eventbus.scope import current_witness

__all__ = ["Reserve", "bus_in_use", "emit", "open_bus", "reserve", "wait_until_written"]


class Reserve(Protocol):
    """The recorder that starts by itself with the first event it is given."""

    bus: EventBus | None

    def emit(self, event: Event) -> None: ...


class _Outlet:
    """How to get at the reserve, which is imported when it is first needed."""

    find: Callable[[], Reserve] | None = None
    held: Reserve | None = None


def reserve(find: Callable[[], Reserve]) -> None:
    """Say where the recorder in reserve is found; the package itself does."""
    _Outlet.find, _Outlet.held = find, None


def _reserve() -> Reserve | None:
    if _Outlet.held is None and _Outlet.find is not None:
        _Outlet.held = _Outlet.find()
    return _Outlet.held


def emit(event: Event) -> None:
    """Hand an event to the bus in use; from any thread, and it never raises for our trouble."""
    held = _Outlet.held or _reserve()
    bus = open_bus(besides=held.bus if held is not None else None)
    if bus is not None:
        bus.emit_nowait(event)
    elif held is not None:
        witness = current_witness()
        if witness is not None and isinstance(event, ModelAnswered):
            witness(event)  # here, as the reserve may hand it on in a thread of its own
        held.emit(event)


def open_bus(*, besides: EventBus | None = None) -> EventBus | None:
    """The bus somebody has opened, one that keeps files before others."""
    in_memory = None
    for bus in open_buses():
        if bus is not besides:
            if bus.state is not None:
                return bus
            in_memory = in_memory or bus
    return in_memory


def bus_in_use() -> EventBus | None:
    """The bus that `emit` would hand an event to, if it is there yet."""
    held = _reserve()
    own = held.bus if held is not None else None
    return open_bus(besides=own) or own


WRITTEN_SECONDS = 2.0
"""How long a reader waits for what was logged before it to be written."""


def wait_until_written(bus: EventBus | None) -> None:
    """Wait, not for long, until the journal has what this process logged.

    Lanes are not waited for: one may be served elsewhere, or be a handler in
    the very loop that is blocked here.
    """
    if bus is None or not bus.is_open:
        return
    accepted = bus.statistics().accepted
    until = time.monotonic() + WRITTEN_SECONDS
    while time.monotonic() < until:
        now = bus.statistics()
        if now.accepted - now.waiting >= accepted:
            return
        time.sleep(0.001)
