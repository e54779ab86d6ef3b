"""Who serves which lane: file locks that the processes of a state directory share."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

from eventbus.clock import Clock
from eventbus.disk import Disk

__all__ = ["Claims", "Serve"]

Serve = Literal["auto", "resident", "never"]
"""Serve lanes nobody else does; serve them for everybody; serve none."""

RESIDENT_LOCK = "resident.lock"
RESIDENCE_PATIENCE = 0.5
"""Seconds a resident tries, as a look by another process holds the lock for a blink."""
BLINK = 0.02


class Claims:
    """The locks one process holds, and what it can see of the others'."""

    def __init__(self, state: Path | None, serve: Serve, *, clock: Clock, disk: Disk) -> None:
        self.held: set[str] = set()
        """Lanes whose lock is ours."""
        self.serve = serve
        self._run = (state or Path()) / "run"
        self._is_shared = state is not None
        self._clock = clock
        self._disk = disk
        self._resident_fd = -1

    def try_lane(self, name: str) -> int | None:
        """Take a lane's lock, if it is free: its descriptor."""
        fd = self._try(self._lock_of(name))
        if fd is not None:
            self.held.add(name)
        return fd

    def let_go(self, name: str, fd: int) -> None:
        """Leave a lane to others."""
        self.held.discard(name)
        self._drop(fd)

    def is_foreign(self, name: str) -> bool:
        """True when another process serves the lane, or we never would."""
        if name in self.held:
            return False
        return self.serve == "never" or self._is_taken(self._lock_of(name))

    def has_resident(self) -> bool:
        """True when another process serves this state directory for everybody."""
        if self.serve == "resident" or not self._is_shared:
            return False
        return self._is_taken(self._run / RESIDENT_LOCK)

    def claim_residence(self) -> bool:
        """Be the one process that serves for everybody; False when there is one."""
        deadline = self._clock.monotonic() + RESIDENCE_PATIENCE
        while True:
            with suppress(OSError):  # a lock that cannot be taken is not ours
                fd = self._try(self._run / RESIDENT_LOCK)
                if fd is not None:
                    self._resident_fd = fd
                    return True
            if self._clock.monotonic() > deadline:
                return False
            threading.Event().wait(BLINK)

    def release_residence(self) -> None:
        """Let another process be the one that serves."""
        fd, self._resident_fd = self._resident_fd, -1
        if fd >= 0:
            self._drop(fd)

    def forget_after_fork(self) -> None:
        """In a forked child: the locks are the parent's."""
        self.held = set()
        self._resident_fd = -1

    def _lock_of(self, name: str) -> Path:
        return self._run / f"lane-{name}.lock"

    def _is_taken(self, path: Path) -> bool:
        with suppress(OSError):  # nobody ever took it, or we cannot know
            fd = self._disk.open(path, os.O_RDWR)
            try:
                return self._disk.is_locked(fd)
            finally:
                self._drop(fd)
        return False

    def _try(self, path: Path) -> int | None:
        """A lock file's descriptor, locked; None when somebody else has it."""
        fd = self._disk.open(path, os.O_RDWR | os.O_CREAT)
        is_ours = False
        try:
            is_ours = self._disk.lock(fd)
        finally:
            if not is_ours:
                self._drop(fd)
        return fd if is_ours else None

    def _drop(self, fd: int) -> None:
        with suppress(OSError):  # nothing was written to it
            self._disk.close(fd)
