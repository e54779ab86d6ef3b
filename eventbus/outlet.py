"""Where code that was given no bus emits: the process's open bus, else a recorder in reserve."""

from collections.abc import Callable
from typing import Protocol

from eventbus.bus import EventBus, open_buses
from eventbus.event import Event

__all__ = ["Reserve", "bus_in_use", "emit", "open_bus", "reserve"]


class Reserve(Protocol):
    """The recorder that starts by itself with the first event it is given."""

    bus: EventBus | None

    def emit(self, event: Event) -> None: ...


class _Outlet:
    """How to get at the reserve, which is imported when it is first needed."""

    find: Callable[[], Reserve] | None = None


def reserve(find: Callable[[], Reserve]) -> None:
    """Say where the recorder in reserve is found; the package itself does."""
    _Outlet.find = find


def emit(event: Event) -> None:
    """Hand an event to the bus in use; from any thread, and it never raises for our trouble."""
    held = _Outlet.find() if _Outlet.find is not None else None
    bus = open_bus(besides=held.bus if held is not None else None)
    if bus is not None:
        bus.emit_nowait(event)
    elif held is not None:
        held.emit(event)


def open_bus(*, besides: EventBus | None = None) -> EventBus | None:
    """The bus somebody has opened, one that keeps files before others."""
    others = [bus for bus in open_buses() if bus is not besides]
    return next((bus for bus in others if bus.state is not None), next(iter(others), None))


def bus_in_use() -> EventBus | None:
    """The bus that `emit` would hand an event to, if it is there yet."""
    held = _Outlet.find() if _Outlet.find is not None else None
    return open_bus(besides=held.bus if held is not None else None) or (
        held.bus if held is not None else None
    )
