"""File changes: what was written, deleted and made under a watched root, and by which tool."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from eventbus.event import Event
from eventbus.events.file import DirectoryMade, FileDeleted, FileWritten
from eventbus.store.engine import Reader, Writer
from eventbus.store.pages import Page
from eventbus.store.topic import Topic, order_key, stamp, whole
from eventbus.store.walking import Walk, as_struct, walk

__all__ = ["TOPIC", "FileChange", "file_changes", "files_changed", "last_change"]


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
            )
            for event in events
            if isinstance(event, (FileWritten, FileDeleted, DirectoryMade))
        ],
    )


TOPIC = Topic(name="changes", tables=TABLES, events=tuple(_OPS), land=land)

# --- questions ---------------------------------------------------------------------

_CHANGES = Walk(columns=", ".join(_COLUMNS), source="file_changes", is_newest_first=True)
_IS_LAST = """NOT EXISTS (SELECT 1 FROM file_changes AS later
 WHERE later.path = change.path AND later.as_of > change.as_of)"""
_LAST = Walk(
    columns=", ".join(f"change.{name}" for name in _COLUMNS),
    source="file_changes AS change",
    key=("change.path",),
    conditions=(_IS_LAST,),
)
_change = as_struct(FileChange)


def file_changes(
    store: Reader,
    *,
    path: str | None = None,
    session_id: str | None = None,
    trace: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[FileChange]:
    """Changes, newest first: of a path, a session, a tool call, or all."""
    way = _CHANGES.within("as_of", since, until).where(
        path=path, session_id=session_id, trace=trace
    )
    return walk(store, way, limit=limit, cursor=cursor, read=_change)


def last_change(store: Reader, path: str) -> FileChange | None:
    """The latest change to a path; None where there is none."""
    return next(iter(file_changes(store, path=path, limit=1).items), None)


def files_changed(
    store: Reader, *, limit: int = 100, cursor: str | None = None
) -> Page[FileChange]:
    """Of every path that was ever changed its latest change, in order of the paths."""
    return walk(store, _LAST, limit=limit, cursor=cursor, read=_change)
