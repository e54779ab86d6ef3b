"""Events out of the store as text, and ingested files as they were, in bounded memory."""

import csv
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec

from eventbus.errors import ExportRefused
from eventbus.kinds import Kinds
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader, Row
from eventbus.store.ingested import ingested_files, path_text
from eventbus.store.lineage import FINGERPRINT, Chain
from eventbus.store.pieces import ForeignFile
from eventbus.store.retrace import last_of_file, retrace

__all__ = ["COLUMNS", "FORMS", "export_events", "export_ingested"]

COLUMNS = (
    "id",
    "ts",
    "event_type",
    "source",
    "message",
    "session_id",
    "kv_json",
    "raw_line",
    "raw_bytes",
    "event_id",
    "component",
    "chat_id",
    "user_id",
)
"""Of table `events`, in its order."""
ROWS_A_READ = 500
BYTES_A_READ = 1024 * 1024
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

_KV, _RAW_LINE, _RAW_BYTES = map(COLUMNS.index, ("kv_json", "raw_line", "raw_bytes"))


def export_events(
    store: Reader,
    form: str = "flat",
    *,
    kinds: Kinds = None,
    since: datetime | None = None,
    until: datetime | None = None,
    session: str | None = None,
    is_guarded: bool = True,
) -> Iterator[bytes]:
    """Events as whole lines, many at a time, oldest first: `flat`, `jsonl` or `csv`.

    `since` is inclusive, `until` exclusive; a naive one is local time. In
    CSV a cell that a spreadsheet would run as a formula has a `'` before it,
    unless `is_guarded` is off.
    """
    if form not in FORMS:
        raise ExportRefused(f"no form {form!r}; allowed: {', '.join(FORMS)}")
    wishes = Conditions()
    wishes.kinds_as_they_happened(kinds)
    wishes.between(since, until)
    wishes.add("session_id = ?", session)
    head, write = FORMS[form]
    return _written(store, wishes, head, lambda rows: write(rows, is_guarded))


def _written(
    store: Reader, wishes: Conditions, head: bytes, write: Callable[[list[Row]], bytes]
) -> Iterator[bytes]:
    if head:
        yield head
    for rows in _rows(store, wishes):
        yield write(rows)


def _rows(store: Reader, wishes: Conditions) -> Iterator[list[Row]]:
    """The rows there are now, some at a time; those that land meanwhile are left out."""
    newest = store.row("SELECT max(id) FROM events")
    wishes.all("+id <= ?", (newest[0] or 0 if newest is not None else 0,))
    place: tuple[str, int] = ("", 0)
    most = 1
    while rows := store.rows(
        f"SELECT {', '.join(COLUMNS)} FROM events{wishes.where} AND (ts, id) > (?, ?)"
        f" ORDER BY ts, id LIMIT {most}",
        (*wishes.values, *place),
    ):
        yield rows
        place = (rows[-1][1], rows[-1][0])
        most = _fitting(rows)


def _fitting(rows: list[Row]) -> int:
    """How many rows to read next: few where they are long."""
    size = sum(len(row[_RAW_LINE]) + len(row[_KV] or "") for row in rows) // len(rows)
    return max(1, min(ROWS_A_READ, 2 * len(rows), BYTES_A_READ // max(1, size)))


# --- the forms -----------------------------------------------------------------------


def _flat(rows: list[Row], _: bool) -> bytes:
    return b"".join(map(_flat_line, rows))


def _flat_line(row: Row) -> bytes:
    raw = row[_RAW_BYTES]
    if raw is None:
        return f"{row[_RAW_LINE]}\n".encode()
    return bytes(raw) if raw[-1:] == b"\n" else bytes(raw) + b"\n"


def _jsonl(rows: list[Row], _: bool) -> bytes:
    return _encode_lines([_in_json(row) for row in rows])


_encode_lines = msgspec.json.Encoder().encode_lines


def _in_json(row: Row) -> dict[str, Any]:
    named = dict(zip(COLUMNS, row, strict=True))
    if named["kv_json"] is not None:
        named["kv_json"] = msgspec.Raw(named["kv_json"].encode())
    return named


def _csv(rows: list[Row], is_guarded: bool) -> bytes:
    text = StringIO()
    writer = csv.writer(text)
    writer.writerows([[_cell(value, is_guarded) for value in row] for row in rows])
    return text.getvalue().encode()


def _cell(value: Any, is_guarded: bool) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if is_guarded and isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return value


_Write = Callable[[list[Row], bool], bytes]
_HEAD = ",".join(COLUMNS).encode() + b"\r\n"
FORMS: dict[str, tuple[bytes, _Write]] = {
    "flat": (b"", _flat),
    "jsonl": (b"", _jsonl),
    "csv": (_HEAD, _csv),
}
"""What stands before the first row, and what writes rows, by the name of the form."""


# --- files that were ingested ----------------------------------------------------------


def export_ingested(store: Reader, file: str | os.PathLike[str]) -> Iterator[bytes]:
    """An ingested file byte for byte, in parts: one of that path, or of that fingerprint.

    Of a path that was ingested more than once, or a fingerprint that several
    files share, it is the latest. A path that was not, of a file that is
    there, asks for what that file holds. Raises `ExportRefused`.
    """
    written = os.fspath(file)
    known = ingested_files(store, path=path_text(written))
    if not known and FINGERPRINT.fullmatch(written):
        known = ingested_files(store, file=written)
    if known:
        return retrace(store, known[0].last) if known[0].last else iter(())
    if FINGERPRINT.fullmatch(written) and (last := last_of_file(store, written)) is not None:
        return retrace(store, last)
    if Path(written).is_file():
        return retrace(store, _last_in(written))
    raise ExportRefused(
        f"no file {written!r} was ingested; give the path it had, its fingerprint,"
        " or the path of a file with the same content"
    )


def _last_in(path: str) -> str:
    """The id of the last line of a file that is there."""
    chain = Chain()
    with ForeignFile(path) as file:
        while pieces := file.pieces() or file.last_piece():
            chain.ids(pieces)
    return chain.last
