"""Sinks that are slow, moody, picky, stuck or dead, and one that only keeps."""

import asyncio
import random
import threading
from collections.abc import Callable

from eventbus import Batch, Event, Sink
from eventbus.sink import Home, Refused

__all__ = [
    "DeadSink",
    "KeepingSink",
    "MoodySink",
    "PickySink",
    "SlowSink",
    "StuckSink",
]


class KeepingSink(Sink):
    """Keeps what it was given, the bus's own records too, and how it was treated."""

    kinds = ("*",)

    def __init__(self, *, batch_most: int = 1_024) -> None:
        self.batch_most = batch_most
        self.events: list[Event] = []
        self.is_open = False
        self.is_closed = threading.Event()
        self.misuse: set[str] = set()
        """What the lane did that no sink may expect."""
        self._is_busy = False

    async def open(self, home: Home) -> None:
        self._blame(self.is_open, "opened twice")
        self.is_open = True

    async def write(self, batch: Batch) -> None:
        self._blame(self._is_busy, "two writes at once")
        self._blame(not self.is_open or self.is_closed.is_set(), "written while it was closed")
        self._blame(not 0 < len(batch) <= self.batch_most, f"{len(batch)} events at once")
        self._is_busy = True
        try:
            await self.take(batch)
        finally:
            self._is_busy = False

    async def take(self, batch: Batch) -> None:
        """Keep a batch; what a subclass makes difficult."""
        same = len(batch) == len(batch.lines) == len(batch.events)
        self._blame(not same, "lines and events differ")
        self.events += batch.events

    async def close(self) -> None:
        self._blame(self._is_busy, "closed while it wrote")
        self.is_closed.set()

    def _blame(self, is_so: bool, what: str) -> None:
        if is_so:
            self.misuse.add(what)


class SlowSink(KeepingSink):
    """Takes its time over each batch."""

    def __init__(self, seconds: float, *, batch_most: int = 1_024) -> None:
        super().__init__(batch_most=batch_most)
        self.seconds = seconds

    async def take(self, batch: Batch) -> None:
        await asyncio.sleep(self.seconds)
        await super().take(batch)


class MoodySink(KeepingSink):
    """Breaks down now and then, for no reason of the batch's."""

    def __init__(self, rng: random.Random, *, chance: float = 0.3) -> None:
        super().__init__(batch_most=64)
        self._rng = rng
        self._chance = chance

    async def take(self, batch: Batch) -> None:
        if self._rng.random() < self._chance:
            raise ConnectionError("not now")
        await super().take(batch)


class PickySink(KeepingSink):
    """Never takes events of a certain make, nor a batch one of them is in."""

    def __init__(
        self, refuses: Callable[[Event], bool], *, error: type[Exception] = Refused
    ) -> None:
        super().__init__(batch_most=100)
        self._refuses = refuses
        self._error = error

    async def take(self, batch: Batch) -> None:
        if any(map(self._refuses, batch.events)):
            raise self._error("not this one")
        await super().take(batch)


class StuckSink(KeepingSink):
    """Does not come back from a write until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self._go = False

    def let_go(self) -> None:
        self._go = True

    async def take(self, batch: Batch) -> None:
        while not self._go:
            await asyncio.sleep(0.01)
        await super().take(batch)


class DeadSink(Sink):
    """Fails in everything it is asked to do."""

    async def open(self, home: Home) -> None:
        raise RuntimeError("cannot open")

    async def write(self, batch: Batch) -> None:
        raise RuntimeError("cannot write")

    async def sync(self) -> None:
        raise RuntimeError("cannot sync")

    async def close(self) -> None:
        raise RuntimeError("cannot close")
