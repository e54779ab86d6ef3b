"""The last events, and those that come: from the journal, or from the flat log itself."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from heapq import heappush, heapreplace
from pathlib import Path

from eventbus.backlog import Backlog
from eventbus.disk import SYSTEM_DISK
from eventbus.formats import flat
from eventbus.frontends.cli.backwards import lines_backwards
from eventbus.frontends.cli.entries import Entry, Wanted, entries_of, entry_of
from eventbus.segment import Segment, segments_by_writer, segments_in
from eventbus.segments import LogSegment, Series
from eventbus.sink import Place

__all__ = ["FlatTail", "JournalTail"]

LOOK_BACK_BYTES = 64 * 1024 * 1024
"""How far back the last events are looked for, in all; rare ones `read` finds."""
READ_BYTES = 256 * 1024


_Placed = tuple[datetime, int, str, Entry]
"""An event by its time, and its place in its segment."""


class JournalTail:
    """Every writer's events, as they are written."""

    def __init__(self, state: Path, wanted: Wanted) -> None:
        self._directory = state / "journal"
        self._wanted = wanted
        by_writer = segments_by_writer(segments_in(self._directory))
        self._ends = {
            writer: Place(segments[-1].name, _whole_end(segments[-1].path))
            for writer, segments in by_writer.items()
        }
        self._segments = [segment for segments in by_writer.values() for segment in segments]
        self._backlog = Backlog(
            None, directory=self._directory, disk=SYSTEM_DISK, others=self._ends
        )

    def last(self, number: int) -> list[Entry]:
        """The last so many that are wanted, oldest first."""
        latest: list[_Placed] = []
        seen: set[str] = set()
        left = LOOK_BACK_BYTES
        for changed, segment in sorted(map(_changed, self._segments), reverse=True):
            is_full = len(latest) >= number
            if left <= 0 or (is_full and (not latest or changed < latest[0][0].timestamp())):
                break
            left = self._look_back(segment, latest, seen, number=number, left=left)
        return [placed[-1] for placed in sorted(latest)]

    def _look_back(
        self,
        segment: Segment,
        latest: list[_Placed],
        seen: set[str],
        *,
        number: int,
        left: int,
    ) -> int:
        """Put a segment's events among the latest; how many bytes are left to look at."""
        end = self._ends[segment.writer]
        for behind, line in _lines_of(segment, end):
            left -= len(line) + 1
            entry = entry_of(line)
            item = (entry.event.ts, behind, segment.name, entry)
            if len(latest) >= number and item[:2] < latest[0][:2]:
                break  # a writer's events are in order: the rest is older still
            if self._wanted.takes(entry) and entry.event.id not in seen:
                seen.add(entry.event.id)
                heapreplace(latest, item) if len(latest) >= number else heappush(latest, item)
            if left <= 0:
                break
        return left

    def news(self) -> Iterator[Entry]:
        """What was written since the last look."""
        self._backlog.look(time.monotonic())
        while (stretch := self._backlog.next()) is not None:
            yield from filter(self._wanted.takes, entries_of(stretch.blob))


def _changed(segment: Segment) -> tuple[float, Segment]:
    try:
        return segment.path.stat().st_mtime, segment
    except OSError:  # pruned meanwhile
        return 0.0, segment


def _whole_end(path: Path) -> int:
    """Where the last whole line of a file ends now."""
    with suppress(OSError):
        fd = SYSTEM_DISK.open(path, os.O_RDONLY)
        try:
            return next((end for end, _ in lines_backwards(fd, os.fstat(fd).st_size)), 0)
        finally:
            os.close(fd)
    return 0


def _lines_of(segment: Segment, end: Place) -> Iterator[tuple[int, bytes]]:
    """A segment's lines from its end, up to where following begins."""
    with suppress(OSError):
        fd = SYSTEM_DISK.open(segment.path, os.O_RDONLY)
        try:
            here = end.offset if segment.name == end.segment else os.fstat(fd).st_size
            yield from lines_backwards(fd, here)
        finally:
            os.close(fd)


class FlatTail:
    """The flat log's lines as they are written, across its rotation."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._series = Series.of(path)
        self._wanted = wanted
        self._fd = -1
        self._inode = 0
        self._rest = b""
        self._offset = 0
        if self._open(path):
            self._offset = _whole_end(path)

    def last(self, number: int) -> list[str]:
        """The last so many that are wanted, oldest first."""
        latest: list[str] = []
        for line in self._backwards():
            if len(latest) >= number:
                break
            text = line.decode("utf-8", "backslashreplace")
            if self._takes(text):
                latest.append(text)
        return latest[::-1]

    def _backwards(self) -> Iterator[bytes]:
        if self._fd >= 0:
            yield from (line for _, line in lines_backwards(self._fd, self._offset))
        for segment in reversed(self._rotated()):
            path = self._series.directory / segment.name
            yield from (line for _, line in _lines_backwards(path))

    def _rotated(self) -> list[LogSegment]:
        """Segments set aside, oldest first; packed ones are for `read_log`."""
        segments = self._series.segments()
        return [one for one in segments if one.day is not None and not one.is_packed]

    def news(self) -> Iterator[str]:
        """What was written since the last look."""
        for line in self._new_lines():
            text = line.decode("utf-8", "backslashreplace")
            if self._takes(text):
                yield text

    def _new_lines(self) -> Iterator[bytes]:
        self._begin_again_if_cut()
        yield from self._read_on()
        if self._fd >= 0 and _inode_of(self._path) == self._inode:
            return
        # Set aside: once more, for what was written until then; then the next ones.
        yield from self._read_on()
        for path in self._next_files():
            if self._open(path):
                yield from self._read_on()

    def _begin_again_if_cut(self) -> None:
        if self._fd >= 0 and os.fstat(self._fd).st_size < self._offset:
            self._offset, self._rest = 0, b""

    def _next_files(self) -> list[Path]:
        """The segments behind the one that was open, and the live one."""
        rotated = [self._series.directory / one.name for one in self._rotated()]
        inodes = [_inode_of(path) for path in rotated]
        behind = rotated[inodes.index(self._inode) + 1 :] if self._inode in inodes else []
        return [*behind, self._path] if self._path.exists() else behind

    def _read_on(self) -> Iterator[bytes]:
        while self._fd >= 0:
            part = os.pread(self._fd, READ_BYTES, self._offset)
            if not part:
                return
            self._offset += len(part)
            *lines, self._rest = (self._rest + part).split(b"\n")
            yield from lines

    def _open(self, path: Path) -> bool:
        """Go on with another file, from its beginning."""
        try:
            fd = SYSTEM_DISK.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # not there yet, or not ours: looked for again
            return False
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode):
            os.close(fd)
            return False
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._inode, self._offset, self._rest = fd, there.st_ino, 0, b""
        return True

    def _takes(self, text: str) -> bool:
        fields = flat.parse(text)
        if isinstance(fields, flat.Unparsed):
            return self._wanted.takes_all
        return self._wanted.takes_fields(fields)


def _inode_of(path: Path) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_ino
    except OSError:
        return 0


def _lines_backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    with suppress(OSError):
        fd = SYSTEM_DISK.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            yield from lines_backwards(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)
