"""Disks that fail in the ways real ones do, each through the one seam for files."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from eventbus.disk import Disk

__all__ = [
    "DiskWithoutNames",
    "DiskWithoutSync",
    "FickleDisk",
    "ForgetfulDisk",
    "HungDisk",
    "MoodyDisk",
    "RetryingDisk",
    "SmallDisk",
    "is_segment",
]


def is_segment(path: Path) -> bool:
    """True for a segment of the journal, also while it is being made."""
    return path.suffix in (".jsonl", ".new") and path.parent.name == "journal"


class ForgetfulDisk(Disk):
    """Keeps what was synced and nothing else when the power goes.

    The worst case a real file system allows: bytes not synced are gone, and so
    is a new file whose name was not synced. As Linux does, a failed sync
    forgets the bytes it could not write, and the next sync says all is well.
    """

    def __init__(
        self,
        *,
        fails: Callable[[], bool] = lambda: False,
        fails_to_name: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fails = fails
        self._fails_to_name = fails_to_name
        self._lock = threading.RLock()
        self._paths: dict[int, Path] = {}
        self._safe: dict[Path, int] = {}
        self._lost: dict[Path, list[tuple[int, int]]] = {}
        self._unnamed: set[Path] = set()

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        with self._lock:
            is_new = bool(flags & os.O_CREAT) and not path.exists()
            fd = super().open(path, flags, mode)
            if is_segment(path):
                self._paths[fd] = path
                self._safe.setdefault(path, 0 if is_new else self.size(fd))
                if is_new:
                    self._unnamed.add(path)
            return fd

    def close(self, fd: int) -> None:
        with self._lock:
            self._paths.pop(fd, None)
            super().close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        with self._lock:  # nothing is written once the power is gone
            return super().write(fd, data)

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        with self._lock:
            return super().writev(fd, buffers)

    def truncate(self, fd: int, size: int) -> None:
        with self._lock:
            super().truncate(fd, size)
            path = self._paths.get(fd)
            if path is not None:
                self._safe[path] = min(self._safe[path], size)

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            if source in self._safe:
                self._safe[target] = self._safe.pop(source)
                self._lost[target] = self._lost.pop(source, [])
                self._unnamed = {target if path == source else path for path in self._unnamed}
                self._paths = {
                    fd: target if path == source else path for fd, path in self._paths.items()
                }

    def sync(self, fd: int) -> None:
        with self._lock:
            path = self._paths.get(fd)
            if path is None:
                return
            start, self._safe[path] = self._safe[path], self.size(fd)
            if self._fails():
                self._lost.setdefault(path, []).append((start, self._safe[path]))
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            if self._fails_to_name():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self._unnamed = {file for file in self._unnamed if file.parent != path}

    def cut_power(self) -> None:
        """Leave on the disk what a power cut would; the disk is of no use afterwards."""
        self._lock.acquire()  # for good: the recorder's threads must not go on
        for path, safe in self._safe.items():
            if not path.exists():
                continue
            if path in self._unnamed:
                path.unlink()
                continue
            os.truncate(path, safe)
            for start, stop in self._lost.get(path, ()):
                _blank(path, start, min(stop, safe))


def _blank(path: Path, start: int, stop: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\0" * max(0, stop - start))


class DiskWithoutSync(ForgetfulDisk):
    """A mutant: every sync answers at once and does nothing."""

    def sync(self, fd: int) -> None:
        pass


class DiskWithoutNames(ForgetfulDisk):
    """A mutant: the names of new files are never synced."""

    def sync_directory(self, path: Path) -> None:
        pass


class RetryingDisk(ForgetfulDisk):
    """A mutant: a failed sync is tried again on the same file, and believed."""

    def sync(self, fd: int) -> None:
        try:
            super().sync(fd)
        except OSError:
            super().sync(fd)


class FickleDisk(Disk):
    """Fails a sync of a segment when told to, and remembers what was done to the file after."""

    def __init__(self, *, fails: Callable[[], bool]) -> None:
        self._fails = fails
        self._paths: dict[int, Path] = {}
        self.failed: set[Path] = set()
        self.touched_after: list[tuple[str, Path]] = []

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        fd = super().open(path, flags, mode)
        self._paths[fd] = path
        return fd

    def close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        super().close(fd)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        for fd, path in self._paths.items():
            if path == source:
                self._paths[fd] = target

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._note("write", fd)
        return super().write(fd, data)

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        self._note("write", fd)
        return super().writev(fd, buffers)

    def sync(self, fd: int) -> None:
        self._note("sync", fd)
        path = self._paths[fd]
        if is_segment(path) and self._fails():
            self.failed.add(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(fd)

    def _note(self, act: str, fd: int) -> None:
        path = self._paths[fd]
        if path in self.failed:
            self.touched_after.append((act, path))


class HungDisk(Disk):
    """Writes to segments hang while `hung` is set."""

    def __init__(self) -> None:
        self._segments: set[int] = set()
        self._goes = threading.Event()
        self._goes.set()

    def hang(self) -> None:
        """From now on a write to a segment does not return."""
        self._goes.clear()

    def go(self) -> None:
        """Let every hung write finish."""
        self._goes.set()

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        fd = super().open(path, flags, mode)
        if is_segment(path) and flags & (os.O_WRONLY | os.O_RDWR):
            self._segments.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self._segments.discard(fd)
        super().close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._wait(fd)
        return super().write(fd, data)

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        self._wait(fd)
        return super().writev(fd, buffers)

    def _wait(self, fd: int) -> None:
        if fd in self._segments:
            self._goes.wait()


class SmallDisk(Disk):
    """Has room for so many bytes; past them a write is short, then refused."""

    def __init__(self, room: int) -> None:
        self.room = room

    def free(self) -> None:
        """Make room for all that may come."""
        self.room = 1 << 40

    def write(self, fd: int, data: bytes | memoryview) -> int:
        taken = super().write(fd, data[: self._room_for(len(data))])
        self.room -= taken
        return taken

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        return self.write(fd, b"".join(buffers))

    def free_bytes(self, path: Path) -> int:
        return self.room

    def _room_for(self, wanted: int) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return min(wanted, self.room)


class MoodyDisk(HungDisk):
    """Hangs when told to, and lets so many writes, truncates or syncs of segments fail."""

    def __init__(self) -> None:
        super().__init__()
        self._left = {"write": 0, "truncate": 0, "sync": 0}
        self._share = 0.0

    def break_writes(self, times: int, *, share: float) -> None:
        """Let the next writes fail, with that share of them done."""
        self._left["write"], self._share = times, share

    def break_truncates(self, times: int) -> None:
        self._left["truncate"] = times

    def break_syncs(self, times: int) -> None:
        self._left["sync"] = times

    def mend(self) -> None:
        """Let all go well again."""
        self._left = dict.fromkeys(self._left, 0)
        self.go()

    def _breaks(self, act: str, fd: int) -> bool:
        is_due = fd in self._segments and self._left[act] > 0
        self._left[act] -= is_due
        return is_due

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        self._wait(fd)
        if self._breaks("write", fd):
            whole = b"".join(buffers)
            os.write(fd, whole[: int(len(whole) * self._share)])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().writev(fd, buffers)

    def truncate(self, fd: int, size: int) -> None:
        if self._breaks("truncate", fd):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        if self._breaks("sync", fd):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(fd)
