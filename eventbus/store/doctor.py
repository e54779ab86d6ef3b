"""Is the store whole: all the journal has up to its cursor, and nothing amiss in itself."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from eventbus.clock import utc_now
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StoreUnusable
from eventbus.event import UNREADABLE
from eventbus.segment import segments_by_writer, segments_in
from eventbus.sink import Cursor
from eventbus.store.backup import BACKUPS, STEM, SUFFIX, BackupFile, integrity_of, list_backups
from eventbus.store.checkpoint import HELD_BYTES
from eventbus.store.cursors import read_cursor
from eventbus.store.dump import SUFFIX as DUMPS
from eventbus.store.engine import Reader
from eventbus.store.files import refuse_strange_files
from eventbus.store.migrations import VERSION, version_of
from eventbus.store.opening import open_reader
from eventbus.store.recount import check_index, check_totals
from eventbus.store.schema import TOPICS
from eventbus.store.serving import LANE
from eventbus.store.sqlite import FILE_NAME
from eventbus.store.tally import Gap, Strangers, Tally, WriterTally
from eventbus.store.topic import stamp
from eventbus.store.whereabouts import StoreAt
from eventbus.units import size_text, without_password

__all__ = ["Examined", "Finding", "examine"]

SOUND_FROM = (3, 51, 3)
"""SQLite's first version without the bug in beginning the log anew."""
STALE_AFTER = timedelta(days=2)
"""Age of the latest backup that is worth a word: one is made every day."""
BROKEN_ROWS_MOST = 1_000

_REBUILD = "run 'eventbus rebuild'"


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be, and what to do about it."""

    what: str
    advice: str


class Examined(msgspec.Struct, kw_only=True):
    """What was looked at, and what was found."""

    engine: str
    where: str
    library: str | None = None
    """SQLite's version here."""
    version: int | None = None
    """That of the tables; None: they could not be read."""
    rows: int = 0
    """Events in the store."""
    writers: list[WriterTally] = []
    strangers: Strangers = msgspec.field(default_factory=Strangers)
    gaps: list[Gap] = []
    """Holes the bus has told of, for this lane or for all."""
    dead: int = 0
    """Dead letters: events the store would not take."""
    bytes: int | None = None
    log_bytes: int | None = None
    """The write-ahead log beside the file."""
    backups: list[BackupFile] = []
    """The latest first."""
    asides: list[Path] = []
    """Stores that were set aside."""
    findings: list[Finding] = []
    """What is wrong."""
    notes: list[str] = []
    """What is worth knowing."""

    @property
    def is_well(self) -> bool:
        return not self.findings

    def find(self, what: str, advice: str = _REBUILD) -> None:
        self.findings.append(Finding(what, advice))


def examine(
    state: Path,
    store: StoreAt | None = None,
    *,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> Examined:
    """Look at a store and at the journal it was made of, by default the one on SQLite.

    Nothing is changed, and events may land meanwhile. Raises `StoreUnusable`
    where there is no store.
    """
    store = store or StoreAt(engine="sqlite", lane=LANE, path=state / FILE_NAME)
    where = str(store.path) if store.path is not None else without_password(store.url or "")
    examined = Examined(engine=store.engine, where=where)
    if store.path is not None:
        _look_at_files(examined, store.path, disk)
    name = store.path.stem if store.path is not None else STEM
    _look_at_backups(examined, state / BACKUPS, name, now or utc_now(), disk)
    try:
        with _reading(store) as reader:
            _look_at_tables(examined, reader, state, store, disk)
    except (sqlite3.Error, StoreUnusable) as error:
        examined.find(f"it cannot be read: {error}")
    return examined


@contextmanager
def _reading(store: StoreAt) -> Iterator[Reader]:
    reader = open_reader(store.path or store.url or "", deadline_s=None)
    try:
        yield reader
    finally:
        reader.close()


# --- files ---------------------------------------------------------------------------


def _look_at_files(examined: Examined, path: Path, disk: Disk) -> None:
    refuse_strange_files(path, disk)
    if not path.is_file():
        raise StoreUnusable(f"no store at {path}; 'eventbus up' makes one from the journal")
    examined.bytes, examined.log_bytes = disk.stat(path).st_size, 0
    with suppress(FileNotFoundError):
        examined.log_bytes = disk.stat(path.with_name(f"{path.name}-wal")).st_size
    words = tuple(f"{path.name}.{why}-" for why in ("corrupt", "before"))
    names = sorted(name for name in disk.names(path.parent) if name.startswith(words))
    examined.asides = [
        path.with_name(name) for name in names if not name.endswith(("-wal", "-shm"))
    ]
    for aside in examined.asides:
        examined.notes.append(
            f"{aside.name} was set aside ({size_text(disk.stat(aside).st_size)});"
            " delete it once you do not need it"
        )
    if examined.log_bytes > HELD_BYTES:
        examined.notes.append(
            f"the log is {size_text(examined.log_bytes)}: a program that reads the store has not"
            " ended its question, or a great deal has just landed"
        )
    _look_at_library(examined)


def _look_at_library(examined: Examined) -> None:
    examined.library = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < SOUND_FROM:
        examined.notes.append(
            f"SQLite {sqlite3.sqlite_version} can damage a database when two connections put its"
            " log into the file; here only one ever does, as long as no other program writes to it"
        )


def _look_at_backups(
    examined: Examined, directory: Path, name: str, now: datetime, disk: Disk
) -> None:
    suffix = DUMPS if examined.engine == "postgres" else SUFFIX
    examined.backups = list_backups(directory, name, suffix=suffix, disk=disk)
    if not examined.backups:
        examined.notes.append("there is no backup yet; 'eventbus backup' makes one")
    elif now - examined.backups[0].at > STALE_AFTER:
        days = (now - examined.backups[0].at).days
        examined.notes.append(
            f"the latest backup is {days} days old; 'eventbus up' makes one a day"
        )


# --- tables --------------------------------------------------------------------------


def _look_at_tables(
    examined: Examined, reader: Reader, state: Path, store: StoreAt, disk: Disk
) -> None:
    if reader.dialect.name == "sqlite":
        for fault in integrity_of(reader)[:3]:
            examined.find(f"its pages are damaged: {fault}")
        _look_at_references(examined, reader)
    examined.version = version_of(reader)
    if examined.version != VERSION:
        _tell_version(examined, examined.version)
        return
    _compare(examined, reader, state, store, disk)
    for topic in TOPICS:
        _find_all(examined, topic.check(reader) if topic.check is not None else ())
    _find_all(examined, check_totals(reader))
    _find_all(examined, check_index(reader))


def _find_all(examined: Examined, faults: Iterable[str]) -> None:
    for fault in faults:
        examined.find(fault)


def _look_at_references(examined: Examined, reader: Reader) -> None:
    rows = reader.rows(
        'SELECT "table", count(*) FROM (SELECT * FROM pragma_foreign_key_check LIMIT ?)'
        ' GROUP BY "table"',
        (BROKEN_ROWS_MOST,),
    )
    for table, count in rows:
        examined.find(f"{count} rows of {table} refer to rows that are not there")


def _tell_version(examined: Examined, version: int) -> None:
    if version > VERSION:
        advice = "use the newer eventbus, which made it"
    else:
        advice = "run 'eventbus up' once, which brings it forward"
    examined.find(f"its tables are of version {version}, this eventbus knows {VERSION}", advice)


def _compare(examined: Examined, reader: Reader, state: Path, store: StoreAt, disk: Disk) -> None:
    """The journal up to the cursor, against the rows; the cursor is read first, and then grows."""
    cursor = read_cursor(reader, store.lane)
    upto = reader.row("SELECT coalesce(max(id), 0), count(*) FROM events") or (0, 0)
    examined.rows = upto[1]
    segments = segments_in(state / "journal", disk)
    oldest = stamp(segments[0].start) if segments else stamp(datetime.max.replace(tzinfo=UTC))
    tally = Tally()
    try:
        tally.read_journal(state, cursor, kinds=store.kinds, disk=disk)
        examined.strangers = tally.read_rows(reader, upto[0], oldest)
        examined.dead = tally.forgive(_dead_letters(state, store.lane))
        examined.writers = tally.writers()
    finally:
        tally.close()
    examined.gaps = [gap for gap in tally.gaps if gap.lane in (None, store.lane)]
    _judge(examined, cursor, state, store, disk)


def _judge(examined: Examined, cursor: Cursor, state: Path, store: StoreAt, disk: Disk) -> None:
    for writer in examined.writers:
        if writer.missing:
            examined.find(
                f"{writer.missing} of {writer.events} events of writer {writer.writer} are in the"
                f" journal and not in the store (first {writer.examples[0]})"
            )
    for writer_name in _ahead_of_the_journal(cursor, state, disk):
        examined.find(
            f"the store has landed more of writer {writer_name} than its segments hold",
            "run 'eventbus verify': somebody has cut or replaced a segment",
        )
    _note_what_is_told(examined, store.lane)


def _note_what_is_told(examined: Examined, lane: str) -> None:
    beyond, strangers = sum(writer.beyond for writer in examined.writers), examined.strangers
    notes = []
    if beyond:
        notes.append(f"{beyond} events are still to land; 'eventbus up' lands them")
    if examined.dead:
        notes.append(f"{examined.dead} events were refused and are kept in dead/{lane}.jsonl")
    if strangers.older:
        notes.append(
            f"{strangers.older} events are older than the journal that is kept;"
            " only this store and its backups have them"
        )
    if strangers.others:
        notes.append(
            f"{strangers.others} events are in no segment, though younger than the oldest one"
            f" (first {strangers.examples[0]}): segments were deleted, or another state directory"
            " lands here as well"
        )
    examined.notes += notes
    for gap in examined.gaps:
        examined.notes.append(f"{gap.count} events could not be kept: {gap.reason}")


def _ahead_of_the_journal(cursor: Cursor, state: Path, disk: Disk) -> Iterator[str]:
    """Writers whose last segment is shorter than the cursor says, or gone before older ones."""
    by_writer = segments_by_writer(segments_in(state / "journal", disk))
    for writer, place in sorted(cursor.items()):
        segments = by_writer.get(writer)
        if not segments or segments[-1].name > place.segment:
            continue
        last = segments[-1]
        if last.name < place.segment or disk.stat(last.path).st_size < place.offset:
            yield writer


class _Letter(msgspec.Struct, frozen=True):
    event: "_Lettered"


class _Lettered(msgspec.Struct, frozen=True):
    id: str


_letters = msgspec.json.Decoder(_Letter)


def _dead_letters(state: Path, lane: str) -> Iterator[str]:
    """The ids of a lane's dead letters, however many there are."""
    path = state / "dead" / f"{lane}.jsonl"
    if not path.is_file():
        return
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
        for line in file:
            with suppress(*UNREADABLE):  # a letter that was torn, or is no event at all
                yield _letters.decode(line).event.id
