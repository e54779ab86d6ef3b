"""A file that only ever grows by whole pieces."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

from eventbus.disk import Disk

__all__ = ["Appender", "Change", "make_directories"]

Change = Literal["gone", "replaced", "cut", "grown"]
"""What somebody else did to a file that is written here."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK
_WINDOW = 64 * 1024
"""Bytes read at a time, from the end, while looking for a newline."""


class Appender:
    """One file; what a failed write left in it is cut off again.

    Used by one thread at a time. Every method may raise `OSError`.
    """

    def __init__(self, path: Path, disk: Disk, *, make: bool = True) -> None:
        self.path = path
        self._disk = disk
        self._fd = disk.open(path, _FLAGS | (os.O_CREAT if make else 0))
        try:
            status = disk.status(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file; move it away", str(path))
            self.inode = status.st_ino
            self.size = status.st_size
            """Bytes that count; what stands behind them is to be cut."""
            self.synced_size = self.size
            self._lacks_newline = self._ends_inside_a_line()
        except BaseException:
            self.close()
            raise
        self.sync_failed = False
        """True once a sync failed: the kernel may have thrown bytes away."""
        self._is_spoiled = False

    def append(self, piece: bytes) -> None:
        """Write all of `piece`, or raise with none of it left."""
        if self._is_spoiled:
            self.cut(self.size)
        if self._lacks_newline:
            piece = b"\n" + piece
        try:
            self._disk.write_all(self._open_fd(), piece)
        except BaseException:
            with suppress(OSError):  # tried again before the next write
                self.cut(self.size)
            raise
        self._lacks_newline = False
        self.size += len(piece)

    def cut(self, size: int) -> None:
        """Let the file be no longer than `size`: now, or before the next write."""
        self._is_spoiled = True
        self.size = size
        self.synced_size = min(self.synced_size, size)
        self._disk.truncate(self._open_fd(), size)
        self._is_spoiled = False

    def look(self) -> Change | None:
        """Say what somebody else did to the file, and take its size as it is now."""
        try:
            status = self._disk.stat(self.path)
        except FileNotFoundError:
            return "gone"
        if status.st_ino != self.inode:
            return "replaced"
        if self._is_spoiled or status.st_size == self.size:
            return None
        change: Change = "cut" if status.st_size < self.size else "grown"
        self.size = status.st_size
        self.synced_size = min(self.synced_size, self.size)
        self._lacks_newline = self._ends_inside_a_line()
        return change

    def _ends_inside_a_line(self) -> bool:
        return self.size > 0 and self.read(self.size - 1) != b"\n"

    def read(self, start: int, most: int | None = None) -> bytes:
        """What stands from there on."""
        left = self.size - start
        return self._disk.pread(self._open_fd(), left if most is None else min(most, left), start)

    def last_line(self) -> bytes:
        """Its last whole line, or the beginning of it; the torn one if there is no other."""
        end = self.line_end_before(self.size) or self.size
        start = self.line_end_before(max(0, end - 1))
        return self._disk.pread(self._open_fd(), min(end - start, _WINDOW), start)

    def line_end_before(self, stop: int) -> int:
        """The place behind the last newline before `stop`; 0 when there is none."""
        while stop > 0:
            start = max(0, stop - _WINDOW)
            found = self._disk.pread(self._open_fd(), stop - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            stop = start
        return 0

    @property
    def is_synced(self) -> bool:
        return self.synced_size == self.size and not self.sync_failed

    def sync(self) -> None:
        """Return when its bytes are on the disk; never tried again on a file where it failed."""
        if self.sync_failed:
            raise OSError(errno.EIO, "an earlier sync of this file failed", str(self.path))
        if self._is_spoiled:
            self.cut(self.size)
        if self.synced_size != self.size:
            self._sync()

    def _sync(self) -> None:
        try:
            self._disk.sync(self._open_fd())
        except OSError:
            self.sync_failed = True
            raise
        self.synced_size = self.size

    def lock(self) -> bool:
        """Hold the file as its only writer; False when somebody else does."""
        return self._disk.lock(self._open_fd())

    def _open_fd(self) -> int:
        if self._fd < 0:
            self._fd = self._disk.open(self.path, _FLAGS)
            try:
                if self._disk.status(self._fd).st_ino != self.inode:
                    raise OSError(errno.ESTALE, "the file was replaced", str(self.path))
            except BaseException:
                self.close()
                raise
        return self._fd

    def close(self) -> None:
        """Let the descriptor go, for good or until the file is used again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):  # what it has to say, a sync says as well
                self._disk.close(fd)

    def __repr__(self) -> str:
        return f"Appender({str(self.path)!r}, size={self.size})"


def make_directories(path: Path, disk: Disk) -> None:
    """Make a directory and those above it, all of them private."""
    missing = [path]
    for above in path.parents:
        try:
            disk.stat(above)
            break
        except FileNotFoundError:
            missing.append(above)
    for directory in reversed(missing):
        disk.make_directory(directory)
