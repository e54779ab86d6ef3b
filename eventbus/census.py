"""What a state directory holds, counted from its files; no bus is needed."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE
from eventbus.kinds import BOOKKEEPING
from eventbus.producers.vitals import measure_areas
from eventbus.replay import read_lines, valid_end
from eventbus.residence import Resident, resident_of
from eventbus.resume import read_cursor
from eventbus.segment import Segment, segments_by_writer, segments_in
from eventbus.sink import Cursor

__all__ = ["Area", "Census", "LaneBehind", "take_census"]

KINDS_MOST = 10_000
"""Kinds that are counted apart; they may come from hostile input."""


class Area(msgspec.Struct, frozen=True):
    """A part of the state directory."""

    bytes: int
    files: int


class LaneBehind(msgspec.Struct, frozen=True):
    """What a lane has still to read, and what it has given up."""

    events: int
    bytes: int
    dead: int
    """Dead letters kept beside it."""


class Census(msgspec.Struct, kw_only=True):
    """Counts of everything that is kept."""

    events: int = 0
    bookkeeping: int = 0
    """Records the bus keeps for itself."""
    unreadable: int = 0
    first: datetime | None = None
    last: datetime | None = None
    kinds: dict[str, int] = {}
    days: dict[str, int] = {}
    """By UTC day."""
    writers: dict[str, int] = {}
    segments: int = 0
    areas: dict[str, Area] = {}
    lanes: dict[str, LaneBehind] = {}
    resident: Resident | None = None
    """Who serves the lanes for all, if anybody does."""


class _Head(msgspec.Struct, frozen=True):
    kind: str
    ts: datetime
    event_type: str | None = None


_BOOKKEEPING = tuple(f'{{"kind":"{kind}"'.encode() for kind in sorted(BOOKKEEPING))
_heads = msgspec.json.Decoder(_Head)


def take_census(state: Path, *, since: datetime | None = None, disk: Disk = SYSTEM_DISK) -> Census:
    """Count what is kept, by kind, day and writer from `since` on; what lanes have to do."""
    census = Census(resident=resident_of(state, disk))
    by_writer = segments_by_writer(segments_in(state / "journal", disk))
    for writer, segments in by_writer.items():
        _count_writer(census, writer, segments, since, disk)
    census.kinds = dict(Counter(census.kinds).most_common())
    census.days = dict(sorted(census.days.items()))
    census.areas = {name: Area(*counts) for name, counts in measure_areas(state).items()}
    census.lanes = {name: _behind(state, name, by_writer, disk) for name in _lanes(state, disk)}
    return census


def _count_writer(
    census: Census, writer: str, segments: list[Segment], since: datetime | None, disk: Disk
) -> None:
    before = census.events
    for segment, after in [*pairwise(segments), (segments[-1], None)]:
        census.segments += 1
        if since is not None and after is not None and after.start < since:
            continue
        for blob in read_lines(segment, valid_end(segment, after, disk), disk):
            for head in _heads_of(census, blob):
                _count(census, head, since)
    census.writers[writer] = census.events - before


def _heads_of(census: Census, blob: bytes) -> Iterator[_Head]:
    try:
        yield from _heads.decode_lines(blob)
    except UNREADABLE:
        for line in blob.split(b"\n"):
            if not line:
                continue
            try:
                yield _heads.decode(line)
            except UNREADABLE:
                census.unreadable += 1


def _count(census: Census, head: _Head, since: datetime | None) -> None:
    ts = head.ts if head.ts.tzinfo is not None else head.ts.replace(tzinfo=UTC)
    if since is not None and ts < since:
        return
    if head.kind in BOOKKEEPING:
        census.bookkeeping += 1
        return
    census.events += 1
    kind = head.event_type or head.kind if head.kind == "log:line" else head.kind
    if kind not in census.kinds and len(census.kinds) >= KINDS_MOST:
        kind = "other"
    census.kinds[kind] = census.kinds.get(kind, 0) + 1
    day = ts.astimezone(UTC).date().isoformat()
    census.days[day] = census.days.get(day, 0) + 1
    census.first = min(census.first or ts, ts)
    census.last = max(census.last or ts, ts)


def _lanes(state: Path, disk: Disk) -> list[str]:
    """Lanes that have a cursor or dead letters."""
    cursors = disk.names(state / "journal" / "cursors")
    dead = disk.names(state / "dead")
    names = [name.removesuffix(".json") for name in cursors if name.endswith(".json")]
    names += [name.removesuffix(".jsonl") for name in dead if name.endswith(".jsonl")]
    return sorted({name for name in names if not name.startswith(".")})


def _behind(state: Path, lane: str, by_writer: dict[str, list[Segment]], disk: Disk) -> LaneBehind:
    cursor = read_cursor(state / "journal" / "cursors" / f"{lane}.json", disk)
    events = size = 0
    for writer, segments in by_writer.items():
        for blob in _unread(writer, segments, cursor, disk):
            lines = [line for line in blob.split(b"\n") if line]
            events += sum(not line.startswith(_BOOKKEEPING) for line in lines)
            size += len(blob)
    dead = state / "dead" / f"{lane}.jsonl"
    letters = disk.read(dead).count(b"\n") if dead.is_file() else 0
    return LaneBehind(events, size, letters)


def _unread(writer: str, segments: list[Segment], cursor: Cursor, disk: Disk) -> Iterator[bytes]:
    place = cursor.get(writer)
    for segment, after in [*pairwise(segments), (segments[-1], None)]:
        if place is not None and segment.name < place.segment:
            continue
        start = place.offset if place is not None and place.segment == segment.name else 0
        yield from read_lines(segment, valid_end(segment, after, disk), disk, start=start)
