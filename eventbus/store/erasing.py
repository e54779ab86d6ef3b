"""Erasing events from the store: their rows, what was made of them, the index of their words."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from eventbus.disk import Disk
from eventbus.event import Event, UnknownEvent, decode
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.llm import ModelAnswered
from eventbus.events.task import RouteChosen, TaskFinished, TaskRated
from eventbus.events.traces import ToolFinished, ToolStarted, ToolUpdated
from eventbus.formats.record import to_json
from eventbus.sealing.choosing import Choice
from eventbus.sealing.records import Erased
from eventbus.sealing.sealed import read_declared
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.sqlite import SqliteReader, SqliteWriter
from eventbus.store.topic import in_text
from eventbus.store.usage import take_back

__all__ = ["chosen_ids", "erase_events", "erased_ids", "forget_erased", "holds_any", "texts_of"]

A_QUESTION = 500
IDS_A_QUESTION = 100_000
BY_EVENT = (
    "file_changes",
    "dispatches",
    "errors",
    "unparsed_lines",
    "ingested_files",
    "channel_messages",
    "session_openings",
    "agent_snapshots",
    "snapshot_saves",
    "agent_spawns",
)
"""Tables whose rows are each of one event."""
_COLUMNS = "event_id, event_type, ts, user_id, component, session_id, kv_json"
_COLUMN_OF = {"user": "user_id", "session": "session_id", "id": "event_id"}
_INDEXED = {"session", "path", "id"}
_BY_PATH = (
    "event_id IN (SELECT event_id FROM file_changes"
    " WHERE path = ? OR moved_from = ? OR moved_to = ?)"
)


def chosen_ids(store: Reader, choice: Choice) -> set[str]:
    """Events in the store that are chosen."""
    conditions, values = [], []
    for word, value in choice.values.items():
        if word == "path":
            conditions.append(_BY_PATH)
            values += [value] * 3
        else:
            conditions.append(f"{_COLUMN_OF[word]} = ?")
            values.append(in_text(value))
    question = f"SELECT event_id FROM events WHERE {' AND '.join(conditions)}"
    if not _INDEXED.isdisjoint(choice.values):
        return {str(row[0]) for row in store.rows(question, values)}
    found: set[str] = set()
    for start in range(0, _last_id(store), IDS_A_QUESTION):  # no index holds users
        part = (*values, start, start + IDS_A_QUESTION)
        rows = store.rows(f"{question} AND id > ? AND id <= ?", part)
        found.update(str(row[0]) for row in rows)
    return found


def _last_id(store: Reader) -> int:
    row = store.row("SELECT max(id) FROM events")
    return int(row[0] or 0) if row is not None else 0


def texts_of(store: Reader, ids: Iterable[str]) -> set[bytes]:
    """The flat lines of these events."""
    found: set[bytes] = set()
    for part in _parts(sorted(ids)):
        marks = ", ".join("?" * len(part))
        rows = store.rows(f"SELECT raw_line FROM events WHERE event_id IN ({marks})", part)
        found.update(str(row[0]).encode() for row in rows)
    return found


def erase_events(writer: Writer, ids: Iterable[str]) -> int:
    """Delete these events and what was made of them; how many rows of events that were."""
    wanted = sorted(set(ids))
    with writer.transaction(is_synced=True):
        _be_thorough(writer)
        rows = [row for part in _parts(wanted) for row in _rows_of(writer, part)]
        if not rows:
            return 0
        there = [str(row[0]) for row in rows]
        _take_back_what_was_made(writer, [event for row in rows for event in _event_of(row)])
        for table in BY_EVENT:
            _delete(writer, table, "event_id", there)
        _delete(writer, "events", "event_id", there)
        _recount_sessions(writer, {str(row[5]) for row in rows if row[5]})
    _clear_up(writer)
    return len(rows)


def _be_thorough(writer: Writer) -> None:
    if writer.dialect.name == "sqlite":
        writer.run("PRAGMA secure_delete = ON")


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), A_QUESTION):
        yield ids[start : start + A_QUESTION]


def _rows_of(store: Reader, ids: Sequence[str]) -> list[Row]:
    marks = ", ".join("?" * len(ids))
    return store.rows(f"SELECT {_COLUMNS} FROM events WHERE event_id IN ({marks})", ids)


def _event_of(row: Row) -> Iterator[Event]:
    """The event made of its row again, as far as what was made of it needs."""
    id, kind, ts, user, component, session, payload = row
    scope = {"user": user, "component": component, "session": session}
    said = {word: value for word, value in scope.items() if value is not None}
    head = to_json({"kind": kind, "id": id, "ts": ts, "scope": said, "cause": None})
    with suppress(Exception):
        event = decode(head[:-1] + f",{payload[1:]}".encode() if payload else head)
        if not isinstance(event, UnknownEvent):
            yield event


def _take_back_what_was_made(writer: Writer, events: list[Event]) -> None:
    take_back(writer, [one for one in events if isinstance(one, (ModelAnswered, DispatchFinished))])
    traces = [
        in_text(one.trace)
        for one in events
        if isinstance(one, (ToolStarted, ToolUpdated, ToolFinished))
    ]
    _delete(writer, "tool_traces", "id", traces)
    tasks = [
        in_text(one.task)
        for one in events
        if isinstance(one, (TaskFinished, TaskRated, RouteChosen))
    ]
    _delete(writer, "routing_decisions", "task_id", tasks)
    _delete(writer, "tasks", "id", tasks)


def _delete(writer: Writer, table: str, column: str, values: Sequence[str]) -> None:
    for part in _parts(sorted(set(values))):
        marks = ", ".join("?" * len(part))
        writer.run(f"DELETE FROM {table} WHERE {column} IN ({marks})", part)


def _recount_sessions(writer: Writer, sessions: set[str]) -> None:
    """What is left of each session; nothing, where no event is."""
    for session in sorted(sessions):
        row = writer.row(
            "SELECT count(*), min(ts), max(ts),"
            " sum(CASE WHEN event_type = 'tool:start' THEN 1 ELSE 0 END),"
            " sum(CASE WHEN event_type LIKE 'error:%' THEN 1 ELSE 0 END)"
            " FROM events WHERE session_id = ?",
            (session,),
        )
        if row is not None and row[0]:
            writer.run(
                "UPDATE sessions SET events = ?, start_time = ?, last_time = ?, tools = ?,"
                " errors = CASE WHEN errors < ? THEN errors ELSE ? END WHERE id = ?",
                (row[0], row[1], row[2], row[3], row[4], row[4], session),
            )
            continue
        tasks = [str(one[0]) for one in _tasks_of(writer, session)]
        _delete(writer, "routing_decisions", "task_id", tasks)
        _delete(writer, "tasks", "id", tasks)
        _delete(writer, "tool_traces", "session_id", [session])
        _delete(writer, "sessions", "id", [session])


def _tasks_of(store: Reader, session: str) -> list[Row]:
    return store.rows("SELECT id FROM tasks WHERE session_id = ?", (session,))


def _clear_up(writer: Writer) -> None:
    """Leave no page that has had them: the index of words is made anew, and the file packed."""
    if not isinstance(writer, SqliteWriter):
        return
    with writer.transaction(is_synced=True):
        writer.run("INSERT INTO events_fts (events_fts) VALUES ('rebuild')")
        writer.run(
            "INSERT INTO store_facts (name, value)"
            " SELECT 'search_upto', CAST(coalesce(max(id), 0) AS TEXT) FROM events WHERE true"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
    writer.run("VACUUM")
    writer.empty_log()


# --- backups ---------------------------------------------------------------------------


def erased_ids(state: Path, disk: Disk) -> set[str]:
    """Every event that was ever declared erased there."""
    declared = (one.record for one in read_declared(state, disk))
    return {
        line.id
        for record in declared
        if isinstance(record, Erased)
        for line in record.lines
        if line.id
    }


def forget_erased(path: Path, state: Path, disk: Disk) -> int:
    """Take out of a copy of a backup what was erased since; how many events that were."""
    ids = erased_ids(state, disk)
    if not ids or not holds_any(path, ids):
        return 0
    writer = SqliteWriter(path)
    try:
        return erase_events(writer, ids)
    finally:
        writer.close()


def holds_any(path: Path, ids: Iterable[str]) -> bool:
    """Whether a store on SQLite has a row of any of these events."""
    with suppress(sqlite3.Error):
        reader = SqliteReader(path)
        try:
            return any(_rows_of(reader, part) for part in _parts(sorted(ids)))
        finally:
            reader.close()
    return False
