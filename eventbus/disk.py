"""Every call the recorder makes on files, in one small seam.

A test passes a `Disk` that fails where it is told to; nothing else in the
package opens, writes, syncs or renames a file of the recorder's.
"""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["SYSTEM_DISK", "Disk"]

try:
    import fcntl
except ImportError:  # pragma: no cover - a platform we do not promise
    fcntl = None  # type: ignore[assignment]

WRITEV_MOST = 512
"""Buffers a writev; the kernel's own bound is 1,024."""


class Disk:
    """The operating system's files, as they are."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        """Open without following a symlink in the last part."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    def close(self, fd: int) -> None:
        _locked.discard(fd)
        os.close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write some of `data`; say how much."""
        return os.write(fd, data)

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        """Write some of `buffers` in order; say how much."""
        return os.writev(fd, buffers[:WRITEV_MOST])

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Write some of `data` there; say how much."""
        return os.pwrite(fd, data, offset)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(fd, size, offset)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def status(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, path: Path | str) -> os.stat_result:
        return os.stat(path, follow_symlinks=False)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """Return when the file's bytes are on the disk."""
        if (
            sys.platform == "darwin"
        ):  # pragma: no cover - fsync there leaves bytes in the drive's cache
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, fd: int) -> bool:
        """Take the file's lock at once, or say it is somebody else's."""
        _locked.add(fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return True

    def is_locked(self, fd: int) -> bool:
        """True when somebody holds the file's lock; those who ask do not disturb each other."""
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return True
            raise
        return False

    def unlock(self, fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    def names(self, directory: Path) -> list[str]:
        """The names in a directory; none if it is not there."""
        with suppress(FileNotFoundError):
            return os.listdir(directory)
        return []

    def scan(self, directory: Path | str) -> "list[os.DirEntry[str]]":
        """What is in a directory, with what the system says of each."""
        with os.scandir(directory) as entries:
            return list(entries)

    def make_directory(self, path: Path) -> None:
        """Make a private directory, and those above it, unless there."""
        os.makedirs(path, mode=0o700, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; refused when the name is taken."""
        os.link(source, target, follow_symlinks=False)

    def set_mode(self, fd: int, mode: int) -> None:
        """Give a file these permissions, whatever the umask."""
        os.fchmod(fd, mode)

    def set_owner(self, fd: int, user: int, group: int) -> None:
        os.fchown(fd, user, group)

    def touch(self, path: Path) -> None:
        """Make a file's time now."""
        os.utime(path, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def read(self, path: Path) -> bytes:
        """A whole small file."""
        fd = self.open(path, os.O_RDONLY)
        try:
            return self.pread(fd, self.size(fd), 0)
        finally:
            self.close(fd)

    def replace(self, path: Path, content: bytes) -> None:
        """Put `content` at `path` in one step: old or new, never half."""
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        fd = self.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self.write_all(fd, content)
        finally:
            self.close(fd)
        self.rename(beside, path)

    def write_all(self, fd: int, data: bytes) -> None:
        """Write all of `data`, however short each write is."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(fd, rest) :]

    def free_bytes(self, path: Path) -> int:
        """Room left for us on the file system that holds `path`."""
        state = os.statvfs(path)
        return state.f_bavail * state.f_frsize


_locked: set[int] = set()
"""Descriptors that hold a lock, or tried to."""


def _leave_locks_to_the_parent() -> None:
    """In a forked child: a lock is held until the last copy of its descriptor is closed."""
    while _locked:
        with suppress(OSError):  # closed without our knowing
            os.close(_locked.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks_to_the_parent)

SYSTEM_DISK = Disk()
