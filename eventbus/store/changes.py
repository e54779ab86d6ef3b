"""File changes: what was written, deleted and made under a watched root, and by which tool."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from eventbus.event import Event
from eventbus.events.file import DirectoryMade, FileDeleted, FileWritten
from eventbus.formats.record import to_json
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.pages import PAGE_MOST, Page
from eventbus.store.topic import Topic, order_key, stamp, whole
from eventbus.store.traces import ToolTrace
from eventbus.store.walking import Walk, walk

__all__ = [
    "TOPIC",
    "WHO_WROTE",
    "ChangeTold",
    "FileChange",
    "changes_of_call",
    "changes_told",
    "file_changes",
    "files_changed",
    "files_told",
    "last_change",
]


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change to a file or directory; None where nothing is known."""

    event_id: str
    ts: str
    op: str
    """`write`, `delete` or `mkdir`."""
    path: str
    size_bytes: int | None
    actor: str | None
    """The tool that did it."""
    agent_name: str | None
    trace: str | None
    """The tool call that did it."""
    session_id: str | None
    hash: str | None
    moved_from: str | None
    moved_to: str | None
    user_id: str | None
    candidates: tuple[str, ...]
    """The tool calls it may have been, where several may."""
    pid: int | None
    """The process that did it, where the kernel said so."""
    command: str | None
    """What that process was called."""


class ChangeTold(FileChange, frozen=True, kw_only=True):
    """The same with what was before, and with the tool call."""

    size_before: int | None
    """None: it was not there, or nobody knows."""
    tool_name: str | None
    tool_input: Any
    outcome: str | None


UNKNOWN, AMBIGUOUS = "unknown", "ambiguous"
TOLD_LATE = timedelta(seconds=10)
"""A change is told so long after its call has ended at the most."""
A_MILLISECOND = timedelta(milliseconds=1)
"""Moments are shown no more closely: one that is read off a change means that change."""
_COLUMNS = FileChange.__struct_fields__

TABLES = (
    """CREATE TABLE file_changes (
        as_of TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL, ts TEXT NOT NULL, op TEXT NOT NULL, path TEXT NOT NULL,
        size_bytes {integer}, actor TEXT, agent_name TEXT, trace TEXT, session_id TEXT,
        hash TEXT, moved_from TEXT, moved_to TEXT){strict}""",
    "CREATE INDEX idx_file_changes_path ON file_changes (path, as_of)",
    "CREATE INDEX idx_file_changes_session ON file_changes (session_id, as_of)",
    "CREATE INDEX idx_file_changes_trace ON file_changes (trace, as_of)",
)
WHO_WROTE = (
    "ALTER TABLE file_changes ADD COLUMN user_id TEXT",
    "ALTER TABLE file_changes ADD COLUMN candidates TEXT",
    "ALTER TABLE file_changes ADD COLUMN pid {integer}",
    "ALTER TABLE file_changes ADD COLUMN command TEXT",
    "CREATE INDEX idx_file_changes_actor ON file_changes (actor, as_of)",
)
"""What came to the table after it was first made."""

_OPS: dict[type[Event], str] = {FileWritten: "write", FileDeleted: "delete", DirectoryMade: "mkdir"}


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep each change as a row."""
    writer.insert(
        f"file_changes (as_of, {', '.join(_COLUMNS)})",
        [
            (
                order_key(event),
                event.id,
                stamp(event.ts),
                _OPS[type(event)],
                event.path,
                whole(getattr(event, "size_bytes", None)),
                event.actor,
                event.agent_name,
                event.trace,
                event.scope.session,
                getattr(event, "hash", None),
                getattr(event, "moved_from", None),
                getattr(event, "moved_to", None),
                event.scope.user,
                to_json(event.candidates).decode() if event.candidates else None,
                whole(event.pid) if isinstance(event.pid, int) else None,
                event.command if isinstance(event.command, str) else None,
            )
            for event in events
            if isinstance(event, (FileWritten, FileDeleted, DirectoryMade))
        ],
    )


TOPIC = Topic(name="changes", tables=TABLES, events=tuple(_OPS), land=land)

# --- questions ---------------------------------------------------------------------

_CHANGE_COLUMNS = ", ".join(f"change.{name}" for name in _COLUMNS)
_CHANGES = Walk(columns=_CHANGE_COLUMNS, source="file_changes AS change", is_newest_first=True)
_IS_LAST = """NOT EXISTS (SELECT 1 FROM file_changes AS later
 WHERE later.path = change.path AND later.as_of > change.as_of)"""
_LAST = Walk(
    columns=_CHANGE_COLUMNS,
    source="file_changes AS change",
    key=("change.path",),
    conditions=(_IS_LAST,),
)
_TOLD = f"""{_CHANGE_COLUMNS},
 (SELECT CASE WHEN before.op = 'write' THEN before.size_bytes END FROM file_changes AS before
  WHERE before.path = change.path AND before.as_of < change.as_of
  ORDER BY before.as_of DESC LIMIT 1),
 (SELECT call.tool_name FROM tool_traces AS call WHERE call.id = change.trace),
 (SELECT call.tool_input FROM tool_traces AS call WHERE call.id = change.trace),
 (SELECT call.outcome FROM tool_traces AS call WHERE call.id = change.trace)"""


def file_changes(
    store: Reader,
    *,
    path: str | None = None,
    below: str | None = None,
    like: str | None = None,
    actor: str | None = None,
    session_id: str | None = None,
    trace: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[FileChange]:
    """Changes, newest first: of a path, an actor, a session, a tool call, or all.

    The actor `unknown` asks for changes that are nobody's.
    `below` asks for what is in a directory, `like` for paths that fit a
    pattern, in which `*` and `?` stand for `/` too.
    """
    way = _CHANGES.within("as_of", since, until)
    way = _by(way, actor).where(path=path, session_id=session_id, trace=trace)
    way = _of_paths(way, store, below=below, like=like)
    return walk(store, way, limit=limit, cursor=cursor, read=_change)


def changes_told(
    store: Reader,
    *,
    path: str | None = None,
    below: str | None = None,
    like: str | None = None,
    actor: str | None = None,
    session_id: str | None = None,
    trace: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[ChangeTold]:
    """The same, each with its tool call and the size before."""
    way = _CHANGES.within("as_of", since, until)
    way = _by(way, actor).where(path=path, session_id=session_id, trace=trace)
    way = _of_paths(way, store, below=below, like=like)
    way = msgspec.structs.replace(way, columns=_TOLD)
    return walk(store, way, limit=limit, cursor=cursor, read=_change_told)


def changes_of_call(store: Reader, call: ToolTrace) -> list[FileChange]:
    """What a tool call changed, oldest first, and what it may have: a page at the most."""
    surely = file_changes(store, trace=call.id, limit=PAGE_MOST).items
    finished = call.finished_at and datetime.fromisoformat(call.finished_at) + TOLD_LATE
    perhaps = file_changes(
        store,
        actor=AMBIGUOUS,
        since=datetime.fromisoformat(call.started_at),
        until=finished or None,
        limit=PAGE_MOST,
    ).items
    return [*reversed(surely), *(each for each in reversed(perhaps) if call.id in each.candidates)]


def last_change(store: Reader, path: str, *, at: datetime | None = None) -> FileChange | None:
    """The latest change to a path, up to a moment and with it; None where there is none."""
    until = None if at is None else at + A_MILLISECOND
    return next(iter(file_changes(store, path=path, until=until, limit=1).items), None)


def files_changed(
    store: Reader, *, below: str | None = None, limit: int = 100, cursor: str | None = None
) -> Page[FileChange]:
    """Of every path that was ever changed its latest change, in order of the paths."""
    return walk(store, _last_below(below), limit=limit, cursor=cursor, read=_change)


def files_told(
    store: Reader, *, below: str | None = None, limit: int = 100, cursor: str | None = None
) -> Page[ChangeTold]:
    """The same, each with its tool call and the size before."""
    way = msgspec.structs.replace(_last_below(below), columns=_TOLD)
    return walk(store, way, limit=limit, cursor=cursor, read=_change_told)


def _last_below(below: str | None) -> Walk:
    if below is None:
        return _LAST
    return _LAST.given("change.path >= ?", f"{below}/").given("change.path < ?", f"{below}0")


def _by(way: Walk, actor: str | None) -> Walk:
    return way.given("actor IS NULL") if actor == UNKNOWN else way.where(actor=actor)


def _of_paths(way: Walk, store: Reader, *, below: str | None, like: str | None) -> Walk:
    """Only these paths, looked for along the time: their own index is in another order."""
    if below is not None:
        way = way.given("(path || '') >= ?", f"{below}/").given("(path || '') < ?", f"{below}0")
    if like is not None:
        is_sqlite = store.dialect.name == "sqlite"
        operator, pattern = ("GLOB", like) if is_sqlite else ("~", _regex(like))
        way = way.given(f"(path || '') {operator} ?", pattern)
    return way


def _regex(glob: str) -> str:
    """A pattern of `*`, `?` and `[…]` as PostgreSQL has it."""
    parts = re.split(r"(\*|\?|\[\^?\]?[^\]]*\])", glob)
    words = {"*": ".*", "?": "."}
    return "^" + "".join(words.get(part) or _part(part) for part in parts) + "$"


def _part(part: str) -> str:
    is_set = len(part) > 2 and part[0] == "[" and part[-1] == "]"
    return part.replace("\\", "\\\\") if is_set else re.escape(part)


def _change(row: Row) -> FileChange:
    return FileChange(**_fields(row))


def _change_told(row: Row) -> ChangeTold:
    *change, before, tool_name, tool_input, outcome = row
    fields = _fields(change)
    if fields["op"] == "delete" and fields["size_bytes"] is not None:
        before = fields["size_bytes"]
    return ChangeTold(
        **fields,
        size_before=before,
        tool_name=tool_name,
        tool_input=None if tool_input is None else msgspec.json.decode(tool_input),
        outcome=outcome,
    )


def _fields(row: Row | list[Any]) -> dict[str, Any]:
    fields = dict(zip(_COLUMNS, row, strict=True))
    fields["candidates"] = tuple(msgspec.json.decode(fields["candidates"] or "[]"))
    return fields
