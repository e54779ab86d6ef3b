"""Events, sinks and waits that the tests of the core share."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eventbus import Batch, Event, Sink
from sinks.memory import MemorySink

__all__ = [
    "PATIENCE",
    "Gate",
    "GatedSink",
    "LetterBundled",
    "LetterNested",
    "LetterSent",
    "PickySink",
    "eventually",
    "letters",
    "numbers",
    "segment_paths",
]

PATIENCE = 10.0
"""Seconds after which something that was promised counts as not kept, on a busy machine."""


class LetterSent(Event, tag="letter:send", frozen=True):
    """Nothing in it can change."""

    n: int
    text: str = ""


class LetterBundled(Event, tag="letter:bundle", frozen=True):
    """Has a flat container, which is copied at emit."""

    marks: dict[str, str] = {}
    names: list[str] | None = None


class LetterNested(Event, tag="letter:nest", frozen=True):
    """Has a deep container, which is encoded at emit."""

    tree: dict[str, Any] = {}


def letters(count: int, *, start: int = 0) -> list[LetterSent]:
    """That many, numbered from `start`."""
    return [LetterSent(n=number) for number in range(start, start + count)]


def numbers(events: "list[Event] | MemorySink") -> list[int]:
    """The numbers of the letters among them, in order."""
    found = events.events if isinstance(events, MemorySink) else events
    return [event.n for event in list(found) if isinstance(event, LetterSent)]


def segment_paths(state: Path) -> list[Path]:
    """The journal's segments, oldest first."""
    return sorted((state / "journal").glob("*.jsonl"))


def eventually(condition: Callable[[], object], *, within: float = PATIENCE) -> bool:
    """Wait for what another thread or process brings about; False when it does not."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Gate:
    """Holds sinks until it is opened."""

    def __init__(self, *, is_open: bool = False) -> None:
        self._opened = threading.Event()
        self.reached = threading.Event()
        """Set once a sink stands before it."""
        if is_open:
            self.open()

    def open(self) -> None:
        self._opened.set()

    def shut(self) -> None:
        self.reached.clear()
        self._opened.clear()

    async def passed(self) -> None:
        import asyncio  # where sinks run

        self.reached.set()
        while not self._opened.is_set():
            await asyncio.sleep(0.002)


class GatedSink(MemorySink):
    """Keeps events once its gate lets it."""

    def __init__(self, gate: Gate | None = None) -> None:
        super().__init__()
        self.gate = gate if gate is not None else Gate()
        self.batches: list[int] = []

    async def write(self, batch: Batch) -> None:
        await self.gate.passed()
        self.batches.append(len(batch))
        await super().write(batch)


class PickySink(Sink):
    """Raises as it is told to; keeps what it takes."""

    def __init__(self, complaint: Callable[[Batch], Exception | None]) -> None:
        self.complaint = complaint
        self.events: list[Event] = []
        self.tries = 0

    async def write(self, batch: Batch) -> None:
        self.tries += 1
        error = self.complaint(batch)
        if error is not None:
            raise error
        self.events += batch.events
