"""What ran for which moment, shared by all processes on one state directory."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE

__all__ = ["Claim", "Ledger", "LedgerInMemory"]

LEDGER_NAME = "heartbeat.json"
LOCK_TRIES, LOCK_PAUSE_S = 100, 0.01
"""The ledger's lock is held for a write of a few hundred bytes."""
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT


class _Entry(msgspec.Struct, frozen=True):
    """The latest moment a job has been run for."""

    due: datetime
    status: str = ""


class _Ledger(msgspec.Struct, frozen=True):
    jobs: dict[str, _Entry] = {}


class Claim:
    """The right to run a job, until it is let go or the process ends."""

    __slots__ = ("_disk", "_fd")

    def __init__(self, disk: Disk, fd: int) -> None:
        self._disk = disk
        self._fd = fd

    def let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)  # the lock goes with the descriptor


class Ledger:
    """The latest moment each job has been run for; its calls block for a moment."""

    def __init__(self, state: Path, disk: Disk = SYSTEM_DISK) -> None:
        self._run = state / "run"
        self._disk = disk

    def claim(self, job: str) -> Claim | None:
        """The right to run a job now; None while another process has it."""
        self._disk.make_directory(self._run)
        fd = self._disk.open(self._run / f"job-{job}.lock", _LOCK_FLAGS)
        if self._disk.lock(fd):
            return Claim(self._disk, fd)
        self._disk.close(fd)
        return None

    def latest(self, job: str) -> datetime | None:
        """The latest moment a job has been run for; None: it is not known."""
        entry = self._read().jobs.get(job)
        return entry.due if entry is not None else None

    def note(self, job: str, due: datetime, status: str = "") -> None:
        """Keep that a job has been run for a moment."""
        with self._locked():
            jobs = {**self._read().jobs, job: _Entry(due, status)}
            written = msgspec.json.format(msgspec.json.encode(_Ledger(jobs)))
            self._disk.replace(self._run / LEDGER_NAME, written + b"\n")

    def _read(self) -> _Ledger:
        try:
            return msgspec.json.decode(self._disk.read(self._run / LEDGER_NAME), type=_Ledger)
        except (FileNotFoundError, *UNREADABLE):
            # Without it nothing is known to have been missed; days go on from here.
            return _Ledger()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._disk.make_directory(self._run)
        fd = self._disk.open(self._run / "heartbeat.lock", _LOCK_FLAGS)
        try:
            self._wait_for(fd)
            yield
        finally:
            self._disk.close(fd)

    def _wait_for(self, fd: int) -> None:
        for _ in range(LOCK_TRIES):
            if self._disk.lock(fd):
                return
            time.sleep(LOCK_PAUSE_S)
        raise TimeoutError(f"{self._run / 'heartbeat.lock'} is held by another process")


class LedgerInMemory(Ledger):
    """The same for a bus that keeps nothing on disk."""

    def __init__(self) -> None:
        self._latest: dict[str, datetime] = {}

    def claim(self, job: str) -> Claim | None:
        return Claim(SYSTEM_DISK, -1)

    def latest(self, job: str) -> datetime | None:
        return self._latest.get(job)

    def note(self, job: str, due: datetime, status: str = "") -> None:
        self._latest[job] = due
