"""Are the store's rows what the journal's lines make of them: none altered, missing or added."""

from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UnknownEvent
from eventbus.store.doctor import examine
from eventbus.store.engine import Reader, Row
from eventbus.store.events import COLUMNS, Lined, row_of
from eventbus.store.landing import lined_of
from eventbus.store.merging import journal_batches
from eventbus.store.opening import open_store
from eventbus.store.whereabouts import StoreAt
from eventbus.units import without_password

__all__ = ["AlteredRow", "Compared", "compare_rows"]

ALTERED_MOST = 1_000
"""Rows that are listed."""
EXAMPLES_MOST = 20
ROWS_A_QUESTION = 500
_NAMES = COLUMNS.partition("(")[2].rstrip(")").split(", ")
_BY_CLASS = {"source", "message", "raw_line"}
"""Columns that only who knows an event's class can make."""


class AlteredRow(msgspec.Struct, frozen=True):
    """A row that is not what its line makes of it."""

    id: str
    kind: str
    columns: tuple[str, ...]


class Compared(msgspec.Struct, kw_only=True):
    """One store held against the journal."""

    where: str
    rows: int = 0
    """Rows that have a line."""
    altered: list[AlteredRow] = []
    altered_left_out: int = 0
    missing: int = 0
    """Events before the store's place in the journal that have no row."""
    missing_ids: list[str] = []
    added: int = 0
    """Rows no line has, though the journal goes back that far."""
    added_ids: list[str] = []
    older: int = 0
    """Rows from before the journal that is kept: nothing is left to hold them against."""
    trouble: list[str] = []
    """Why it could not be compared."""

    @property
    def is_altered(self) -> bool:
        return bool(self.altered or self.added)


def compare_rows(state: Path, store: StoreAt, *, disk: Disk = SYSTEM_DISK) -> Compared:
    """Hold every row of table `events` against its line; nothing is changed."""
    place = str(store.path) if store.path is not None else store.url or ""
    shown = place if store.path is not None else without_password(place)
    examined = examine(state, store, disk=disk)
    compared = Compared(where=shown)
    if examined.version is None:
        compared.trouble = [finding.what for finding in examined.findings]
        return compared
    for writer in examined.writers:
        compared.missing += writer.missing
        compared.missing_ids += writer.examples
    strangers = examined.strangers
    compared.added, compared.added_ids = strangers.others, strangers.examples[:EXAMPLES_MOST]
    compared.older = strangers.older
    with open_store(place, deadline_s=None) as reader:
        for batch in journal_batches(state, {}, kinds=store.kinds, most=ROWS_A_QUESTION, disk=disk):
            _compare(reader, lined_of(batch.lines), compared)
    return compared


def _compare(reader: Reader, lined: list[Lined], compared: Compared) -> None:
    marks = ", ".join("?" * len(lined))
    rows = reader.rows(
        f"SELECT {', '.join(_NAMES)} FROM events WHERE event_id IN ({marks})",
        [each.fits.id for each in lined],
    )
    there = {row[_NAMES.index("event_id")]: row for row in rows}
    compared.rows += len(rows)
    for each in lined:
        row = there.get(each.fits.id)
        columns = _differing(row, each) if row is not None else ()
        if columns:
            _note(compared, AlteredRow(each.fits.id, each.event.kind, columns))


def _differing(row: Row, lined: Lined) -> tuple[str, ...]:
    wanted = row_of(lined)
    if row == wanted:
        return ()
    passed = _BY_CLASS if isinstance(lined.event, UnknownEvent) else set()
    return tuple(
        name
        for name, there, ought in zip(_NAMES, row, wanted, strict=True)
        if name not in passed and _plain(there) != _plain(ought)
    )


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


def _note(compared: Compared, altered: AlteredRow) -> None:
    if len(compared.altered) < ALTERED_MOST:
        compared.altered.append(altered)
    else:
        compared.altered_left_out += 1
