"""A sink that keeps events in a list, for tests and for looking at them."""

import msgspec

from eventbus.event import Event
from eventbus.kinds import KindFilter, Kinds
from eventbus.sink import Batch, Sink

__all__ = ["MemorySettings", "MemorySink"]


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept."""

    capacity: int | None = None
    """Events kept, the latest ones; None: all."""


class MemorySink(Sink):
    """Keeps events, in order; may be read from any thread while it is written."""

    Settings = MemorySettings

    def __init__(
        self, settings: MemorySettings | None = None, /, *, capacity: int | None = None
    ) -> None:
        self.capacity = capacity if settings is None else settings.capacity
        """Events kept, the latest ones; None: all."""
        self.events: list[Event] = []

    async def write(self, batch: Batch) -> None:
        """Keep the events; the oldest make room."""
        self.events += batch.events
        if self.capacity is not None and len(self.events) > self.capacity:
            del self.events[: len(self.events) - self.capacity]

    def of(self, kinds: Kinds) -> list[Event]:
        """The events of these kinds: `"order:*"`, a class, or several."""
        wanted = KindFilter(kinds)
        return [event for event in list(self.events) if wanted.takes(event)]

    def clear(self) -> None:
        """Forget what was kept."""
        self.events.clear()
