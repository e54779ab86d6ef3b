"""Backups of a store on SQLite: made while it is written, verified, some of them kept; put back."""

import os
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import msgspec

from eventbus.clock import utc_now
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StoreUnusable
from eventbus.events.backup import BackupFinished
from eventbus.store.engine import Reader
from eventbus.store.erasing import forget_erased
from eventbus.store.files import (
    STAMP,
    copy_file,
    put_in_place,
    read_stamp,
    refuse_strange_files,
    set_aside,
)
from eventbus.store.migrations import VERSION, version_of
from eventbus.store.serving import LANE, lane_held
from eventbus.store.sqlite import FILE_NAME, SIDES, SqliteReader, copy_database

__all__ = [
    "BACKUPS",
    "KEEP",
    "BackupFile",
    "Restored",
    "back_up",
    "copy_latest",
    "faults_of",
    "integrity_of",
    "list_backups",
    "prune_backups",
    "put_latest_back",
    "restore",
]

BACKUPS = "backups"
"""The directory in the state directory."""
KEEP = 7
"""Backups that are kept unless the settings say otherwise."""
FAULTS_MOST = 20
LEFT_FOR = timedelta(days=1)
"""How old an unfinished backup is before it is held to be left behind."""

STEM, SUFFIX = FILE_NAME.split(".")[0], ".db"

_NAME = re.compile(r"(.+)-(\d{8}T\d{6})(\.\w+)")
_UNFINISHED = re.compile(r"\..+-\d{8}T\d{6}\.\w+\.\d+\.tmp")


class BackupFile(msgspec.Struct, frozen=True, kw_only=True):
    """A finished backup."""

    path: Path
    at: datetime
    """When it was begun, in UTC."""
    bytes: int


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A store that was put back."""

    path: Path
    backup: Path
    aside: Path | None
    """Where the store that was there before is now; None: there was none."""


# --- making ------------------------------------------------------------------------


def back_up(
    state: Path,
    *,
    path: Path | None = None,
    directory: Path | None = None,
    keep: int = KEEP,
    progress: Callable[[int, int], None] | None = None,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> BackupFinished:
    """Make a backup of the store, and delete those beyond the number kept; how it went.

    Whoever writes goes on. `progress` is told the pages that are done, and
    how many there are. Raises `StoreUnusable` where there is no store.
    """
    path, directory = path or state / FILE_NAME, directory or state / BACKUPS
    refuse_strange_files(path, disk)
    if not path.is_file():
        raise StoreUnusable(f"no store at {path}; there is nothing to back up")
    begun_s = perf_counter()
    target = directory / f"{path.stem}-{(now or utc_now()).astimezone(UTC):{STAMP}}{SUFFIX}"
    told = _Told(target)
    try:
        disk.make_directory(directory)
        _make(path, target, told, progress, disk)
        prune_backups(directory, path.stem, keep=max(1, keep), now=now or utc_now(), disk=disk)
    except (OSError, sqlite3.Error, StoreUnusable) as error:
        told.error = f"{type(error).__name__}: {error}"
    return BackupFinished(
        engine="sqlite",
        path=str(target),
        bytes=told.bytes,
        duration_ms=round((perf_counter() - begun_s) * 1000, 3),
        status="success" if told.error is None else "error",
        integrity=told.integrity,
        error=told.error,
    )


class _Told(msgspec.Struct):
    """What is to be said of a backup."""

    path: Path
    bytes: int | None = None
    integrity: str | None = None
    error: str | None = None


def _make(
    path: Path,
    target: Path,
    told: _Told,
    progress: Callable[[int, int], None] | None,
    disk: Disk,
) -> None:
    made = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        disk.close(disk.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL))  # private from the start
        copy_database(path, made, progress=progress)
        faults = faults_of(made)
        told.integrity = "; ".join(faults) or "ok"
        if faults:
            raise StoreUnusable(f"the copy is damaged ({faults[0]}); run 'eventbus doctor'")
        told.bytes = disk.stat(made).st_size
        put_in_place(made, target, disk=disk)
    finally:
        _remove(made, disk)


def faults_of(path: Path) -> list[str]:
    """What is wrong with a database that nobody writes; empty when it can be trusted."""
    try:
        reader = SqliteReader(path)
    except sqlite3.Error as error:
        return [str(error)]
    try:
        return integrity_of(reader) or _wrong_version(version_of(reader))
    except sqlite3.Error as error:
        return [str(error)]
    finally:
        reader.close()


def integrity_of(reader: Reader) -> list[str]:
    """What SQLite's own check of its pages finds, a line each."""
    rows = reader.rows(f"PRAGMA integrity_check({FAULTS_MOST})")
    lines = [line for row in rows for line in str(row[0]).split("\n")]
    return [line for line in lines if line != "ok" and not line.startswith("***")]


def _wrong_version(version: int) -> list[str]:
    if 1 <= version <= VERSION:
        return []
    return [f"its tables are of version {version}, this eventbus knows 1 to {VERSION}"]


def prune_backups(
    directory: Path, name: str, *, keep: int, suffix: str = SUFFIX, now: datetime, disk: Disk
) -> None:
    """Delete backups beyond the number kept, and what was left half-made."""
    for backup in list_backups(directory, name, suffix=suffix, disk=disk)[keep:]:
        disk.unlink(backup.path)
    for name in filter(_UNFINISHED.fullmatch, disk.names(directory)):
        with suppress(FileNotFoundError):  # its maker has finished meanwhile
            made = datetime.fromtimestamp(disk.stat(directory / name).st_mtime, UTC)
            if made < now - LEFT_FOR:
                disk.unlink(directory / name)


def list_backups(
    directory: Path, name: str = STEM, *, suffix: str = SUFFIX, disk: Disk = SYSTEM_DISK
) -> list[BackupFile]:
    """The backups of the store of that name, the latest first; they are not looked into."""
    found = (_backup_of(directory / file, name, suffix, disk) for file in disk.names(directory))
    backups = [backup for backup in found if backup is not None]
    return sorted(backups, key=lambda backup: backup.at, reverse=True)


def _backup_of(path: Path, name: str, suffix: str, disk: Disk) -> BackupFile | None:
    match = _NAME.fullmatch(path.name)
    if match is None or (match[1], match[3]) != (name, suffix):
        return None
    at = read_stamp(match[2])
    if at is None:
        return None
    with suppress(FileNotFoundError):
        return BackupFile(path=path, at=at, bytes=disk.stat(path).st_size)
    return None


# --- putting back ------------------------------------------------------------------


def restore(
    state: Path,
    backup: Path | None = None,
    *,
    path: Path | None = None,
    lane: str = LANE,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Restored:
    """Put a backup in the store's place, by default the latest that is good.

    What was there is set aside. The lane goes on from the backup's own
    cursor, so that the store comes to hold all the journal has. Raises
    `StoreUnusable`, and changes nothing, for a damaged backup or while the
    lane is served.
    """
    path = path or state / FILE_NAME
    with lane_held(state, lane, wish="restore a backup", disk=disk):
        refuse_strange_files(path, disk)
        made = path.with_name(f"{path.name}.new")
        source = _copy(backup, made, disk) if backup is not None else None
        source = source or copy_latest(state / BACKUPS, made, name=path.stem, disk=disk)
        if source is None:
            raise StoreUnusable(f"no good backup in {state / BACKUPS}; 'eventbus backup' makes one")
        forget_erased(made, state, disk)
        aside = set_aside(path, "before", now=now or utc_now(), disk=disk)
        put_in_place(made, path, disk=disk)
    return Restored(path=path, backup=source, aside=aside)


def _copy(backup: Path, made: Path, disk: Disk) -> Path:
    faults = _faults_of_copy(backup, made, disk)
    if faults:
        _remove(made, disk)
        raise StoreUnusable(f"cannot restore {backup}: {faults[0]}; choose another backup")
    return backup


def put_latest_back(path: Path, backups: Path, *, disk: Disk) -> Path | None:
    """Let the latest good backup be the store, where none is; None when there is no such."""
    made = path.with_name(f"{path.name}.new")
    source = copy_latest(backups, made, name=path.stem, disk=disk)
    if source is not None:
        forget_erased(made, backups.parent, disk)
        set_aside(path, "before", now=utc_now(), disk=disk)  # the log of one that is gone
        put_in_place(made, path, disk=disk)
    return source


def copy_latest(backups: Path, made: Path, *, name: str, disk: Disk) -> Path | None:
    """Copy the latest backup of that name that is good; damaged ones are passed over."""
    for backup in list_backups(backups, name, disk=disk):
        if not _faults_of_copy(backup.path, made, disk):
            return backup.path
        _remove(made, disk)
    return None


def _faults_of_copy(backup: Path, made: Path, disk: Disk) -> list[str]:
    """Copy a backup, and look at the copy: a fault of either shows there."""
    _remove(made, disk)
    try:
        if not stat.S_ISREG(disk.stat(backup).st_mode):
            return ["it is no regular file"]
        copy_file(backup, made, disk=disk)
    except OSError as error:
        return [f"{error.strerror}"]
    return faults_of(made)


def _remove(made: Path, disk: Disk) -> None:
    for side in SIDES:
        with suppress(FileNotFoundError):
            disk.unlink(made.with_name(made.name + side))
