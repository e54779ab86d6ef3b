"""Reading the journal back: from any place, across segments and writers."""

import heapq
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE, Event, decode_batch
from eventbus.events.bus import BusOpened
from eventbus.kinds import KindFilter, Kinds
from eventbus.segment import Segment, segments_by_writer, segments_in
from eventbus.sink import Place

__all__ = [
    "SegmentReader",
    "first_line",
    "opening_of",
    "read_journal",
    "read_lines",
    "valid_end",
]

READ_BYTES = 256 * 1024
LINE_MOST = 64 * 1024 * 1024
"""Bytes of the longest line that is read as one; a longer one is passed over."""


def read_journal(
    state: str | os.PathLike[str],
    *,
    kinds: Kinds = None,
    since: datetime | None = None,
    until: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Iterator[Event]:
    """The events kept in a state directory, merged by time, each writer's in its order.

    `since` is inclusive, `until` exclusive; a naive time is local. An event
    that was made with a time yet to come may be passed over by `since`.
    Bookkeeping records come only when asked for by `kinds="bus:*"`.
    """
    since, until = _aware(since), _aware(until)
    wanted = KindFilter(kinds)
    by_writer = segments_by_writer(segments_in(Path(state) / "journal", disk))
    streams = [_writer_stream(segments, since, disk) for segments in by_writer.values()]
    for _, _, event in heapq.merge(*streams, key=lambda item: item[:2]):
        if since is not None and event.ts < since:
            continue
        if until is not None and event.ts >= until:
            continue
        if wanted.takes(event):
            yield event


def _aware(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


_Stamped = tuple[datetime, str, Event]


def _writer_stream(
    segments: list[Segment], since: datetime | None, disk: Disk
) -> Iterator[_Stamped]:
    """One writer's events, each with a time that never goes back."""
    latest = datetime.fromtimestamp(0, UTC)
    for segment, after in [*pairwise(segments), (segments[-1], None)]:
        if since is not None and after is not None and after.start < since:
            continue
        for blob in read_lines(segment, valid_end(segment, after, disk), disk):
            for event in decode_batch(blob):
                if not event.id and event.kind == "unknown:unknown":
                    continue  # bytes a crash left, no record
                latest = max(latest, event.ts)
                yield latest, segment.writer, event


def read_lines(
    segment: Segment, stop: int | None = None, disk: Disk = SYSTEM_DISK, *, start: int = 0
) -> Iterator[bytes]:
    """Whole lines of a segment, many at a time; a torn end is left out."""
    with SegmentReader(segment, disk, offset=start) as reader:
        while blob := reader.read(stop):
            yield blob


def valid_end(segment: Segment, after: Segment | None, disk: Disk = SYSTEM_DISK) -> int | None:
    """Bytes of a segment that count, as the writer's next one says; None: all."""
    opened = opening_of(after, disk) if after is not None else None
    return opened.previous_end if opened is not None and opened.previous == segment.name else None


def opening_of(segment: Segment, disk: Disk = SYSTEM_DISK) -> BusOpened | None:
    """A segment's own record, if it can be read."""
    return _as_opening(first_line(segment, disk))


def _as_opening(line: bytes) -> BusOpened | None:
    try:
        return msgspec.json.decode(line, type=BusOpened)
    except UNREADABLE:
        return None


def first_line(segment: Segment, disk: Disk = SYSTEM_DISK) -> bytes:
    """A segment's own record, with its newline."""
    with SegmentReader(segment, disk) as reader:
        blob = reader.read(None, most=1)
    return blob[: blob.find(b"\n") + 1]


class SegmentReader:
    """One segment, read forward from a place; it may still grow."""

    __slots__ = ("_disk", "_fd", "_skipping", "offset", "segment")

    def __init__(self, segment: Segment, disk: Disk = SYSTEM_DISK, *, offset: int = 0) -> None:
        self.segment = segment
        self.offset = offset
        self._disk = disk
        self._skipping = False
        self._fd = -1
        with suppress(FileNotFoundError):  # pruned meanwhile: nothing to read
            if stat.S_ISREG(disk.stat(segment.path).st_mode):  # else it is none of ours
                self._fd = disk.open(segment.path, os.O_RDONLY)

    @property
    def is_gone(self) -> bool:
        return self._fd < 0

    @property
    def place(self) -> Place:
        return Place(self.segment.name, self.offset)

    def read(self, stop: int | None, *, most: int = READ_BYTES) -> bytes:
        """The next whole lines, about `most` bytes, not past `stop`; empty at the end."""
        if self._fd < 0:
            return b""
        size = most
        while True:
            bound = size if stop is None else min(size, stop - self.offset)
            blob = self._disk.pread(self._fd, bound, self.offset) if bound > 0 else b""
            end = blob.rfind(b"\n") + 1
            if end:
                return self._advance(blob[:end], stop)
            if len(blob) < size:
                return b""
            if size >= LINE_MOST:
                self._skipping = True
                self.offset += len(blob)
                size = READ_BYTES
            else:
                size = max(size, 4096) * 4

    def _advance(self, blob: bytes, stop: int | None) -> bytes:
        self.offset += len(blob)
        if self._skipping:  # the rest of a line too long to be one
            self._skipping = False
            blob = blob[blob.find(b"\n") + 1 :]
            return blob or self.read(stop)
        return blob

    def opening(self) -> BusOpened | None:
        """The segment's own record, though its name be gone by now."""
        first = self._disk.pread(self._fd, READ_BYTES, 0)
        return _as_opening(first[: first.find(b"\n") + 1])

    def count_lines(self) -> int:
        """Lines before its place."""
        number = 0
        for start in range(0, self.offset, READ_BYTES):
            size = min(READ_BYTES, self.offset - start)
            number += self._disk.pread(self._fd, size, start).count(b"\n")
        return number

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):  # nothing was written to it
                self._disk.close(fd)

    def __enter__(self) -> "SegmentReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
