"""Which events the journal has and the store has not, and the other way round.

The ids are sorted out in a database of its own in a temporary file, so that
memory is bounded however many there are.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from eventbus.disk import Disk
from eventbus.event import UNREADABLE
from eventbus.followed import FollowedWriter
from eventbus.kinds import KindFilter, Kinds
from eventbus.segment import segments_by_writer, segments_in
from eventbus.sink import Cursor, Place
from eventbus.store.engine import Reader
from eventbus.store.fitting import id_in_store
from eventbus.store.merging import ends_of
from eventbus.store.topic import NAME_BYTES_MOST, UTF8_MOST
from eventbus.stretch import Stretch

__all__ = ["Gap", "Strangers", "Tally", "WriterTally"]

ROWS_A_PAGE = 5_000
EXAMPLES = 3
SCRATCH_KIB = 32_768
_GAP = b'{"kind":"bus:gap"'


class WriterTally(msgspec.Struct, kw_only=True):
    """One writer's events, as far as the journal has them."""

    writer: str
    events: int = 0
    """Those before the store's cursor: they ought to be there."""
    missing: int = 0
    beyond: int = 0
    """Those behind it, which are still to land."""
    examples: list[str] = []
    """Ids of some that are missing."""


class Gap(msgspec.Struct, frozen=True):
    """A hole the bus itself has told of."""

    reason: str
    count: int
    lane: str | None = None
    """None when nobody has the events."""


class Strangers(msgspec.Struct, kw_only=True):
    """Rows whose events no segment has."""

    older: int = 0
    """Those from before the oldest segment that is kept."""
    others: int = 0
    examples: list[str] = []


class Tally:
    """Told of every id on either side; says what one of them lacks."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self._writers: list[str] = []
        self._scratch = sqlite3.connect("", isolation_level=None)
        self._scratch.executescript(
            f"""PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
            PRAGMA cache_size = -{SCRATCH_KIB};
            CREATE TABLE journal (id TEXT PRIMARY KEY, writer INTEGER, is_beyond INTEGER,
                is_there INTEGER DEFAULT 0) WITHOUT ROWID;
            CREATE TABLE page (id TEXT, ts TEXT);"""
        )

    def close(self) -> None:
        self._scratch.close()

    # --- being told ------------------------------------------------------------------

    def read_journal(self, state: Path, cursor: Cursor, *, kinds: Kinds, disk: Disk) -> None:
        """Take note of every event that is kept, before and behind the cursor."""
        directory, wanted = state / "journal", KindFilter(kinds)
        for writer, segments in segments_by_writer(segments_in(directory, disk)).items():
            number = len(self._writers)
            self._writers.append(writer)
            followed = FollowedWriter(writer, None, directory, disk)
            followed.segments = segments
            try:
                while (stretch := followed.next()) is not None:
                    self._note(number, stretch, wanted, cursor.get(writer))
            finally:
                followed.close()

    def _note(self, writer: int, stretch: Stretch, wanted: KindFilter, place: Place | None) -> None:
        if _GAP in stretch.blob:
            self.gaps += _gaps_in(stretch)
        ids, ends = _ids(stretch), ends_of(stretch)
        picked = stretch.pick(wanted)
        rows = [
            (ids[index], writer, place is None or Place(stretch.end.segment, ends[index]) > place)
            for index in (range(stretch.count) if picked is None else picked)
        ]
        self._scratch.execute("BEGIN")
        self._scratch.executemany(
            "INSERT INTO journal (id, writer, is_beyond) VALUES (?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET is_beyond = min(is_beyond, excluded.is_beyond)",
            rows,
        )
        self._scratch.execute("COMMIT")

    def read_rows(self, store: Reader, upto: int, oldest: str) -> Strangers:
        """Take note of table `events` up to that row; those no segment has."""
        strangers, last = Strangers(), 0
        while rows := store.rows(
            "SELECT id, event_id, ts FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (last, upto, ROWS_A_PAGE),
        ):
            last = rows[-1][0]
            self._note_page([row[1:] for row in rows], strangers, oldest)
        return strangers

    def _note_page(
        self, rows: Sequence[tuple[str, str]], strangers: Strangers, oldest: str
    ) -> None:
        scratch = self._scratch
        scratch.execute("BEGIN")
        scratch.execute("DELETE FROM page")
        scratch.executemany("INSERT INTO page VALUES (?, ?)", rows)
        scratch.execute("UPDATE journal SET is_there = 1 WHERE id IN (SELECT id FROM page)")
        unknown = scratch.execute(
            "SELECT id, ts FROM page WHERE id NOT IN (SELECT id FROM journal)"
        ).fetchall()
        scratch.execute("COMMIT")
        younger = [id for id, ts in unknown if ts >= oldest]
        strangers.others += len(younger)
        strangers.older += len(unknown) - len(younger)
        strangers.examples = (strangers.examples + younger)[:EXAMPLES]

    def forgive(self, ids: Iterable[str]) -> int:
        """Events that need not be there; how many of them are not."""
        forgiven = 0
        for id in ids:
            forgiven += self._scratch.execute(
                "UPDATE journal SET is_there = 1 WHERE id = ? AND NOT is_there", (id,)
            ).rowcount
        return forgiven

    # --- saying ----------------------------------------------------------------------

    def writers(self) -> list[WriterTally]:
        """Each writer's counts."""
        return [self._of(number, writer) for number, writer in enumerate(self._writers)]

    def _of(self, number: int, writer: str) -> WriterTally:
        (row,) = self._scratch.execute(
            "SELECT count(*) - sum(is_beyond), sum(NOT is_beyond AND NOT is_there),"
            " sum(is_beyond AND NOT is_there) FROM journal WHERE writer = ?",
            (number,),
        )
        events, missing, beyond = (value or 0 for value in row)
        ids = self._scratch.execute(
            "SELECT id FROM journal WHERE writer = ? AND NOT is_beyond AND NOT is_there LIMIT ?",
            (number, EXAMPLES),
        )
        return WriterTally(
            writer=writer,
            events=events,
            missing=missing,
            beyond=beyond,
            examples=[id for (id,) in ids] if missing else [],
        )


class _Head(msgspec.Struct, frozen=True, gc=False):
    id: str


class _GapHead(msgspec.Struct, frozen=True):
    kind: str
    reason: str = ""
    count: int = 0
    lane: str | None = None


_heads = msgspec.json.Decoder(_Head)
_gap_heads = msgspec.json.Decoder(_GapHead)


def _ids(stretch: Stretch) -> list[str]:
    try:
        ids = [head.id for head in _heads.decode_lines(stretch.blob)]
    except UNREADABLE:
        ids = []
    if len(ids) != stretch.count:
        ids = [event.id for event in stretch.events]
    if all(ids) and max(map(len, ids), default=0) * UTF8_MOST <= NAME_BYTES_MOST:
        return ids
    return list(map(id_in_store, ids, stretch.lines))


def _gaps_in(stretch: Stretch) -> Iterator[Gap]:
    for line in stretch.lines:
        if line.startswith(_GAP):
            head = _gap_heads.decode(line)
            yield Gap(head.reason, head.count, head.lane)
