"""SQLite: one connection that writes and checkpoints, and readers that never wait for it."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from eventbus.store.engine import Dialect, Row, Values

__all__ = [
    "FILE_NAME",
    "SIDES",
    "SQLITE",
    "SqliteReader",
    "SqliteWriter",
    "copy_database",
    "has_log",
    "is_damage",
    "is_of_sqlite",
    "is_out_of_time",
    "is_passing",
    "is_refusal",
]

FILE_NAME = "store.db"
SIDES = ("", "-wal", "-shm", "-journal")
"""What the names of a database's files end in."""

SQLITE = Dialect(
    name="sqlite",
    serial="INTEGER PRIMARY KEY AUTOINCREMENT",
    integer="INTEGER",
    real="REAL",
    blob="BLOB",
    strict=" STRICT",
)

ROWS_A_STATEMENT = 64
"""Rows of one INSERT: from about there on a longer one is no quicker."""
BUSY_SECONDS = 5.0
"""How long a question waits in the rare moment that nobody may read."""
BUSY_WRITER_SECONDS = 0.5
"""How long a batch waits for a stranger who writes; the lane tries again after that."""
BUSY_CHECKPOINT_SECONDS = 0.1
"""How long emptying the log waits for readers, while nothing is written."""
CACHE_KIB = 16_384
CHECKPOINT_PAGES = 4_000
"""Pages in the log before they are put into the file: about 16 MiB."""
LOG_KEPT_BYTES = 16 * 1024 * 1024
"""What the log is cut back to once it begins anew."""
COPY_PAGES = 1_000
"""Pages copied at a time by a backup: about 4 MiB."""
STATEMENTS_KEPT = 256
STEPS_BETWEEN_LOOKS = 20_000
"""Instructions between looks at a question's deadline."""


class SqliteReader:
    """A connection that only asks; sees what was committed when its question began."""

    dialect = SQLITE

    def __init__(self, path: Path, *, deadline_s: float | None = None) -> None:
        self._connection = _connect(path, mode="ro", busy_s=BUSY_SECONDS)
        self._connection.execute("PRAGMA query_only = 1")
        self._deadline_s = deadline_s

    def rows(self, question: str, values: Values = ()) -> list[Row]:
        with self._in_time():
            return self._connection.execute(question, values).fetchall()

    def row(self, question: str, values: Values = ()) -> Row | None:
        with self._in_time():
            row: Row | None = self._connection.execute(question, values).fetchone()
            return row

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Interrupt a question that takes too long."""
        if self._deadline_s is None:
            yield
            return
        import time  # a deadline is rare enough

        until = time.monotonic() + self._deadline_s
        self._connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)

    def close(self) -> None:
        self._connection.close()


class SqliteWriter:
    """The connection that writes; used by one thread at a time."""

    dialect = SQLITE

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = _connect(path, mode="rwc", busy_s=BUSY_WRITER_SECONDS)
        self._statements: dict[tuple[str, int, int, str], str] = {}
        self._file = _identity(path)
        self._prepare()

    def _prepare(self) -> None:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"journal_size_limit = {LOG_KEPT_BYTES}",
            f"cache_size = -{CACHE_KIB}",
            "temp_store = MEMORY",
            "foreign_keys = ON",
        ):
            self._connection.execute(f"PRAGMA {pragma}")

    # --- asking ------------------------------------------------------------------

    def rows(self, question: str, values: Values = ()) -> list[Row]:
        return self._connection.execute(question, values).fetchall()

    def row(self, question: str, values: Values = ()) -> Row | None:
        row: Row | None = self._connection.execute(question, values).fetchone()
        return row

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self.transaction():
            yield

    # --- writing -----------------------------------------------------------------

    def run(self, statement: str, values: Values = ()) -> int:
        return self._connection.execute(statement, values).rowcount

    def insert(self, into: str, rows: Sequence[Values], *, then: str = "") -> int:
        changed = 0
        for start in range(0, len(rows), ROWS_A_STATEMENT):
            part = rows[start : start + ROWS_A_STATEMENT]
            statement = self._insertion(into, len(part), len(part[0]), then)
            values = tuple(chain.from_iterable(part))
            changed += self._connection.execute(statement, values).rowcount
        return changed

    def _insertion(self, into: str, rows: int, columns: int, then: str) -> str:
        key = (into, rows, columns, then)
        statement = self._statements.get(key)
        if statement is None:
            row = f"({', '.join('?' * columns)})"
            statement = f"INSERT INTO {into} VALUES {', '.join([row] * rows)} {then}"
            self._statements[key] = statement
        return statement

    @contextmanager
    def transaction(self, *, is_synced: bool = False) -> Iterator[None]:
        if is_synced:
            self._connection.execute("PRAGMA synchronous = FULL")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise
        finally:
            if is_synced:
                self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled all of it back by itself
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def sync(self) -> None:
        """A commit that syncs takes all before it along: they stand in the same file."""
        with self.transaction(is_synced=True):
            self.run(
                "INSERT INTO store_facts (name, value) VALUES ('synced', '1')"
                " ON CONFLICT (name) DO UPDATE SET value = store_facts.value + 1"
            )

    # --- the file and its log ------------------------------------------------------

    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        with suppress(FileNotFoundError):
            return os.stat(f"{self.path}-wal").st_size
        return 0

    def empty_log(self) -> bool:
        """Put what the log holds into the file, and cut it; False when readers are in the way.

        Those who see an old state of the store are waited for, a blink; what
        they do not need is put into the file in any case.
        """
        self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_CHECKPOINT_SECONDS * 1000)}")
        try:
            row = self.row("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_WRITER_SECONDS * 1000)}")
        return row is not None and not row[0]

    def is_in_place(self) -> bool:
        """False when the file was deleted, moved or replaced under us."""
        return _identity(self.path) == self._file

    def close(self) -> None:
        self._connection.close()

    def abandon(self) -> None:
        """Let a damaged database go."""
        with suppress(sqlite3.Error):
            self._connection.close()


def copy_database(
    source: Path, target: Path, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Copy a database as it is at one moment into an empty file, while others write to it.

    The copy is one file without a log. What is copied is held by reading it:
    otherwise the copy would begin anew with every write of the others.
    """

    def tell(_status: int, left: int, pages: int) -> None:
        if progress is not None:
            progress(pages - left, pages)

    with (
        closing(_connect(source, mode="ro", busy_s=BUSY_SECONDS)) as reading,
        closing(_connect(target, mode="rw", busy_s=BUSY_SECONDS)) as writing,
    ):
        writing.execute("PRAGMA synchronous = OFF")  # its maker syncs the whole
        writing.execute("PRAGMA journal_mode = OFF")
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(writing, pages=COPY_PAGES, progress=tell)
        reading.execute("ROLLBACK")
        writing.execute("PRAGMA journal_mode = DELETE")


def has_log(path: Path) -> bool:
    """True when a database was not closed by whoever wrote last, or is open now."""
    with suppress(FileNotFoundError):
        return os.stat(f"{path}-wal").st_size > 0
    return False


def is_of_sqlite(error: Exception) -> bool:
    """True for what SQLite itself says."""
    return isinstance(error, sqlite3.Error)


def is_damage(error: Exception) -> bool:
    """True when a file is no database, or one whose pages are not as they were written."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_out_of_time(error: Exception) -> bool:
    """True for a question that was interrupted at its deadline."""
    return _code(error) == sqlite3.SQLITE_INTERRUPT


def is_passing(error: Exception) -> bool:
    """True for what has nothing to do with what is written: locks, the disk, permissions."""
    return _code(error) in _PASSING


def is_refusal(error: Exception) -> bool:
    """True for what the database will never take."""
    return _code(error) in _REFUSALS


_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_REFUSALS = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG})


def _code(error: Exception) -> int:
    """The primary code of an error of SQLite's; 0 for any other."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) and isinstance(error, sqlite3.Error) else 0


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        there = os.stat(path, follow_symlinks=False)
        return there.st_dev, there.st_ino
    return None


def _connect(path: Path, *, mode: str, busy_s: float) -> sqlite3.Connection:
    try:
        return _connect_once(path, mode=mode, busy_s=busy_s)
    except sqlite3.OperationalError as error:
        if mode != "ro" or _code(error) != sqlite3.SQLITE_READONLY:
            raise
    # A writer was killed half-way, and who only reads may not take it back.
    with suppress(sqlite3.Error):
        _connect_once(path, mode="rw", busy_s=busy_s).close()
    return _connect_once(path, mode=mode, busy_s=busy_s)


def _connect_once(path: Path, *, mode: str, busy_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_KEPT,
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")  # is it a database at all
    except BaseException:
        connection.close()
        raise
    return connection
