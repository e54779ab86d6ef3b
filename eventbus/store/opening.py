"""Opening the store: to ask, a state directory's own or the one a team shares; to land in it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from eventbus.clock import utc_now
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StoreUnusable
from eventbus.store.backup import put_latest_back
from eventbus.store.engine import Reader
from eventbus.store.files import asides, refuse_strange_files, set_aside
from eventbus.store.migrations import VERSION, check_version, migrate, version_of
from eventbus.store.sqlite import (
    FILE_NAME,
    SqliteReader,
    SqliteWriter,
    has_log,
    is_damage,
    is_out_of_time,
)

__all__ = [
    "Opened",
    "has_tables",
    "open_reader",
    "open_store",
    "open_to_land",
    "open_writer",
    "set_damaged_aside",
    "store_is_there",
]

DEADLINE_S = 30.0
"""Seconds a question may take."""
SHARED = ("postgresql://", "postgres://")
SMALLEST_BYTES = 512
"""The smallest page a database can have."""
LOOK_BYTES = 256 * 1024 * 1024
"""Size up to which every page is looked at after a crash: about a second."""
DAMAGE_WITHIN = timedelta(hours=1)
DAMAGE_MOST = 3
"""Stores that are set aside within that time before somebody has to look at the disk."""


@contextmanager
def open_store(
    where: str | os.PathLike[str], *, deadline_s: float | None = DEADLINE_S
) -> Iterator[Reader]:
    """Open a store for questions, as a block: a state directory, or a `postgresql://` address.

    Nothing is written, and whoever writes is not waited for. Raises
    `StoreUnusable` where there is no store, or one of another version.
    """
    reader = open_reader(where, deadline_s=deadline_s)
    try:
        check_version(reader)
        yield reader
    except sqlite3.Error as error:
        if is_out_of_time(error):
            raise StoreUnusable(
                f"a question to the store took longer than {deadline_s} s; ask for less"
            ) from error
        if is_damage(error):
            raise StoreUnusable(
                f"the store in {where} is damaged: {error};"
                " 'eventbus doctor' says more, 'eventbus rebuild' makes it anew"
            ) from error
        raise
    finally:
        reader.close()


def open_reader(where: str | os.PathLike[str], *, deadline_s: float | None) -> Reader:
    """A connection that only asks, whatever the version of the tables."""
    if isinstance(where, str) and where.startswith(SHARED):
        from eventbus.store.postgres import PostgresReader  # an extra, for those who ask for it

        return PostgresReader(where, deadline_s=deadline_s)
    path = _file_of(where)
    if Path(where).is_dir():
        refuse_strange_files(path, SYSTEM_DISK)
    if not path.is_file():  # opening a pipe would wait for whoever writes to it
        raise StoreUnusable(f"no store at {path}; 'eventbus up' makes one from the journal")
    try:
        return SqliteReader(path, deadline_s=deadline_s)
    except sqlite3.Error as error:
        raise StoreUnusable(
            f"cannot read the store {path}: {error}; 'eventbus rebuild' makes it anew"
        ) from error


def _file_of(where: str | os.PathLike[str]) -> Path:
    """The file itself, or the one in a state directory."""
    path = Path(where)
    return path / FILE_NAME if path.is_dir() else path


def store_is_there(where: str | os.PathLike[str]) -> bool:
    """Whether there are tables to ask; a store that cannot be read is there."""
    is_shared = isinstance(where, str) and where.startswith(SHARED)
    if not is_shared and not _file_of(where).exists():
        return False
    reader = open_reader(where, deadline_s=DEADLINE_S)
    try:
        return version_of(reader) > 0
    except sqlite3.Error:  # whoever asks it will be told what is wrong
        return True
    finally:
        reader.close()


# --- to land in it -----------------------------------------------------------------


class Opened(msgspec.Struct, frozen=True):
    """A store that is ready, and what it took."""

    writer: SqliteWriter
    damage: str | None = None
    """What was wrong with the file that was there; None: nothing."""
    aside: Path | None = None
    """Where that one is now."""
    backup: Path | None = None
    """The backup that was put in its place; None: it begins empty."""


def open_to_land(
    path: Path,
    *,
    backups: Path | None = None,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Opened:
    """Open the store that is there, make one where there is none, replace one that is damaged.

    A new one is the latest backup that is good, else empty; what comes after
    its cursor is for the lane to land. Raises `StoreUnusable` for what is no
    store of ours, or a later version's.
    """
    now = now or utc_now()
    refuse_strange_files(path, disk)
    damage, aside = None, None
    if _size(path):  # of an empty file nothing is left that a backup would not have
        found = _writer_or_damage(path)
        if isinstance(found, SqliteWriter):
            return Opened(found)
        damage, aside = found, set_damaged_aside(path, now=now, disk=disk)
    elif has_log(path):  # of a store that is gone: it must not get into another
        set_aside(path, "before", now=now, disk=disk)
    backup = put_latest_back(path, backups, disk=disk) if backups is not None else None
    return Opened(open_writer(path), damage, aside, backup)


def _writer_or_damage(path: Path) -> SqliteWriter | str:
    """A store that is there, or what is wrong with its pages.

    All of them are looked at after an end that was not clean, as long as that
    takes no more than a moment.
    """
    if _size(path) < SMALLEST_BYTES:  # SQLite would take it for an empty one, and write over it
        return "file is not a database"
    look = has_log(path) and _size(path) <= LOOK_BYTES
    try:
        writer = open_writer(path)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return str(error)
    fault = _first_fault(writer) if look else None
    if fault is None:
        return writer
    writer.abandon()
    return fault


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _first_fault(writer: SqliteWriter) -> str | None:
    try:
        row = writer.row("PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return str(error)
    said = str(row[0]) if row is not None else "ok"
    return None if said == "ok" else said.split("\n")[-1]


def open_writer(path: Path) -> SqliteWriter:
    """Open a store, its tables of this version."""
    _refuse_foreign(path)
    _make_private(path)
    writer = SqliteWriter(path)
    try:
        migrate(writer)
    except BaseException:
        writer.close()
        raise
    return writer


def _make_private(path: Path) -> None:
    """Let the file be ours alone before anything is in it: those beside it take after it.

    One that is there is not opened: closing it would let go of the locks that
    SQLite holds on it in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        path.chmod(0o600)


def _refuse_foreign(path: Path) -> None:
    """Raise `StoreUnusable` for a database with tables that are not ours, and leave it as it is."""
    if not path.exists():
        return
    reader = SqliteReader(path)
    try:
        if version_of(reader):
            return
        tables = reader.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    finally:
        reader.close()
    if tables:
        names = ", ".join(str(row[0]) for row in tables[:5])
        raise StoreUnusable(
            f"cannot keep the store in {path}: it is a database of something else"
            f" (tables {names}); move it away, or give the sink another path"
        )


def has_tables(writer: SqliteWriter) -> bool:
    """False when the tables of an open store are no more."""
    with suppress(sqlite3.Error):
        return version_of(writer) == VERSION
    return False


def set_damaged_aside(path: Path, *, now: datetime, disk: Disk) -> Path | None:
    """Set a damaged store aside; refused where that happens again and again."""
    if asides(path, "corrupt", since=now - DAMAGE_WITHIN, disk=disk) >= DAMAGE_MOST:
        raise StoreUnusable(
            f"the store {path} is damaged, and was {DAMAGE_MOST} times within the hour;"
            " look at the disk, then run 'eventbus rebuild'"
        )
    return set_aside(path, "corrupt", now=now, disk=disk)
