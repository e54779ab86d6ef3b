"""Sessions: each run of an agent, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from eventbus.event import Event
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.error import ErrorRaised
from eventbus.events.llm import ModelFailed
from eventbus.events.log import LogLine
from eventbus.events.session import SessionCreated, SessionEnded
from eventbus.events.traces import ToolStarted
from eventbus.events.worker import WorkerFailed
from eventbus.limits import NANOS
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.folding import Folded, folded_rows, keep_folded
from eventbus.store.pages import Page
from eventbus.store.savings import NOTHING_SAVED, Saved, saved_in
from eventbus.store.topic import Topic, in_text, order_key, stamp
from eventbus.store.walking import BY_NAME, Walk, walk

__all__ = ["TOPIC", "Session", "know_session", "session", "session_named", "sessions"]


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
)

# --- landing -----------------------------------------------------------------------


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Count every event for its session, and take what is said of sessions."""
    _count(writer, events)
    told = [event for event in events if _is_told(event)]
    if told:
        _fold(writer, told)


def know_session(writer: Writer, id: str, moments: Iterable[str]) -> None:
    """Have a row for a session, seen at these moments."""
    ordered = sorted(moments)
    if ordered:
        _meet(writer, [(id, ordered[0], ordered[-1], 0, 0, 0)])


_Met = tuple[str, str, str, int, int, int]
"""A session's id, its first moment and its last, and how many events, tools and errors."""


def _meet(writer: Writer, rows: Sequence[_Met]) -> None:
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


class _Seen(msgspec.Struct, gc=False):
    """What a batch has of one session."""

    first: datetime
    last: datetime
    events: int = 0
    tools: int = 0
    errors: int = 0


def _count(writer: Writer, events: Sequence[Event]) -> None:
    by_name: dict[str, _Seen] = {}
    by_id: dict[str, _Seen] = {}
    for event in events:
        counts = _COUNTS.get(type(event)) or _counts_of(type(event))
        session = _session_said(event) if counts.says_session else event.scope.session
        if not session:
            continue
        seen = by_name.get(session)
        if seen is None:
            seen = by_id.setdefault(in_text(session), _Seen(event.ts, event.ts))
            by_name[session] = seen
        if event.ts > seen.last:
            seen.last = event.ts
        elif event.ts < seen.first:
            seen.first = event.ts
        seen.events += 1
        if counts.is_counted:
            seen.tools += counts.is_tool
            seen.errors += _is_error(event)
    _meet(writer, _rows_of(by_id))


def _rows_of(by_id: Mapping[str, _Seen]) -> list[_Met]:
    """In order of the ids, so that two machines that land at once never lock each other up."""
    return [
        (id, stamp(seen.first), stamp(seen.last), seen.events, seen.tools, seen.errors)
        for id, seen in sorted(by_id.items())
    ]


class _Counts(msgspec.Struct, frozen=True):
    """How the events of a class count."""

    says_session: bool
    """Whether they may speak of another session than their scope's."""
    is_tool: bool
    is_counted: bool
    """Whether they count as more than an event."""


_COUNTS: dict[type[Event], _Counts] = {}


def _counts_of(cls: type[Event]) -> _Counts:
    is_tool = issubclass(cls, ToolStarted)
    counts = _Counts(
        says_session=issubclass(cls, (SessionCreated, SessionEnded, LogLine)),
        is_tool=is_tool,
        is_counted=is_tool or issubclass(cls, _MAY_FAIL),
    )
    return _COUNTS.setdefault(cls, counts)


def session_named(event: Event) -> str | None:
    """The id of the session an event speaks of, else of the one it belongs to."""
    session = _session_said(event)
    return in_text(session) if session else None


def _session_said(event: Event) -> str | None:
    session = event.scope.session
    if isinstance(event, (SessionCreated, SessionEnded)):
        return event.session_id or session
    if isinstance(event, LogLine) and not session:
        return _text(event.kv.get("session_id"))
    return session


_MAY_FAIL = (ErrorRaised, ModelFailed, WorkerFailed, DispatchFinished, LogLine)


def _is_error(event: Event) -> bool:
    if isinstance(event, (ErrorRaised, ModelFailed, WorkerFailed)):
        return True
    if isinstance(event, DispatchFinished):
        return event.error is not None and event.error.tool is None
    return isinstance(event, LogLine) and event.event_type.startswith("error:")


_TELLS = ("session:create", "session:resume", "session:end")


def _is_told(event: Event) -> bool:
    """Whether it says something of a session itself."""
    return event.kind in _TELLS and bool(session_named(event))


def _fold(writer: Writer, told: Sequence[Event]) -> None:
    """Take what was said; the rows have just been counted up, so they are ours to change."""
    ids = [session_named(event) or "" for event in told]
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
    along="idx_sessions_start",
)


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
