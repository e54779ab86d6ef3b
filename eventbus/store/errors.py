"""Errors of every producer, and which of them are the same."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from eventbus.event import Event
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.error import ErrorRaised
from eventbus.events.llm import ModelFailed
from eventbus.events.log import LogLine
from eventbus.events.worker import WorkerFailed
from eventbus.formats.errors import Error, error_of
from eventbus.formats.record import to_json
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.pages import Page, clamped
from eventbus.store.topic import Topic, order_key, stamp
from eventbus.store.walking import Walk, as_struct, walk

__all__ = ["TOPIC", "ErrorKept", "ErrorsAlike", "errors", "errors_by"]


class ErrorKept(msgspec.Struct, frozen=True, kw_only=True):
    """One error; None where nothing is known."""

    event_id: str
    ts: str
    kind: str
    component: str | None
    type: str
    message: str
    stack: str | None
    """The traceback as text."""
    tool: str | None
    args: Any
    source: str | None
    session_id: str | None


class ErrorsAlike(msgspec.Struct, frozen=True, kw_only=True):
    """The errors of one type in one component."""

    component: str | None
    type: str
    count: int
    first: str
    last: str
    message: str
    """The last one's."""
    stack: str | None
    """The traceback of the last one that has one."""


_COLUMNS = ErrorKept.__struct_fields__

TABLES = (
    """CREATE TABLE errors (
        as_of TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL, ts TEXT NOT NULL, kind TEXT NOT NULL,
        component TEXT, type TEXT NOT NULL, message TEXT NOT NULL, stack TEXT,
        tool TEXT, args TEXT, source TEXT, session_id TEXT,
        fingerprint TEXT NOT NULL){strict}""",
    "CREATE INDEX idx_errors_fingerprint ON errors (fingerprint, as_of)",
    "CREATE INDEX idx_errors_session ON errors (session_id, as_of)",
)

# --- landing -----------------------------------------------------------------------


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep each error as a row."""
    found = [(event, _error_of(event)) for event in events]
    writer.insert(
        f"errors (as_of, fingerprint, {', '.join(_COLUMNS)})",
        [_row(event, error) for event, error in found if error is not None],
    )


def _error_of(event: Event) -> Error | None:
    if not isinstance(event, DispatchFinished):
        return error_of(event)
    if event.error is None or event.error.tool is not None:
        return None  # what a tool raised is an `error:tool` of its own
    return Error(
        timestamp=stamp(event.ts),
        component=event.scope.component,
        type=event.error.name,
        message=event.error.message,
        stack=event.error.stack,
        tool=event.error.tool,
        source=event.scope.source,
    )


def _row(event: Event, error: Error) -> Row:
    return (
        order_key(event),
        fingerprint(error.component, error.type),
        event.id,
        error.timestamp,
        event.kind,
        error.component,
        error.type,
        error.message,
        error.stack,
        error.tool,
        None if error.args is None else to_json(error.args).decode(),
        error.source,
        event.scope.session,
    )


def fingerprint(component: str | None, type: str) -> str:
    """What errors that are alike share."""
    return f"{component or ''}|{type}"


TOPIC = Topic(
    name="errors",
    tables=TABLES,
    events=(ErrorRaised, ModelFailed, WorkerFailed, DispatchFinished, LogLine),
    takes_subclasses=True,
    land=land,
)

# --- questions ---------------------------------------------------------------------

_ERRORS = Walk(columns=", ".join(_COLUMNS), source="errors", is_newest_first=True)
_as_error = as_struct(ErrorKept)


def errors(
    store: Reader,
    *,
    component: str | None = None,
    type: str | None = None,
    session_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ErrorKept]:
    """Errors, newest first."""
    way = _ERRORS.within("as_of", since, until).where(session_id=session_id)
    if component is not None and type is not None:
        way = way.where(fingerprint=fingerprint(component, type))
    way = way.where(component=component, type=type)
    return walk(store, way, limit=limit, cursor=cursor, read=_error)


def _error(row: Row) -> ErrorKept:
    found = _as_error(row)
    if found.args is None:
        return found
    return msgspec.structs.replace(found, args=msgspec.json.decode(found.args))


def errors_by(
    store: Reader,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    component: str | None = None,
    limit: int = 100,
) -> list[ErrorsAlike]:
    """Errors by component and type, the most frequent first."""
    way = _ERRORS.within("as_of", since, until).where(component=component)
    where = f" WHERE {' AND '.join(way.conditions)}" if way.conditions else ""
    rows = store.rows(
        "SELECT fingerprint, min(component), min(type), count(*), min(ts), max(ts)"
        f" FROM errors{where} GROUP BY fingerprint"
        f" ORDER BY 4 DESC, 1 LIMIT {clamped(limit)}",
        way.values,
    )
    return [_alike(store, way, row) for row in rows]


def _alike(store: Reader, way: Walk, row: Row) -> ErrorsAlike:
    mark, component, type, count, first, last = row
    alike = way.where(fingerprint=mark)
    newest = walk(store, alike, limit=1, cursor=None, read=_error).items[0]
    told = walk(store, alike.given("stack IS NOT NULL"), limit=1, cursor=None, read=_error).items
    return ErrorsAlike(
        component=component,
        type=type,
        count=count,
        first=first,
        last=last,
        message=newest.message,
        stack=told[0].stack if told else None,
    )
