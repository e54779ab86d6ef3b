"""Making the store anew: the latest good backup, then the journal after its cursor."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from time import perf_counter

import msgspec

from eventbus.clock import utc_now
from eventbus.delivery import DATA_ERRORS
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.kinds import Kinds
from eventbus.sink import Batch
from eventbus.store.backup import BACKUPS, copy_latest
from eventbus.store.cursors import read_cursor
from eventbus.store.engine import Reader, Writer
from eventbus.store.erasing import forget_erased
from eventbus.store.files import put_in_place, refuse_strange_files, set_aside
from eventbus.store.landing import land
from eventbus.store.merging import bytes_after, journal_batches
from eventbus.store.opening import open_writer
from eventbus.store.serving import LANE, lane_held
from eventbus.store.sqlite import FILE_NAME, SIDES, SqliteReader, is_refusal

__all__ = ["Landed", "Progress", "Rebuilt", "land_journal", "rebuild"]

Progress = Callable[[int, int], None]
"""Told the bytes of journal that have landed, and those there are."""


class Landed(msgspec.Struct, kw_only=True):
    """What of the journal came into the tables."""

    events: int = 0
    """Those that were new."""
    refused: int = 0
    """Those the tables do not take."""
    bytes: int = 0


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A store that was made anew."""

    path: Path
    backup: Path | None
    """What it began with; None: it began empty."""
    landed: int
    """Events that came out of the journal."""
    refused: int
    events: int
    """Rows of table `events` now."""
    events_before: int | None
    """Rows of the one that was there; None: there was none that could be read."""
    aside: Path | None
    """Where that one is now."""
    seconds: float


def rebuild(
    state: Path,
    *,
    path: Path | None = None,
    lane: str = LANE,
    kinds: Kinds = None,
    from_backup: bool = True,
    progress: Progress | None = None,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Rebuilt:
    """Make the store anew beside the one that is there, and let it take its place.

    The old one is set aside, not deleted; until then it can be asked. `kinds`
    are those the lane lands. Raises `StoreUnusable`, and changes nothing,
    while another process serves the lane.
    """
    path = path or state / FILE_NAME
    begun_s = perf_counter()
    with lane_held(state, lane, wish="rebuild the store", disk=disk):
        refuse_strange_files(path, disk)
        made = path.with_name(f"{path.name}.new")
        _clear(made, disk)
        backup = (
            copy_latest(state / BACKUPS, made, name=path.stem, disk=disk) if from_backup else None
        )
        if backup is not None:
            forget_erased(made, state, disk)
        writer = open_writer(made)
        try:
            landed = land_journal(
                writer, state, lane=lane, kinds=kinds, progress=progress, disk=disk
            )
            events = _rows_of(writer)
            writer.empty_log()
        finally:
            writer.close()
        events_before = _rows_before(path)
        aside = set_aside(path, "before", now=now or utc_now(), disk=disk)
        put_in_place(made, path, disk=disk)
    return Rebuilt(
        path=path,
        backup=backup,
        landed=landed.events,
        refused=landed.refused,
        events=events,
        events_before=events_before,
        aside=aside,
        seconds=round(perf_counter() - begun_s, 3),
    )


def land_journal(
    writer: Writer,
    state: Path,
    *,
    lane: str = LANE,
    kinds: Kinds = None,
    most: int | None = None,
    progress: Progress | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Landed:
    """Land what the journal has after the store's own cursor; `most` batches of it."""
    after = read_cursor(writer, lane)
    total = bytes_after(state, after, disk=disk) if progress is not None else 0
    landed = Landed()
    for batch in islice(journal_batches(state, after, kinds=kinds, disk=disk), most):
        _land(writer, batch, lane, landed)
        landed.bytes += sum(map(len, batch.lines)) + len(batch)
        if progress is not None:
            progress(landed.bytes, max(total, landed.bytes))
    return landed


def _land(writer: Writer, batch: Batch, lane: str, landed: Landed) -> None:
    """Land a batch; one that is refused is halved, until the event to blame stands alone."""
    try:
        landed.events += land(writer, batch, lane=lane)
    except Exception as error:
        if not (isinstance(error, DATA_ERRORS) or is_refusal(error)):
            raise
        if len(batch) == 1:
            landed.refused += 1
            return
        for half in batch.halves():
            _land(writer, half, lane, landed)


def _rows_of(reader: Reader) -> int:
    row = reader.row("SELECT count(*) FROM events")
    return int(row[0]) if row is not None else 0


def _rows_before(path: Path) -> int | None:
    with suppress(sqlite3.Error):
        reader = SqliteReader(path)
        try:
            return _rows_of(reader)
        finally:
            reader.close()
    return None


def _clear(made: Path, disk: Disk) -> None:
    """Remove what a rebuild that was interrupted left."""
    refuse_strange_files(made, disk)
    for side in SIDES:
        with suppress(FileNotFoundError):
            disk.unlink(made.with_name(made.name + side))
