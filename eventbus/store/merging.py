"""The journal's events after a cursor, those of all writers merged by time, in batches."""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE
from eventbus.followed import FollowedWriter
from eventbus.kinds import KindFilter, Kinds
from eventbus.segment import Segment, segments_by_writer, segments_in
from eventbus.sink import Batch, Cursor, Place
from eventbus.stretch import Stretch

__all__ = ["BATCH_MOST", "bytes_after", "ends_of", "has_events_after", "journal_batches"]

BATCH_MOST = 1_000
LOOK_BYTES = 1024 * 1024
"""So much is looked through for events; behind more there are some."""

_FIRST = datetime.fromtimestamp(0, UTC)


def journal_batches(
    state: Path,
    after: Cursor,
    *,
    kinds: Kinds = None,
    most: int = BATCH_MOST,
    disk: Disk = SYSTEM_DISK,
) -> Iterator[Batch]:
    """What a lane that stands there has still to land; each batch with the cursor behind it.

    A writer's own order is kept. A writer is opened when its time has come,
    and closed at its end: there may be thousands of them.
    """
    directory = state / "journal"
    by_writer = segments_by_writer(segments_in(directory, disk))
    wanted = KindFilter(kinds)
    streams = [
        _Stream(writer, segments, after.get(writer), wanted, directory, disk)
        for writer, segments in by_writer.items()
    ]
    cursor, lines = dict(after), []
    for _, writer, line, place in _merged(streams):
        lines.append(line)
        cursor[writer] = place
        if len(lines) == most:
            yield Batch(lines=lines, cursor=dict(cursor))
            lines = []
    if lines:
        yield Batch(lines=lines, cursor=dict(cursor))


def bytes_after(state: Path, after: Cursor, *, disk: Disk = SYSTEM_DISK) -> int:
    """How much of the journal stands behind a cursor."""
    total = 0
    for segment in segments_in(state / "journal", disk):
        place = after.get(segment.writer)
        if place is None or segment.name >= place.segment:
            passed = place.offset if place is not None and place.segment == segment.name else 0
            total += max(0, disk.stat(segment.path).st_size - passed)
    return total


def has_events_after(
    state: Path, after: Cursor, *, kinds: Kinds = None, disk: Disk = SYSTEM_DISK
) -> bool:
    """Whether a lane that stands there has anything to land.

    What the bus keeps for itself is nothing; behind more than a little there
    is something, and nobody looks.
    """
    size = bytes_after(state, after, disk=disk)
    if size == 0 or size > LOOK_BYTES:
        return size > 0
    batches = journal_batches(state, after, kinds=kinds, most=1, disk=disk)
    return next(batches, None) is not None


_Record = tuple[datetime, str, bytes, Place]
"""When, whose, what, and where the writer stands behind it."""


class _Stream:
    """One writer's wanted records, each with a time that never goes back."""

    def __init__(
        self,
        writer: str,
        segments: list[Segment],
        place: Place | None,
        wanted: KindFilter,
        directory: Path,
        disk: Disk,
    ) -> None:
        self.writer = writer
        left = [each for each in segments if place is None or each.name >= place.segment]
        self.begins = left[0].start if left else _FIRST
        self._followed = FollowedWriter(writer, place, directory, disk)
        self._followed.segments = segments
        self._wanted = wanted

    def records(self) -> Iterator[_Record]:
        latest = _FIRST
        try:
            while (stretch := self._followed.next()) is not None:
                for moment, line, place in self._of(stretch):
                    latest = max(latest, moment)
                    yield latest, self.writer, line, place
        finally:
            self._followed.close()

    def _of(self, stretch: Stretch) -> Iterator[tuple[datetime, bytes, Place]]:
        picked = stretch.pick(self._wanted)
        if picked is not None and not picked:
            return
        moments, lines, ends = _moments(stretch), stretch.lines, ends_of(stretch)
        for index in range(stretch.count) if picked is None else picked:
            yield moments[index], lines[index], Place(stretch.end.segment, ends[index])


class _Head(msgspec.Struct, frozen=True, gc=False):
    ts: datetime


_heads = msgspec.json.Decoder(_Head)


def _moments(stretch: Stretch) -> Sequence[datetime]:
    """When each of its records was; read no further than that, where all of them say it."""
    try:
        moments = [head.ts for head in _heads.decode_lines(stretch.blob)]
    except UNREADABLE:
        moments = []
    if len(moments) == stretch.count and all(moment.tzinfo is not None for moment in moments):
        return moments
    return [event.ts for event in stretch.events]


def ends_of(stretch: Stretch) -> list[int]:
    """Where each of its records ends; counted from the end, as it may begin behind its start."""
    end, ends = stretch.end.offset, []
    for line in reversed(stretch.lines):
        ends.append(end)
        end -= len(line) + 1
    return ends[::-1]


def _merged(streams: list[_Stream]) -> Iterator[_Record]:
    waiting = deque(sorted(streams, key=lambda stream: (stream.begins, stream.writer)))
    heads: list[tuple[datetime, str, _Record, Iterator[_Record]]] = []
    while waiting or heads:
        while waiting and (not heads or waiting[0].begins <= heads[0][0]):
            _push(heads, waiting.popleft().records())
        if heads:
            _, _, record, rest = heapq.heappop(heads)
            yield record
            _push(heads, rest)


def _push(
    heads: list[tuple[datetime, str, _Record, Iterator[_Record]]], rest: Iterator[_Record]
) -> None:
    record = next(rest, None)
    if record is not None:
        heapq.heappush(heads, (*itemgetter(0, 1)(record), record, rest))
