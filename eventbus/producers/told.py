"""What other writers have put into the journal since one looked: only records that matter."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.replay import SegmentReader
from eventbus.segment import Segment, segments_in

__all__ = ["ToldByOthers"]

BACK_BYTES = 16 * 1024 * 1024
"""Of a writer that much is read at once at the most: the latest."""
BACK_BYTES_IN_ALL = 64 * 1024 * 1024
BACK_FOR = timedelta(days=1)
"""Segments that nobody has written to for longer are not looked into at first."""
UNSURE = timedelta(milliseconds=50)
"""A directory changed so lately may change again without its time changing."""


class ToldByOthers:
    """Follows every writer's segments by their sizes, without decoding what nobody asked for.

    Where much was written meanwhile only the latest of it is read. A record
    that stands in the journal twice comes twice.
    """

    def __init__(
        self,
        directory: Path,
        kinds: tuple[str, ...],
        *,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self._directory = directory
        words = b"|".join(re.escape(kind.encode()) for kind in kinds)
        self._wanted = re.compile(rb'^\{"kind":"(?:' + words + rb')"[^\n]*', re.MULTILINE)
        self._clock = clock
        self._disk = disk
        self._listed_at: tuple[int, int] | None = None
        self._last: dict[str, Segment] = {}
        """By writer, the segment it writes to."""
        self._read: dict[Segment, int] = {}
        """How far each segment has been read, the oldest first."""
        self._dead: dict[Segment, int] = {}
        """Segments that nobody holds, and how large they were then."""
        self._is_begun = False

    def new_lines(self, *, except_of: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Each wanted record since the last look, with its writer; each writer's in order."""
        self._list()
        for segment, start in list(self._read.items()):
            if segment.writer != except_of:
                for line in self._new_in(segment, start):
                    yield segment.writer, line

    def last_of(self, writer: str) -> Segment | None:
        """A writer's last segment; None when it is gone."""
        return self._last.get(writer)

    def has_others(self, *, except_of: str | None = None) -> bool:
        """Whether another writer is alive, as the lock of its last segment says."""
        return any(
            writer != except_of and self._may_be_alive(last) and self.is_alive(writer)
            for writer, last in self._last.items()
        )

    def _may_be_alive(self, last: Segment) -> bool:
        """A dead writer's segment stays as it is, unless another goes on in it."""
        return self._dead.get(last) != self._size(last)

    def is_alive(self, writer: str) -> bool:
        """Whether somebody holds the lock of a writer's last segment."""
        last = self._last.get(writer)
        if last is None:
            return False
        size = self._size(last)
        with suppress(OSError):
            fd = self._disk.open(last.path, os.O_RDONLY)
            try:
                if self._disk.is_locked(fd):
                    return True
            finally:
                self._disk.close(fd)
        self._dead[last] = size
        return False

    def _new_in(self, segment: Segment, start: int) -> Iterator[bytes]:
        size = self._size(segment)
        if size <= start:
            return
        start = max(start, size - BACK_BYTES)
        with SegmentReader(segment, self._disk, offset=start) as reader:
            while blob := reader.read(None):
                self._read[segment] = reader.offset
                yield from (match[0] for match in self._wanted.finditer(blob))

    def _size(self, segment: Segment) -> int:
        with suppress(OSError):
            status = self._disk.stat(segment.path)
            return status.st_size if stat.S_ISREG(status.st_mode) else 0
        return 0

    # --- which segments there are ----------------------------------------------------

    def _list(self) -> None:
        """See which segments there are, unless the directory is as it was."""
        try:
            status = self._disk.stat(self._directory)
        except FileNotFoundError:
            return
        now = (status.st_mtime_ns, status.st_ino)
        if now == self._listed_at:
            return
        segments = segments_in(self._directory, self._disk)
        starts = self._starts([each for each in segments if each not in self._read])
        self._read = {each: self._read.get(each, starts.get(each, 0)) for each in segments}
        self._last = {each.writer: each for each in segments}
        self._dead = {each: self._dead[each] for each in segments if each in self._dead}
        self._is_begun = True
        changed = datetime.fromtimestamp(status.st_mtime, UTC)
        self._listed_at = now if self._clock.now() - changed > UNSURE else None

    def _starts(self, unseen: list[Segment]) -> dict[Segment, int]:
        """Where to begin with segments: at first not with all that was ever written."""
        if self._is_begun:
            return {}
        starts, left = {}, BACK_BYTES_IN_ALL
        for segment in reversed(unseen):
            size = self._size(segment)
            back = min(size, BACK_BYTES, left) if self._is_recent(segment) else 0
            starts[segment] = size - back
            left -= back
        return starts

    def _is_recent(self, segment: Segment) -> bool:
        with suppress(OSError):
            written = self._disk.stat(segment.path).st_mtime
            return datetime.fromtimestamp(written, UTC) > self._clock.now() - BACK_FOR
        return False
