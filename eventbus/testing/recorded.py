"""What was emitted, kept for a test to look at."""

from collections.abc import Iterator
from contextlib import contextmanager

from eventbus.bus import EventBus
from eventbus.event import Event
from eventbus.kinds import KindFilter, Kinds
from eventbus.sink import Batch, Sink

__all__ = ["Recorded", "recorded"]


class _Collector(Sink):
    """Keeps every event, the bus's own bookkeeping too."""

    kinds = ("*", "bus:*")

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def write(self, batch: Batch) -> None:
        self.events += batch.events


class Recorded:
    """What was emitted since the block was entered."""

    def __init__(self, bus: EventBus, collector: _Collector) -> None:
        self.bus = bus
        self._collector = collector

    @property
    def events(self) -> list[Event]:
        """Every event emitted so far, in order, without the bus's bookkeeping."""
        return self.of("*")

    def of(self, kinds: Kinds) -> list[Event]:
        """Those of these kinds: `"order:*"`, a class, or several."""
        self.bus.flush_now(timeout=10)
        wanted = KindFilter(kinds)
        return [event for event in self._collector.events if wanted.takes(event)]


@contextmanager
def recorded() -> Iterator[Recorded]:
    """Collect what is emitted inside, in memory: on `.bus`, and by `log_event` and its siblings.

    `with recorded() as record: place_order(record.bus); assert record.of("order:*")`
    """
    collector = _Collector()
    with EventBus(None, sinks=[collector]) as bus:
        yield Recorded(bus, collector)
