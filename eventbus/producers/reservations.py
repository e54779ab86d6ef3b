"""What this process may yet spend, told to every other on the state directory.

Each process has a small file of its own under its lock, a slot a user. A slot
holds what running dispatches are taken to cost, and a lease: what the process
may spend within a second without asking the others again. A file whose lock
is free belongs to nobody any more. Users who share a slot are taken together:
a limit is then reached early, never late.
"""

import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eventbus.disk import Disk

__all__ = ["EVERYBODY", "LEASE_S", "Reservations", "slot_of"]

SLOTS = 4_096
EVERYBODY = 0
"""The slot of what all users have reserved together."""
LEASE_S = 1.0
"""Seconds a lease holds."""
LOCK_NAME = "limits.lock"
GATE_SECONDS = 1.0
"""How long to wait for the others, who decide in a millisecond."""
_SLOT = struct.Struct("<qqd")
"""Running, lease, and until when on the machine's monotonic clock."""


def slot_of(user: str) -> int:
    """A user's slot."""
    return 1 + zlib.crc32(user.encode("utf-8", "surrogatepass")) % (SLOTS - 1)


class Reservations:
    """This process's file, and a look into the others'."""

    def __init__(self, state: Path, disk: Disk) -> None:
        self._directory = state / "run" / "limits"
        self._disk = disk
        self._path: Path | None = None
        self._fd = -1
        self._gate = -1

    def open(self) -> None:
        """Make this process's file; a forked child makes its own."""
        self._disk.make_directory(self._directory)
        self._path = self._directory / f"{os.getpid()}-{os.urandom(4).hex()}.slots"
        self._fd = self._disk.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._disk.lock(self._fd)
        self._gate = self._disk.open(self._directory / LOCK_NAME, os.O_RDWR | os.O_CREAT)

    def say(self, slot: int, *, running: int, lease: int, until: float) -> None:
        """Say what a slot holds now."""
        said = _SLOT.pack(running, lease, until)
        self._disk.pwrite(self._fd, said, slot * _SLOT.size)

    def of_others(self, slot: int) -> int:
        """What all other processes may yet spend of a slot."""
        names = self._disk.names(self._directory)
        paths = [self._directory / name for name in names if name.endswith(".slots")]
        return sum(self._in(path, slot) for path in paths if path != self._path)

    def _in(self, path: Path, slot: int) -> int:
        try:
            fd = self._disk.open(path, os.O_RDWR)
        except OSError:  # its process has just ended
            return 0
        try:
            if self._disk.lock(fd):
                self._disk.unlink(path)
                return 0
            said = self._disk.pread(fd, _SLOT.size, slot * _SLOT.size)
        except OSError:
            return 0
        finally:
            self._disk.close(fd)
        if len(said) < _SLOT.size:  # nothing was said behind there
            return 0
        running, lease, until = _SLOT.unpack(said)
        return int(running + (lease if until > time.monotonic() else 0))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time; one whose turn does not come goes on all the same."""
        until = time.monotonic() + GATE_SECONDS
        is_ours = self._disk.lock(self._gate)
        while not is_ours and time.monotonic() < until:
            time.sleep(0.0005)
            is_ours = self._disk.lock(self._gate)
        try:
            yield
        finally:
            if is_ours:
                self._disk.unlock(self._gate)

    def forget_after_fork(self) -> None:
        """In a forked child: the file, and what it says, are the parent's."""
        self._fd = self._gate = -1
        self._path = None

    def close(self) -> None:
        """Take this process's file away."""
        for fd in (self._fd, self._gate):
            if fd >= 0:
                with suppress(OSError):  # in a forked child they are closed already
                    self._disk.close(fd)
        if self._path is not None:
            with suppress(OSError):
                self._disk.unlink(self._path)
        self.forget_after_fork()
