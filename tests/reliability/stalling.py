"""A process whose sink or disk stalls, which says how much memory and time that took.

`python -m tests.reliability.stalling STATE ORDER` prints a `Measured` as JSON.
"""

import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from eventbus import Batch, EventBus, Sink, read_journal
from tests.reliability.disks import HungDisk
from tests.reliability.numbered import Numbered

__all__ = ["MIB", "Measured", "StallOrder", "Trouble"]

MIB = 1024 * 1024
PATIENCE = 120.0

Trouble = Literal["none", "hangs", "raises", "dawdles"]


class StallOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to do."""

    what: Literal["memory", "rates", "inbox"]
    trouble: Trouble = "none"
    count: int
    """Events; a round, where there are rounds."""
    event_bytes: int = 200
    rounds: int = 1
    warm_up: int = 0
    """Events written before the disk hangs."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """How it went."""

    grown_bytes: int = 0
    """How far the process grew beyond what it had before the first event."""
    delivered: int = 0
    """Events the other sink had while the stalled one stood."""
    caught_up: int = 0
    """Events the stalled one had once it went on; -1 when they were not in order."""
    dropped: int = 0
    written: int = 0
    ratios: list[float] = []
    """The other sink's rate beside a stalled one, by its rate alone; one a round."""


class Counting(Sink):
    """Takes all, and keeps the last number."""

    def __init__(self) -> None:
        self.count = 0
        self.in_order = True

    async def write(self, batch: Batch) -> None:
        for event in batch.events:
            if isinstance(event, Numbered):
                self.in_order &= event.number == max(self.count, 0)
                self.count += 1


class Stalling(Counting):
    """Takes nothing until it is let go."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble = trouble

    async def write(self, batch: Batch) -> None:
        if self.trouble == "raises":
            raise ConnectionError("nobody is there")
        while self.trouble == "hangs":
            await asyncio.sleep(0.02)
        if self.trouble == "dawdles":
            await asyncio.sleep(0.2)
        await super().write(batch)


def _peak() -> int:
    """Bytes this process had at most; Linux counts them in KiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _events(count: int, size: int) -> Iterator[Numbered]:
    for number in range(count):
        yield Numbered(run=0, producer=0, number=number, pad="x" * size)


def _wait_for(sink: Counting, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while sink.count < count and time.monotonic() < until:
        time.sleep(0.001)


def _emit(bus: EventBus, count: int, size: int) -> None:
    """Emit with an app's restraint: as fast as they are taken, none dropped."""

    async def main() -> None:
        for event in _events(count, size):
            await bus.emit(event)

    asyncio.run(main())


def measure_memory(state: Path, order: StallOrder) -> Measured:
    """Let one sink stall while another goes on, then let it go on too."""
    other, stalling = Counting(), Stalling(order.trouble)
    sinks = [other] if order.trouble == "none" else [other, stalling]
    with EventBus(state, sinks=sinks, grace=PATIENCE) as bus:
        _emit(bus, 1, order.event_bytes)
        _wait_for(other, 1)
        before = _peak()
        other.count = 0
        _emit(bus, order.count, order.event_bytes)
        _wait_for(other, order.count)
        delivered, grown = other.count, _peak() - before
        if order.trouble != "none":
            stalling.count = -1  # the event before the first is still to come
            stalling.trouble = "none"
            _wait_for(stalling, order.count)
        grown = max(grown, _peak() - before)
    is_right = stalling.in_order and other.in_order
    caught_up = (stalling.count if is_right else -1) if order.trouble != "none" else 0
    return Measured(grown_bytes=grown, delivered=delivered, caught_up=caught_up)


def measure_rates(state: Path, order: StallOrder) -> Measured:
    """The other sink's rate with and without a stalled one, round about."""
    ratios = []
    for number in range(order.rounds):
        alone = _seconds(state / f"{number}-alone", order, "none")
        beside = _seconds(state / f"{number}-beside", order, order.trouble)
        again = _seconds(state / f"{number}-again", order, "none")
        ratios.append(statistics.mean((alone, again)) / beside)
    return Measured(ratios=ratios)


def _seconds(state: Path, order: StallOrder, trouble: Trouble) -> float:
    other, stalling = Counting(), Stalling(trouble)
    with EventBus(state, sinks=[other], grace=0) as bus:
        if trouble != "none":
            bus.attach(stalling)
        _emit(bus, 100, order.event_bytes)
        _wait_for(other, 100)
        other.count = 0
        begun = time.perf_counter()
        _emit(bus, order.count, order.event_bytes)
        _wait_for(other, order.count)
        return time.perf_counter() - begun


def measure_inbox(state: Path, order: StallOrder) -> Measured:
    """Emit large events on and on, without waiting, while the disk hangs."""
    disk = HungDisk()
    with EventBus(state, serve="never", disk=disk, grace=PATIENCE) as bus:
        for event in _events(order.warm_up, order.event_bytes):
            bus.emit_nowait(event)
            bus.flush_now(timeout=PATIENCE)
        before = _peak()
        disk.hang()
        for event in _events(order.count, order.event_bytes):
            bus.emit_nowait(event)
        grown = _peak() - before
        disk.go()
    dropped = sum(bus.statistics().dropped.values())
    written = sum(1 for _ in read_journal(state, kinds=Numbered)) - order.warm_up
    return Measured(grown_bytes=grown, dropped=dropped, written=written)


def main() -> None:
    state, order = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=StallOrder)
    measures = {"memory": measure_memory, "rates": measure_rates, "inbox": measure_inbox}
    print(msgspec.json.encode(measures[order.what](state, order)).decode())


if __name__ == "__main__":
    main()
