"""Finding events by words and by what they are, newest first.

On SQLite the words' index is filled behind the writers, because filling it
costs several times what landing does; a question reads what is not in it yet
from the rows themselves, so that it sees all that has landed.
"""

import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from time import monotonic

import msgspec

from eventbus.kinds import Kinds
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.newest import TRIED_MOST, Place, newest, streams_of
from eventbus.store.pages import Page, clamped, read_page_cursor, write_page_cursor
from eventbus.store.topic import Topic
from eventbus.store.words import Word, read_words, snippet

__all__ = ["TOPIC", "Found", "fill_index", "search"]

FEW = 20_000
"""Up to so many matches are put in order; among more the newest events are tried first."""
MANY = 200_000
"""Up to so many are put in order where trying the newest has not filled the page."""
TRIED_FOR_WORDS = 10_000
"""Events whose words are tried for a page: a quarter of a second."""
ROWS_A_FILL = 500
FILL_SECONDS = 0.05
"""How long it is filled between two batches."""
TAIL_A_READ = 5_000
TEXT_MOST = 100_000
"""Characters of a message whose words PostgreSQL's index takes: it has a bound of its own."""

_INDEXED = f"event_type || ' ' || source || ' ' || left(message, {TEXT_MOST})"
_VECTOR = f"to_tsvector('simple', {_INDEXED})"
_MAKE_INDEX = "fts5(event_type, source, message, {more}tokenize = 'unicode61 remove_diacritics 2')"
_IN_EVENTS = _MAKE_INDEX.format(more="content = 'events', content_rowid = 'id', ")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was found, and where its words stand."""

    id: str
    """The event's id."""
    ts: str
    kind: str
    source: str
    message: str
    snippet: str
    """The part of the message with the first word, marked by « and »."""
    session: str | None = None
    component: str | None = None


# --- the index -----------------------------------------------------------------------


def fill_index(writer: Writer, *, most: int = ROWS_A_FILL) -> int:
    """Take rows that have landed into SQLite's index; how many there were."""
    if writer.dialect.name != "sqlite":
        return 0
    start = _indexed_upto(writer)
    last = writer.row(
        "SELECT max(id) FROM (SELECT id FROM events WHERE id > ? ORDER BY id LIMIT ?)",
        (start, most),
    )
    if last is None or last[0] is None:
        return 0
    with writer.transaction():
        count = writer.run(
            "INSERT INTO events_fts (rowid, event_type, source, message)"
            " SELECT id, event_type, source, message FROM events WHERE id > ? AND id <= ?",
            (start, last[0]),
        )
        writer.insert(
            "store_facts (name, value)",
            [("search_upto", str(last[0]))],
            then="ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
    return count


def _indexed_upto(reader: Reader) -> int:
    """The last row that is in SQLite's index."""
    row = reader.row("SELECT value FROM store_facts WHERE name = 'search_upto'")
    return int(row[0]) if row is not None else 0


def _tend(writer: Writer) -> None:
    """Fill it for a while, and leave the rest for the next time."""
    until = monotonic() + FILL_SECONDS
    while fill_index(writer) == ROWS_A_FILL and monotonic() < until:
        pass


TOPIC = Topic(
    name="search",
    sqlite=(f"CREATE VIRTUAL TABLE events_fts USING {_IN_EVENTS}",),
    postgres=(f"CREATE INDEX idx_events_words ON events USING gin ({_VECTOR})",),
    tend=_tend,
)


# --- asking --------------------------------------------------------------------------


def search(
    store: Reader,
    text: str = "",
    *,
    kinds: Kinds = None,
    since: datetime | None = None,
    until: datetime | None = None,
    session: str | None = None,
    component: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Found]:
    """Events that hold every word, newest first; with no words, all of them.

    Any text is a question: `"two words"` in quotes stand together, `word*` is
    a beginning. `since` is inclusive, `until` exclusive. A page looks at a
    bounded number of events: where few fit it may hold less than `limit`, or
    nothing, and still have a `next`.
    """
    words = read_words(text)
    if text.strip() and not words:
        return Page([])
    before = read_page_cursor(cursor, Place) if cursor is not None else None
    wish = _Wish(kinds, since, until, session, component, before)
    places, rest = _places(store, words, wish, clamped(limit))
    return Page(
        [_found(row, words) for row in _rows(store, places)],
        next=write_page_cursor(*rest) if rest is not None else None,
    )


class _Wish(msgspec.Struct, frozen=True):
    """What the events are to be, besides their words."""

    kinds: Kinds
    since: datetime | None
    until: datetime | None
    session: str | None
    component: str | None
    before: Place | None

    @property
    def within(self) -> Conditions:
        """The time."""
        within = Conditions()
        within.between(self.since, self.until)
        return within

    @property
    def conditions(self) -> Conditions:
        """All of it, to be tried on events that are in hand."""
        conditions = self.within
        conditions.kinds(self.kinds)
        conditions.add("session_id = ?", self.session)
        conditions.add("component = ?", self.component)
        if self.before is not None:
            conditions.all("(ts, id) < (?, ?)", self.before)
        return conditions


_Places = tuple[list[Place], Place | None]
"""Where events that fit are, and the place behind which more may be; None: there are none."""


def _places(store: Reader, words: list[Word], wish: _Wish, limit: int) -> _Places:
    """The newest that fit."""
    if not words:
        return _tried(store, wish, Conditions(), limit, TRIED_MOST)
    if store.dialect.name == "postgres":
        return _in_order(store, "events", _in_words(words).joined(wish.conditions), (), limit)
    match = " ".join(f'"{word.text}"{"*" if word.is_beginning else ""}' for word in words)
    in_tail = _matches_in_tail(store, match)
    hits = (match, msgspec.json.encode(in_tail).decode())
    if _are_at_most(FEW, store, match, in_tail):
        return _in_order(store, _HITS, wish.conditions, hits, limit)
    sieve = Conditions()
    sieve.all(_IS_HIT, hits)
    places, rest = _tried(store, wish, sieve, limit, TRIED_FOR_WORDS)
    if len(places) < limit and rest is not None and _are_at_most(MANY, store, match, in_tail):
        return _in_order(store, _HITS, wish.conditions, hits, limit)
    return places, rest


def _tried(store: Reader, wish: _Wish, sieve: Conditions, limit: int, tries: int) -> _Places:
    """The same by trying events one after the other."""
    sieve.add("component = ?", wish.component)
    streams = streams_of(store, wish.kinds, wish.session, sieve)
    return newest(
        store,
        streams,
        within=wish.within,
        sieve=sieve,
        before=wish.before,
        limit=limit,
        tries=tries,
    )


def _in_order(
    store: Reader, source: str, conditions: Conditions, hits: Sequence[str], limit: int
) -> _Places:
    """The same where all that have the words are in hand, and are put in order."""
    found = store.rows(
        f"SELECT ts, id FROM {source}{conditions.where}"
        f" ORDER BY ts DESC, id DESC LIMIT {limit + 1}",
        (*hits, *conditions.values),
    )
    return found[:limit], found[limit - 1] if len(found) > limit else None


def _rows(store: Reader, places: Sequence[Place]) -> list[Row]:
    if not places:
        return []
    ids = [id for _, id in places]
    rows = store.rows(
        "SELECT id, event_id, ts, event_type, source, message, session_id, component"
        f" FROM events WHERE id IN ({', '.join('?' * len(ids))})",
        ids,
    )
    by_id = {row[0]: row for row in rows}
    return [by_id[id] for id in ids if id in by_id]


# --- the words, on either engine -----------------------------------------------------

# Going from the hits to their rows is what CROSS JOIN holds SQLite to.
_HITS = """(SELECT rowid AS hit FROM events_fts WHERE events_fts MATCH ?
 UNION SELECT value FROM json_each(?)) CROSS JOIN events ON events.id = hit"""
_IS_HIT = """(EXISTS (SELECT 1 FROM events_fts WHERE rowid = events.id AND events_fts MATCH ?)
 OR id IN (SELECT value FROM json_each(?)))"""


def _in_words(words: list[Word]) -> Conditions:
    conditions = Conditions()
    for word in words:
        conditions.all(f"{_VECTOR} @@ {_as_query(word)}", (_lexemes(word),))
    return conditions


def _as_query(word: Word) -> str:
    return "to_tsquery('simple', ?)" if word.is_beginning else "phraseto_tsquery('simple', ?)"


def _lexemes(word: Word) -> str:
    """A beginning as PostgreSQL asks for it; a word as it stands."""
    if not word.is_beginning:
        return word.text
    parts = re.findall(r"\w+", word.text)
    return " <-> ".join([*(f"'{part}'" for part in parts[:-1]), f"'{parts[-1]}':*"])


def _are_at_most(most: int, store: Reader, match: str, in_tail: list[int]) -> bool:
    row = store.row(
        "SELECT count(*) FROM (SELECT 1 FROM events_fts WHERE events_fts MATCH ? LIMIT ?)",
        (match, most + 1),
    )
    return row is not None and row[0] + len(in_tail) <= most


def _matches_in_tail(store: Reader, match: str) -> list[int]:
    """Rows that match among those the index has not got yet, by an index made for the purpose."""
    found: list[int] = []
    start = _indexed_upto(store)
    while rows := store.rows(
        "SELECT id, event_type, source, message FROM events WHERE id > ?"
        f" ORDER BY id LIMIT {TAIL_A_READ}",
        (start,),
    ):
        found += _matching(rows, match)
        start = rows[-1][0]
    return found


def _matching(rows: Sequence[Row], match: str) -> list[int]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"CREATE VIRTUAL TABLE tail USING {_MAKE_INDEX.format(more='')}")
        connection.executemany(
            "INSERT INTO tail (rowid, event_type, source, message) VALUES (?, ?, ?, ?)", rows
        )
        asked = connection.execute("SELECT rowid FROM tail WHERE tail MATCH ?", (match,))
        return [row[0] for row in asked]
    finally:
        connection.close()


# --- what is shown -------------------------------------------------------------------


def _found(row: Row, words: list[Word]) -> Found:
    _, event_id, ts, kind, source, message, session, component = row
    return Found(
        id=event_id,
        ts=ts,
        kind=kind,
        source=source,
        message=message,
        snippet=snippet(message, words),
        session=session,
        component=component,
    )
