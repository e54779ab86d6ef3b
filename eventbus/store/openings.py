"""When sessions were opened: begun, or gone on with from a snapshot."""

from collections.abc import Iterable, Sequence

import msgspec

from eventbus.event import Event
from eventbus.events.log import LogLine
from eventbus.events.session import SessionCreated, SessionResumed
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.pages import Page
from eventbus.store.sessions import session_named
from eventbus.store.topic import Topic, each_once, order_key, stamp, whole
from eventbus.store.walking import Walk, as_struct, walk

__all__ = ["OPENS", "TOPIC", "Opening", "first_opening_after", "openings", "sessions_opened"]


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was begun, or gone on with."""

    event_id: str
    session_id: str
    ts: str
    chat_id: str | None
    turn_number: int | None
    snapshot: str | None
    """The id of the snapshot's event it went on from; None: it began anew."""


OPENS = (SessionCreated, SessionResumed, LogLine)
"""Classes whose events may open a session: lines of the flat log by what they call themselves."""

_KINDS = ("session:create", "session:resume")
_COLUMNS = Opening.__struct_fields__

TABLES = (
    """CREATE TABLE session_openings (
        as_of TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL, session_id TEXT NOT NULL, ts TEXT NOT NULL,
        chat_id TEXT, turn_number {integer}, snapshot TEXT){strict}""",
    "CREATE INDEX idx_session_openings_session ON session_openings (session_id, as_of)",
    "CREATE INDEX idx_session_openings_chat ON session_openings (chat_id, as_of)",
)

# --- landing -----------------------------------------------------------------------


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep each opening as a row."""
    writer.insert(
        f"session_openings (as_of, {', '.join(_COLUMNS)})", [_row(each) for each in _opens(events)]
    )


def sessions_opened(events: Iterable[Event]) -> list[str]:
    """The sessions that these events open."""
    return each_once(session_named(event) for event in _opens(events))


def _opens(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.kind in _KINDS and session_named(event)]


def _row(event: Event) -> Row:
    chat, turn, snapshot = event.scope.chat, event.scope.turn, None
    if isinstance(event, SessionResumed):
        chat, turn, snapshot = event.chat_id, event.turn_number, event.snapshot
    return (
        order_key(event),
        event.id,
        session_named(event),
        stamp(event.ts),
        chat,
        whole(turn),
        snapshot,
    )


TOPIC = Topic(name="openings", tables=TABLES, events=OPENS, land=land)

# --- questions ---------------------------------------------------------------------

_OPENINGS = Walk(columns=", ".join(_COLUMNS), source="session_openings", is_newest_first=True)
_opening = as_struct(Opening)


def openings(
    store: Reader,
    *,
    chat_id: str | None = None,
    session_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Opening]:
    """Openings, newest first: of a chat, a session, or all."""
    way = _OPENINGS.where(chat_id=chat_id, session_id=session_id)
    return walk(store, way, limit=limit, cursor=cursor, read=_opening)


def first_opening_after(reader: Reader, session_id: str, key: str) -> str | None:
    """When a session was next opened after the event of this order key."""
    row = reader.row(
        "SELECT ts FROM session_openings WHERE session_id = ? AND as_of > ? ORDER BY as_of LIMIT 1",
        (session_id, key),
    )
    return None if row is None else str(row[0])
