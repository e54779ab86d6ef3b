"""Sessions: each run of an agent, when it was opened, what came of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from eventbus.event import Event
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.error import ErrorRaised
from eventbus.events.llm import ModelFailed
from eventbus.events.log import LogLine
from eventbus.events.session import SessionCreated, SessionEnded, SessionResumed
from eventbus.events.traces import ToolStarted
from eventbus.events.worker import WorkerFailed
from eventbus.limits import NANOS
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.folding import Folded, folded_rows, keep_folded
from eventbus.store.pages import Page
from eventbus.store.savings import NOTHING_SAVED, Saved, saved_in
from eventbus.store.topic import Topic, each_once, in_text, order_key, stamp
from eventbus.store.walking import BY_NAME, Walk, as_struct, walk

__all__ = [
    "TOPIC",
    "Opening",
    "Session",
    "first_opening_after",
    "know_session",
    "openings",
    "session",
    "session_ids_opened",
    "sessions",
]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an agent."""

    id: str
    start_time: str
    """Of the earliest event seen of it."""
    end_time: str | None
    """None: it goes on, or nobody said that it ended."""
    cli_tool: str | None
    persona: str | None
    nexus_mode: str | None
    reason: str | None
    """Why it was opened, or why it ended."""
    component: str | None
    user_id: str | None
    last_time: str
    """Of the latest event seen of it."""
    events: int
    tools: int
    """Tool calls that began."""
    errors: int
    tokens_in: int = 0
    """All input of its model calls, cached or not."""
    tokens_out: int = 0
    cost_usd: float = 0.0
    """Of the calls whose price is known."""
    unpriced: int = 0
    """Model calls whose price is not."""
    saved: Saved = NOTHING_SAVED
    """What its tasks saved over the cloud."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was begun, or gone on with."""

    event_id: str
    session_id: str
    ts: str
    chat_id: str | None
    turn_number: int | None
    snapshot: str | None
    """The id of the snapshot's event it went on from; None: it began anew."""


_COLUMNS = Session.__struct_fields__[: Session.__struct_fields__.index("tokens_in")]

TABLES = (
    """CREATE TABLE sessions (
        id TEXT NOT NULL PRIMARY KEY,
        start_time TEXT NOT NULL, end_time TEXT,
        cli_tool TEXT, persona TEXT, nexus_mode TEXT,
        reason TEXT, component TEXT, user_id TEXT,
        last_time TEXT NOT NULL,
        events {integer} NOT NULL DEFAULT 0,
        tools {integer} NOT NULL DEFAULT 0,
        errors {integer} NOT NULL DEFAULT 0,
        as_of TEXT){strict}""",
    "CREATE INDEX idx_sessions_start ON sessions (start_time, id)",
    """CREATE TABLE session_openings (
        event_id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL, as_of TEXT NOT NULL, ts TEXT NOT NULL,
        chat_id TEXT, turn_number {integer}, snapshot TEXT){strict}""",
    "CREATE INDEX idx_session_openings_session ON session_openings (session_id, as_of)",
    "CREATE INDEX idx_session_openings_chat ON session_openings (chat_id, ts, event_id)",
)

# --- landing -----------------------------------------------------------------------


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Count every event for its session, and take what is said of sessions."""
    _count(writer, events)
    told = [event for event in events if _is_told(event)]
    if told:
        _keep_openings(writer, told)
        _fold(writer, told)


def know_session(writer: Writer, id: str, moments: Iterable[str]) -> None:
    """Have a row for a session, seen at these moments."""
    ordered = sorted(moments)
    if ordered:
        _meet(writer, [(id, ordered[0], ordered[-1], 0, 0, 0)])


def _meet(writer: Writer, rows: Sequence[tuple[str, str, str, int, int, int]]) -> None:
    writer.insert(
        "sessions (id, start_time, last_time, events, tools, errors)",
        rows,
        then="ON CONFLICT (id) DO UPDATE SET"
        " start_time = CASE WHEN excluded.start_time < sessions.start_time"
        " THEN excluded.start_time ELSE sessions.start_time END,"
        " last_time = CASE WHEN excluded.last_time > sessions.last_time"
        " THEN excluded.last_time ELSE sessions.last_time END,"
        " events = sessions.events + excluded.events,"
        " tools = sessions.tools + excluded.tools,"
        " errors = sessions.errors + excluded.errors",
    )


def _count(writer: Writer, events: Sequence[Event]) -> None:
    by_session: dict[str, list[Event]] = {}
    for event in events:
        session = _session_of(event)
        if session:
            by_session.setdefault(session, []).append(event)
    _meet(
        writer,
        [
            (
                session,
                stamp(min(event.ts for event in its)),
                stamp(max(event.ts for event in its)),
                len(its),
                sum(isinstance(event, ToolStarted) for event in its),
                sum(map(_is_error, its)),
            )
            for session, its in sorted(by_session.items())
        ],
    )


def _session_of(event: Event) -> str | None:
    """The session an event speaks of, else the one it belongs to."""
    session = event.scope.session
    if isinstance(event, (SessionCreated, SessionEnded)):
        session = event.session_id or session
    elif isinstance(event, LogLine) and not session:
        session = _text(event.kv.get("session_id"))
    return in_text(session) if session else None


def _is_error(event: Event) -> bool:
    if isinstance(event, (ErrorRaised, ModelFailed, WorkerFailed)):
        return True
    if isinstance(event, DispatchFinished):
        return event.error is not None
    return isinstance(event, LogLine) and event.event_type.startswith("error:")


_OPENS = ("session:create", "session:resume")
_TELLS = (*_OPENS, "session:end")


def _is_told(event: Event) -> bool:
    """Whether it says something of a session itself."""
    return event.kind in _TELLS and bool(_session_of(event))


def session_ids_opened(events: Iterable[Event]) -> list[str]:
    """The sessions that these events open."""
    return each_once(_session_of(event) for event in events if event.kind in _OPENS)


def _keep_openings(writer: Writer, told: Sequence[Event]) -> None:
    writer.insert(
        "session_openings (event_id, session_id, as_of, ts, chat_id, turn_number, snapshot)",
        [
            (event.id, _session_of(event), order_key(event), stamp(event.ts), *_resumed(event))
            for event in told
            if event.kind in _OPENS
        ],
        then="ON CONFLICT (event_id) DO NOTHING",
    )


def _resumed(event: Event) -> tuple[str | None, int | None, str | None]:
    if isinstance(event, SessionResumed):
        return event.chat_id, event.turn_number, event.snapshot
    return event.scope.chat, event.scope.turn, None


def _fold(writer: Writer, told: Sequence[Event]) -> None:
    """Take what was said; the rows have just been counted up, so they are ours to change."""
    ids = [_session_of(event) or "" for event in told]
    rows = folded_rows(writer, "sessions", _COLUMNS, ids)
    for id, event in zip(ids, told, strict=True):
        _take(rows[id], event)
    keep_folded(writer, "sessions", _COLUMNS, rows)


def _take(row: Folded, event: Event) -> None:
    key = order_key(event)
    is_end = event.kind == "session:end"
    row.say(key, end_time=stamp(event.ts) if is_end else None)  # one that is opened again goes on
    said = {name: _said(event, name) for name in ("cli_tool", "persona", "nexus_mode", "reason")}
    said |= {"component": event.scope.component, "user_id": event.scope.user}
    row.say(key, **{name: value for name, value in said.items() if value is not None})


def _said(event: Event, name: str) -> str | None:
    if isinstance(event, LogLine):
        return _text(event.kv.get(name))
    value: str | None = getattr(event, name, None)
    return value


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


TOPIC = Topic(name="sessions", tables=TABLES, takes_every=True, land=land)

# --- questions ---------------------------------------------------------------------

_SESSIONS = Walk(
    columns=", ".join(_COLUMNS),
    source="sessions",
    key=("start_time", "id"),
    form=BY_NAME,
    is_newest_first=True,
)
_OPENINGS = Walk(
    columns=", ".join(Opening.__struct_fields__),
    source="session_openings",
    key=("ts", "event_id"),
    form=BY_NAME,
    is_newest_first=True,
)
_opening = as_struct(Opening)


def _session(row: Row) -> Session:
    return Session(**dict(zip(_COLUMNS, row, strict=True)))


def sessions(
    store: Reader,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cli_tool: str | None = None,
    persona: str | None = None,
    user: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Session]:
    """Sessions, newest first; those that began from `since` on and before `until`."""
    way = _SESSIONS.within("start_time", since, until).where(
        cli_tool=cli_tool, persona=persona, user_id=user
    )
    page = walk(store, way, limit=limit, cursor=cursor, read=_session)
    return msgspec.structs.replace(page, items=_with_sums(store, page.items))


def session(store: Reader, id: str) -> Session | None:
    """One session; None where no event speaks of it."""
    row = store.row(f"SELECT {_SESSIONS.columns} FROM sessions WHERE id = ?", (id,))
    return None if row is None else _with_sums(store, [_session(row)])[0]


def openings(
    store: Reader,
    *,
    chat_id: str,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Opening]:
    """The sessions a chat was begun or gone on with in, newest first."""
    way = _OPENINGS.where(chat_id=chat_id)
    return walk(store, way, limit=limit, cursor=cursor, read=_opening)


def first_opening_after(reader: Reader, session_id: str, key: str) -> str | None:
    """When a session was next opened after the event of this order key."""
    row = reader.row(
        "SELECT ts FROM session_openings WHERE session_id = ? AND as_of > ? ORDER BY as_of LIMIT 1",
        (session_id, key),
    )
    return None if row is None else str(row[0])


# --- what their calls and tasks come to ------------------------------------------------


def _with_sums(store: Reader, found: Sequence[Session]) -> list[Session]:
    ids = [each.id for each in found]
    used, saved = _used_in(store, ids), saved_in(store, ids)
    return [
        msgspec.structs.replace(
            each, **used.get(each.id, {}), saved=saved.get(each.id, NOTHING_SAVED)
        )
        for each in found
    ]


def _used_in(store: Reader, ids: Sequence[str]) -> dict[str, dict[str, int | float]]:
    if not ids:
        return {}
    rows = store.rows(
        "SELECT session_id,"
        " sum(input_uncached + cache_read + cache_write_5m + cache_write_1h),"
        " sum(output_visible + reasoning), sum(cost_nanos), sum(unpriced)"
        f" FROM usage_hourly WHERE session_id IN ({', '.join('?' * len(ids))})"
        " GROUP BY session_id",
        ids,
    )
    return {
        row[0]: {
            "tokens_in": int(row[1]),
            "tokens_out": int(row[2]),
            "cost_usd": int(row[3]) / NANOS,
            "unpriced": int(row[4]),
        }
        for row in rows
    }
