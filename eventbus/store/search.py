"""Finding events by words and by what they are, newest first.

On SQLite the words' index is filled behind the writers, because filling it
costs several times what landing does; a question reads what is not in it yet
from the rows themselves, so that it sees all that has landed.
"""

import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from eventbus.kinds import Kinds
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.pages import Page, clamped, read_page_cursor, write_page_cursor
from eventbus.store.topic import Topic

__all__ = ["TOPIC", "Found", "fill_index", "search"]

WORDS_MOST = 64
"""Words of a question that are looked for."""
WORD_MOST = 200
FEW = 20_000
"""Up to so many matches are put in order; among more the newest rows are tried one by one."""
ROWS_A_FILL = 2_000
TAIL_A_READ = 5_000
AROUND = 60
"""Characters shown on either side of a word."""
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
    fill_index(writer)


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
    a beginning. `since` is inclusive, `until` exclusive.
    """
    words = read_words(text)
    if text.strip() and not words:
        return Page([])
    wishes = Conditions()
    wishes.kinds(kinds)
    wishes.between(since, until)
    wishes.add("session_id = ?", session)
    wishes.add("component = ?", component)
    if cursor is not None:
        wishes.all("(ts, id) < (?, ?)", read_page_cursor(cursor, tuple[str, int]))
    if words:
        _add_words(wishes, store, words)
    limit = clamped(limit)
    rows = store.rows(
        "SELECT id, event_id, ts, event_type, source, message, session_id, component"
        f" FROM events{wishes.where} ORDER BY ts DESC, id DESC LIMIT {limit + 1}",
        wishes.values,
    )
    follows = rows[limit - 1] if len(rows) > limit else None
    return Page(
        [_found(row, words) for row in rows[:limit]],
        next=write_page_cursor(follows[2], follows[0]) if follows is not None else None,
    )


class Word(msgspec.Struct, frozen=True):
    """A word or phrase that is looked for."""

    text: str
    is_beginning: bool = False


_WORD = re.compile(r'"([^"]*)"|(\S+)')
_LETTERS = re.compile(r"[^\W_]", re.UNICODE)


def read_words(text: str) -> list[Word]:
    """The words of a question; what holds no letter or digit is none."""
    words: list[Word] = []
    for phrase, bare in _WORD.findall(text.replace("\x00", " ")):
        written = (phrase or bare)[:WORD_MOST]
        is_beginning = not phrase and written.endswith("*")
        if _LETTERS.search(written):
            words.append(Word(written.rstrip("*").replace('"', " "), is_beginning))
    return words[:WORDS_MOST]


# --- the words, on either engine -----------------------------------------------------


def _add_words(wishes: Conditions, store: Reader, words: list[Word]) -> None:
    if store.dialect.name == "postgres":
        for word in words:
            wishes.all(f"{_VECTOR} @@ {_as_query(word)}", (_lexemes(word),))
        return
    match = " ".join(f'"{word.text}"{"*" if word.is_beginning else ""}' for word in words)
    in_tail = _matches_in_tail(store, match)
    marks = ", ".join("?" * len(in_tail))
    if _are_few(store, match):
        found = "SELECT rowid FROM events_fts WHERE events_fts MATCH ?"
        wishes.all(f"(id IN ({found}) OR id IN ({marks}))", [match, *in_tail])
    else:
        found = "SELECT 1 FROM events_fts WHERE rowid = events.id AND events_fts MATCH ?"
        wishes.all(f"(EXISTS ({found}) OR id IN ({marks}))", [match, *in_tail])


def _as_query(word: Word) -> str:
    return "to_tsquery('simple', ?)" if word.is_beginning else "phraseto_tsquery('simple', ?)"


def _lexemes(word: Word) -> str:
    """A beginning as PostgreSQL asks for it; a word as it stands."""
    if not word.is_beginning:
        return word.text
    parts = re.findall(r"\w+", word.text)
    return " <-> ".join([*(f"'{part}'" for part in parts[:-1]), f"'{parts[-1]}':*"])


def _are_few(store: Reader, match: str) -> bool:
    row = store.row(
        f"SELECT count(*) FROM (SELECT 1 FROM events_fts WHERE events_fts MATCH ? LIMIT {FEW + 1})",
        (match,),
    )
    return row is not None and row[0] <= FEW


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


def snippet(message: str, words: Sequence[Word]) -> str:
    """The part of a message around the first word that stands in it."""
    for word in words:
        match = re.search(re.escape(word.text), message, re.IGNORECASE)
        if match is not None:
            start, end = max(0, match.start() - AROUND), match.end() + AROUND
            before = ("…" if start else "") + message[start : match.start()]
            after = message[match.end() : end] + ("…" if end < len(message) else "")
            return f"{before}«{match[0]}»{after}"
    short = message[: 2 * AROUND]
    return short if len(short) == len(message) else f"{short}…"
