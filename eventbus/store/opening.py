"""Opening the store to ask: a state directory's own, or the one a team shares."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventbus.errors import StoreUnusable
from eventbus.store.engine import Reader
from eventbus.store.migrations import check_version
from eventbus.store.sqlite import FILE_NAME, SqliteReader

__all__ = ["open_store"]

DEADLINE_S = 30.0
"""Seconds a question may take."""
SHARED = ("postgresql://", "postgres://")


@contextmanager
def open_store(
    where: str | os.PathLike[str], *, deadline_s: float | None = DEADLINE_S
) -> Iterator[Reader]:
    """Open a store for questions, as a block: a state directory, or a `postgresql://` address.

    Nothing is written, and whoever writes is not waited for. Raises
    `StoreUnusable` where there is no store, or one of another version.
    """
    reader = _reader(where, deadline_s)
    try:
        check_version(reader)
        yield reader
    finally:
        reader.close()


def _reader(where: str | os.PathLike[str], deadline_s: float | None) -> Reader:
    if isinstance(where, str) and where.startswith(SHARED):
        from eventbus.store.postgres import PostgresReader  # an extra, for those who ask for it

        return PostgresReader(where, deadline_s=deadline_s)
    path = Path(where) / FILE_NAME if Path(where).is_dir() else Path(where)
    try:
        return SqliteReader(path, deadline_s=deadline_s)
    except sqlite3.Error as error:
        raise StoreUnusable(_why_not(path, error)) from error


def _why_not(path: Path, error: sqlite3.Error) -> str:
    if not path.is_file():
        return f"no store at {path}; 'eventbus up' makes one from the journal"
    return f"cannot read the store {path}: {error}; 'eventbus rebuild' makes it anew"
