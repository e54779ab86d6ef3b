"""Rows that several events write parts of: of each field, the latest word counts.

In whatever order the events land, the row ends the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from eventbus.store.engine import Reader, Values, Writer

__all__ = ["Folded", "alone", "faintly", "folded_rows", "keep_folded"]

IDS_A_QUESTION = 500


class Folded(msgspec.Struct):
    """A row, and the event by which each of its fields is known."""

    fields: dict[str, Any] = {}
    as_of: dict[str, str] = {}
    """By field, the order key of the event that had the last word on it."""

    def say(self, key: str, **fields: Any) -> None:
        """Take what an event says, field by field, unless a later one has spoken."""
        for name, value in fields.items():
            if key > self.as_of.get(name, ""):
                self.fields[name] = value
                self.as_of[name] = key

    def say_as_one(self, key: str, group: str, **fields: Any) -> None:
        """Take fields that go together whole, unless a later event has said them all."""
        if key > self.as_of.get(group, ""):
            self.fields.update(fields)
            self.as_of[group] = key

    def is_said(self, *names: str) -> bool:
        """Whether an event has spoken of any of these, and not only faintly."""
        return any(self.as_of.get(name, _FAINT) > _FAINTEST for name in names)


_FAINT = "-"
_FAINTEST = "."
"""Sorts behind every faint key and before every other: those begin with a year."""


def faintly(key: str) -> str:
    """The key of what an event says by the way: anything said outright counts more."""
    return _FAINT + key


def alone(writer: Writer, table: str) -> None:
    """Let no other machine land in this table until the transaction ends.

    What is read of it to be written again must not change in between. SQLite
    has one writer anyhow.
    """
    if writer.dialect.name == "postgres":
        writer.row("SELECT pg_advisory_xact_lock(hashtext(?))", (f"eventbus {table}",))


def folded_rows(
    reader: Reader, table: str, columns: tuple[str, ...], ids: Iterable[str]
) -> dict[str, Folded]:
    """The rows of these ids as they are, and a blank one for each that is not there.

    The first column is the id; `as_of` stands beside the ones named.
    """
    wanted = list(dict.fromkeys(ids))
    rows = {id: Folded() for id in wanted}
    for start in range(0, len(wanted), IDS_A_QUESTION):
        part = wanted[start : start + IDS_A_QUESTION]
        question = (
            f"SELECT as_of, {', '.join(columns)} FROM {table}"
            f" WHERE {columns[0]} IN ({', '.join('?' * len(part))})"
        )
        for as_of, *values in reader.rows(question, part):
            rows[values[0]] = Folded(dict(zip(columns, values, strict=True)), _read_as_of(as_of))
    return rows


def keep_folded(
    writer: Writer, table: str, columns: tuple[str, ...], rows: Mapping[str, Folded]
) -> None:
    """Write the rows, in order of their ids; one that is there is written over."""
    names = (*columns, "as_of")
    over = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    writer.insert(
        f"{table} ({', '.join(names)})",
        [_values(id, row, columns) for id, row in sorted(rows.items())],
        then=f"ON CONFLICT ({columns[0]}) DO UPDATE SET {over}",
    )


def _values(id: str, row: Folded, columns: tuple[str, ...]) -> Values:
    return (id, *[row.fields.get(name) for name in columns[1:]], _write_as_of(row.as_of))


def _write_as_of(as_of: Mapping[str, str]) -> str:
    """By event the fields it had the last word on: most rows have but one or two."""
    by_key: dict[str, list[str]] = {}
    for name, key in as_of.items():
        by_key.setdefault(key, []).append(name)
    ordered = {key: sorted(by_key[key]) for key in sorted(by_key)}
    return msgspec.json.encode(ordered).decode()


def _read_as_of(text: str | None) -> dict[str, str]:
    by_key = msgspec.json.decode(text or "{}", type=dict[str, list[str]])
    return {name: key for key, names in by_key.items() for name in names}
