"""What the tests of log files are made of: a sink driven by hand, and its files read back."""

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import Event, encode
from eventbus.events.log import LogLine
from eventbus.scope import Scope
from eventbus.segments import Series, read_lines
from eventbus.sink import Batch, Cursor, Home, Place, Sink
from eventbus.testing import FakeClock

__all__ = ["NOON", "Desk", "at", "line", "lines_in", "place", "run"]

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def at(day: int, hour: int = 12, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def line(message: str, ts: datetime = NOON, session: str | None = None) -> LogLine:
    return LogLine(
        event_type="test:line", source="test", message=message, ts=ts, scope=Scope(session=session)
    )


def place(number: int) -> Cursor:
    return {"writer": Place("segment", number)}


def messages(lines: Iterable[bytes]) -> list[str]:
    """What the lines say, whatever their shape; a torn one fails."""
    said = []
    for one in lines:
        text = one.decode()
        if text.startswith("{"):
            said.append(str(msgspec.json.decode(one)["message"]))
        else:
            fields = text.split("|")
            assert len(fields) == 4, f"torn: {text!r}"
            said.append(fields[3])
    return said


def lines_in(path: Path) -> list[str]:
    """The messages in a file of that path, or in its series."""
    if path.exists():
        content = path.read_bytes()
        assert not content or content.endswith(b"\n"), "torn at its end"
        return messages(content.split(b"\n")[:-1])
    return messages(read_lines(Series.of(path)))


class Desk:
    """One sink after the other over the same directory, as a lane would drive them.

    It remembers what was taken, and hands over again what a sink's cursor
    does not speak of.
    """

    def __init__(self, state: Path, *, disk: Disk = SYSTEM_DISK, now: datetime = NOON) -> None:
        self.state = state
        self.logs = state / "logs"
        self.disk = disk
        self.clock = FakeClock(now)
        self.told: list[Event] = []
        """What the sinks emitted."""
        self.sink: Any = None
        self.taken: list[Batch] = []
        """Every batch, in order; the last one may not have gone well yet."""
        self.pending: Batch | None = None
        self.kept = 0
        """Batches that the lane's own cursor speaks of; it is kept after a sync."""
        self.power_was_cut = False

    async def open(self, sink: Sink) -> Cursor | None:
        """Open a sink; where it stands."""
        self.sink = sink
        home = Home(
            self.state, lane="test", emit=self.told.append, clock=self.clock, disk=self.disk
        )
        await sink.open(home)
        cursor: Cursor | None = await sink.cursor()
        return cursor

    async def write(self, *events: Event) -> None:
        """Write a batch, with the cursor behind it; after a failure, the same batch again."""
        await self.deliver(Batch(events=list(events), cursor=place(len(self.taken) + 1)))

    async def write_lines(self, *events: Event) -> None:
        lines = [encode(event) for event in events]
        await self.deliver(Batch(lines=lines, cursor=place(len(self.taken) + 1)))

    async def deliver(self, batch: Batch) -> None:
        if self.pending is None:
            self.pending = batch
            self.taken.append(batch)
        await self.sink.write(self.pending)
        self.pending = None

    async def resume(self, sink: Sink) -> None:
        """Open a new sink and hand over again what its cursor does not speak of."""
        told = await self.open(sink)
        done = self.kept if self.power_was_cut else len(self.taken) - (self.pending is not None)
        if told is not None:
            done = told["writer"].offset if told else 0
        again, self.taken = self.taken[done:], self.taken[:done]
        self.pending = None
        for batch in again:
            await self.deliver(batch)

    async def tick(self, **passed: float) -> None:
        """Let time pass, then tick."""
        self.clock.advance(**passed)
        await self.sink.tick(self.clock.now())

    async def sync(self) -> None:
        await self.sink.sync()
        self.kept = len(self.taken)

    async def close(self) -> None:
        """Sync and close; harmless when done again."""
        if self.sink is None:
            return
        try:
            await self.sync()
        finally:
            sink, self.sink = self.sink, None
            await sink.close()

    def names(self, under: str = ".") -> list[str]:
        """The log files, without those that begin with a dot, and without seals."""
        return sorted(
            path.name
            for path in (self.logs / under).iterdir()
            if path.is_file() and not path.name.startswith(".") and path.suffix != ".seals"
        )

    def told_kinds(self) -> list[str]:
        return [event.kind for event in self.told]
