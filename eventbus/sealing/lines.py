"""The bytes of a sealed file, plain or packed, from any place."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventbus.disk import Disk
from eventbus.segments import PACKED, unpacked_parts

__all__ = ["Lines", "open_lines"]

PART_BYTES = 1 << 20


class Lines:
    """A file's lines, by their bytes."""

    def __init__(self, fd: int, disk: Disk, *, stop: int | None = None) -> None:
        self._fd = fd
        self._disk = disk
        size = disk.size(fd)
        self.size = size if stop is None else min(size, stop)
        """Bytes of it that count."""

    def read(self, start: int, stop: int) -> bytes:
        """What stands there; less at the end."""
        parts = []
        while start < min(stop, self.size):
            part = self._disk.pread(self._fd, min(PART_BYTES, min(stop, self.size) - start), start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def digest(self, start: int, stop: int) -> str:
        """SHA-256 of what stands there."""
        found = hashlib.sha256()
        for part in self._parts(start, stop):
            found.update(part)
        return found.hexdigest()

    def count(self, start: int, stop: int) -> int:
        """Lines that end there."""
        return sum(part.count(b"\n") for part in self._parts(start, stop))

    def _parts(self, start: int, stop: int) -> Iterator[bytes]:
        for begin in range(start, min(stop, self.size), PART_BYTES):
            yield self.read(begin, min(stop, begin + PART_BYTES))

    def whole_end(self) -> int:
        """Bytes up to the end of its last whole line."""
        end = self.size
        while end > 0:
            start = max(0, end - 64 * 1024)
            found = self.read(start, end).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


@contextmanager
def open_lines(path: Path, disk: Disk, *, stop: int | None = None) -> Iterator[Lines]:
    """A file's lines, wherever packing put them; raises `FileNotFoundError` where none are."""
    try:
        fd = disk.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        with _unpacked(path.with_name(path.name + PACKED), disk) as fd:
            yield Lines(fd, disk)
        return
    try:
        yield Lines(fd, disk, stop=stop)
    finally:
        disk.close(fd)


@contextmanager
def _unpacked(path: Path, disk: Disk) -> Iterator[int]:
    with tempfile.TemporaryFile() as plain:
        for part in unpacked_parts(path, disk):
            plain.write(part)
        plain.flush()
        yield plain.fileno()
