"""What the store asks of a database, and what differs between the two it knows.

Questions and landings are written in the SQL both speak, with `?` for a
value; an engine says it in its own way.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

__all__ = ["Dialect", "Reader", "Row", "Values", "Writer"]

Row = tuple[Any, ...]
Values = Sequence[Any]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine names what the tables are made of: `{serial}`, `{integer}` and the rest."""

    name: str
    """`sqlite` or `postgres`."""
    serial: str
    """A key that counts up by itself."""
    integer: str
    real: str
    blob: str
    strict: str
    """What a table's definition ends with."""
    text: str = "TEXT"
    """Text that is compared character by character, whatever the place's customs."""

    def spell(self, statement: str) -> str:
        """A definition in the engine's own words."""
        return statement.replace(" TEXT", f" {self.text}").format(
            serial=self.serial,
            integer=self.integer,
            real=self.real,
            blob=self.blob,
            strict=self.strict,
        )


class Reader(Protocol):
    """A connection that asks."""

    dialect: Dialect

    def rows(self, question: str, values: Values = ()) -> list[Row]:
        """Every row of the answer."""

    def row(self, question: str, values: Values = ()) -> Row | None:
        """The first row of the answer; None when there is none."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Questions inside see one and the same state."""

    def close(self) -> None:
        """Let the database go."""


class Writer(Reader, Protocol):
    """The one connection that writes."""

    def run(self, statement: str, values: Values = ()) -> int:
        """Run one statement; the rows it changed."""

    def insert(self, into: str, rows: Sequence[Values], *, then: str = "") -> int:
        """Insert rows, many a statement; the rows that were inserted or changed.

        `into` is `table (column, column)`; `then` what stands behind the
        values, such as `ON CONFLICT (id) DO NOTHING`.
        """

    def transaction(self, *, is_synced: bool = False) -> AbstractContextManager[None]:
        """All or nothing; with `is_synced`, safe from a power cut when the block is left."""

    def savepoint(self) -> AbstractContextManager[None]:
        """All or nothing within a transaction."""

    def sync(self) -> None:
        """Return when all that was committed is safe from a power cut."""
