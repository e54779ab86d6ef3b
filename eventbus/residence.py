"""Which process is resident on a state directory: the one that serves its lanes for all."""

import os
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE

__all__ = ["Resident", "resident_of", "say_resident"]

LOCK_NAME = "resident.lock"
NOTE_NAME = "up.json"


class Resident(msgspec.Struct, frozen=True):
    """What a resident says of itself in `run/up.json`."""

    pid: int | None = None

    def __str__(self) -> str:
        return f"process {self.pid}" if self.pid is not None else "another process"


def say_resident(state: Path, disk: Disk = SYSTEM_DISK) -> None:
    """Leave a note for those who find the lock taken."""
    note = msgspec.json.encode(Resident(pid=os.getpid()))
    disk.replace(state / "run" / NOTE_NAME, note + b"\n")


def resident_of(state: Path, disk: Disk = SYSTEM_DISK) -> Resident | None:
    """Who is resident there now, if anybody is."""
    if not _is_taken(state / "run" / LOCK_NAME, disk):
        return None
    try:
        return msgspec.json.decode(disk.read(state / "run" / NOTE_NAME), type=Resident)
    except (OSError, *UNREADABLE):
        return Resident()


def _is_taken(lock: Path, disk: Disk) -> bool:
    try:
        fd = disk.open(lock, os.O_RDWR)
    except OSError:  # nobody ever was, or we may not know
        return False
    try:
        return not disk.lock(fd)
    finally:
        disk.close(fd)
