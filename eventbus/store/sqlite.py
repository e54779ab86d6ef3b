"""SQLite: one connection that writes and checkpoints, and readers that never wait for it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from eventbus.store.engine import Dialect, Row, Values

__all__ = ["FILE_NAME", "SQLITE", "SqliteReader", "SqliteWriter"]

FILE_NAME = "store.db"

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
CACHE_KIB = 16_384
CHECKPOINT_PAGES = 2_000
"""Pages in the WAL before it is folded back into the file: about 8 MiB."""
STATEMENTS_KEPT = 256
STEPS_BETWEEN_LOOKS = 20_000
"""Instructions between looks at a question's deadline."""


class SqliteReader:
    """A connection that only asks; sees what was committed when its question began."""

    dialect = SQLITE

    def __init__(self, path: Path, *, deadline_s: float | None = None) -> None:
        self._connection = _connect(path, mode="ro")
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
        self._connection = _connect(path, mode="rwc")
        self._statements: dict[tuple[str, int, int, str], str] = {}
        self._prepare()

    def _prepare(self) -> None:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
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

    def close(self) -> None:
        self._connection.close()


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
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
