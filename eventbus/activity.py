"""What the flat log holds: the lines of its files, and what the journal has beyond them."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import Event
from eventbus.followed import FollowedWriter
from eventbus.formats import flat
from eventbus.kinds import KindFilter
from eventbus.resume import read_cursor
from eventbus.segment import segments_by_writer, segments_in
from eventbus.segments import Series, day_of_line, next_number, read_lines
from eventbus.sink import Cursor

__all__ = [
    "FILE_NAME",
    "LANE",
    "FlatLine",
    "lines_beyond",
    "lines_of",
    "log_path",
    "parse",
    "set_aside",
]

LANE = "flat"
FILE_NAME = "activity.log"
HEAD_BYTES = 64
"""Enough of a line to have its day."""
_EVERYTHING = KindFilter()


class FlatLine(NamedTuple):
    """A line taken apart."""

    timestamp: datetime
    event_type: str
    source: str
    message: str


def log_path(state: Path) -> Path:
    """Where the flat log of a state directory is."""
    return state / "logs" / FILE_NAME


def lines_of(
    state: Path, *, since: datetime | None, kinds: KindFilter, disk: Disk = SYSTEM_DISK
) -> Iterator[FlatLine]:
    """Every line from `since` on, those the lane has not yet written at the end.

    A line that cannot be taken apart is passed over.
    """
    # The journal first: what it is found to hold beyond the lane's cursor may
    # reach the files while they are read, and is then told from there alone.
    beyond = Counter(_beyond_the_files(state, since, kinds, disk))
    series = Series.of(log_path(state))
    for raw in read_lines(series, since=since.date() if since else None, disk=disk):
        line = parse(raw.decode("utf-8", "backslashreplace"))
        if line is not None and _is_wanted(line, since, kinds):
            if line in beyond:
                beyond[line] -= 1
            yield line
    for line, number in beyond.items():
        yield from [line] * number


def _beyond_the_files(
    state: Path, since: datetime | None, kinds: KindFilter, disk: Disk
) -> Iterator[FlatLine]:
    cursor = read_cursor(state / "journal" / "cursors" / f"{LANE}.json", disk)
    for _, line in lines_beyond(state, cursor, since=since, kinds=kinds, disk=disk):
        yield line


def lines_beyond(
    state: Path,
    cursor: Cursor,
    *,
    since: datetime | None,
    kinds: KindFilter,
    writer: str | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Iterator[tuple[str, FlatLine]]:
    """What the journal holds that a lane has not passed, as lines, each with its event's id.

    Of one writer, or of all.
    """
    for event in _unread(state, cursor, writer, disk):
        if since is None or event.ts >= since:
            line = parse(flat.text(event))
            if line is not None and _EVERYTHING.takes(event) and _is_wanted(line, since, kinds):
                yield event.id, line


def _unread(state: Path, cursor: Cursor, only: str | None, disk: Disk) -> Iterator[Event]:
    journal = state / "journal"
    for writer, segments in segments_by_writer(segments_in(journal, disk)).items():
        if only is not None and writer != only:
            continue
        followed = FollowedWriter(writer, cursor.get(writer), journal, disk)
        followed.segments = segments
        try:
            while (stretch := followed.next()) is not None:
                yield from stretch.events
        finally:
            followed.close()


def _is_wanted(line: FlatLine, since: datetime | None, kinds: KindFilter) -> bool:
    return (since is None or line.timestamp >= since) and kinds(line.event_type)


def parse(text: str) -> FlatLine | None:
    """A line's four fields; None when it has not got them."""
    fields = text.split("|", 3)
    if len(fields) != 4:
        return None
    try:
        timestamp = datetime.fromisoformat(fields[0])
    except ValueError:
        return None
    if timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=UTC)
    return FlatLine(timestamp, fields[1], fields[2], fields[3])


def set_aside(
    state: Path, *, larger_than: int, disk: Disk = SYSTEM_DISK
) -> tuple[Path, int] | None:
    """Give the file its archive's name if it has more bytes; that and its size, or None.

    Whoever writes it notices, and begins a new file; until then it goes on in
    the archive, where its lines are read as well.
    """
    path = log_path(state)
    try:
        size = disk.stat(path).st_size
        if size <= larger_than:
            return None
        archive = _free_archive(path, disk)
    except FileNotFoundError:
        return None
    disk.unlink(path)
    return archive, size


def _free_archive(path: Path, disk: Disk) -> Path:
    """A second name for the file, that of the next archive of its day."""
    series = Series.of(path)
    day = _day_of(path, disk)
    while True:
        number = next_number(series.segments(disk), day)
        archive = path.with_name(series.name(day, number))
        with suppress(FileExistsError):  # somebody else rotates too
            disk.link(path, archive)
            return archive


def _day_of(path: Path, disk: Disk) -> date:
    """The day of its first line; today where that does not say."""
    fd = disk.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        head = disk.pread(fd, HEAD_BYTES, 0)
    finally:
        disk.close(fd)
    return day_of_line(head) or datetime.now(UTC).date()
