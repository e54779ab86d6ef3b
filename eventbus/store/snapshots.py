"""Snapshots: the state each chat's agent can go on from."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from eventbus.errors import SnapshotUnknown
from eventbus.event import Event
from eventbus.events.session import SessionResumed, SnapshotDiscarded, SnapshotSaved
from eventbus.formats.record import to_json
from eventbus.scope import scope
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.folding import alone
from eventbus.store.pages import Page
from eventbus.store.topic import NO_SESSION, Topic, in_text, order_key, stamp, whole
from eventbus.store.walking import BY_NAME, Walk, as_struct, walk

__all__ = [
    "TOPIC",
    "Save",
    "Snapshot",
    "SnapshotListed",
    "discard_snapshot",
    "restore",
    "saves",
    "snapshot",
    "snapshots",
]


class SnapshotListed(msgspec.Struct, frozen=True, kw_only=True):
    """A chat's snapshot without what is in it."""

    chat_id: str
    session_id: str
    turn_number: int
    created_at: str
    """When the chat was first saved, or first since its snapshot was discarded."""
    updated_at: str
    event_id: str
    size_bytes: int
    """Of its state."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a chat's agent at the end of a turn."""

    chat_id: str
    session_id: str
    turn_number: int
    state: Any
    created_at: str
    updated_at: str
    event_id: str


class Save(msgspec.Struct, frozen=True, kw_only=True):
    """One of the times a chat was saved; it can be restored by its event."""

    event_id: str
    chat_id: str
    session_id: str
    turn_number: int
    ts: str


TABLES = (
    """CREATE TABLE agent_snapshots (
        chat_id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL, turn_number {integer} NOT NULL, state TEXT NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
        event_id TEXT NOT NULL, size_bytes {integer} NOT NULL, as_of TEXT NOT NULL){strict}""",
    "CREATE INDEX idx_agent_snapshots_updated ON agent_snapshots (updated_at, chat_id)",
    """CREATE TABLE snapshot_saves (
        as_of TEXT NOT NULL PRIMARY KEY, chat_id TEXT NOT NULL, session_id TEXT NOT NULL,
        event_id TEXT NOT NULL, ts TEXT NOT NULL, turn_number {integer} NOT NULL){strict}""",
    "CREATE INDEX idx_snapshot_saves_chat ON snapshot_saves (chat_id, as_of)",
    """CREATE TABLE snapshot_discards (
        chat_id TEXT NOT NULL PRIMARY KEY, as_of TEXT NOT NULL){strict}""",
)

# --- landing -----------------------------------------------------------------------


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep of each chat the latest save that was not discarded after."""
    alone(writer, "agent_snapshots")
    saved = [event for event in events if isinstance(event, SnapshotSaved)]
    discarded = [event for event in events if isinstance(event, SnapshotDiscarded)]
    _keep_saves(writer, saved)
    _keep_discards(writer, discarded)
    latest = _latest(saved)
    for chat_id in sorted({*latest, *(in_text(event.chat_id) for event in discarded)}):
        _settle(writer, chat_id, latest.get(chat_id))


def _latest(saved: Iterable[SnapshotSaved]) -> dict[str, SnapshotSaved]:
    return {in_text(event.chat_id): event for event in sorted(saved, key=order_key)}


def _keep_saves(writer: Writer, saved: Sequence[SnapshotSaved]) -> None:
    writer.insert(
        "snapshot_saves (as_of, chat_id, session_id, event_id, ts, turn_number)",
        [
            (
                order_key(event),
                in_text(event.chat_id),
                _session_of(event),
                event.id,
                stamp(event.ts),
                whole(event.turn_number),
            )
            for event in saved
        ],
    )


def _session_of(event: Event) -> str:
    return in_text(event.scope.session or NO_SESSION)


def _keep_discards(writer: Writer, discarded: Sequence[SnapshotDiscarded]) -> None:
    latest = {
        in_text(event.chat_id): order_key(event) for event in sorted(discarded, key=order_key)
    }
    writer.insert(
        "snapshot_discards (chat_id, as_of)",
        sorted(latest.items()),
        then="ON CONFLICT (chat_id) DO UPDATE SET as_of ="
        " CASE WHEN excluded.as_of > snapshot_discards.as_of"
        " THEN excluded.as_of ELSE snapshot_discards.as_of END",
    )


def _settle(writer: Writer, chat_id: str, event: SnapshotSaved | None) -> None:
    """Make a chat's row what all that has landed of it says."""
    discarded = _as_of(writer, "snapshot_discards", chat_id)
    there = _as_of(writer, "agent_snapshots", chat_id)
    if event is not None and order_key(event) > max(there, discarded):
        _replace(writer, chat_id, event)
    elif there < discarded:
        writer.run("DELETE FROM agent_snapshots WHERE chat_id = ?", (chat_id,))
    first = writer.row(
        "SELECT ts FROM snapshot_saves WHERE chat_id = ? AND as_of > ? ORDER BY as_of LIMIT 1",
        (chat_id, discarded),
    )
    if first is not None:
        writer.run(
            "UPDATE agent_snapshots SET created_at = ? WHERE chat_id = ?", (first[0], chat_id)
        )


def _as_of(reader: Reader, table: str, chat_id: str) -> str:
    row = reader.row(f"SELECT as_of FROM {table} WHERE chat_id = ?", (chat_id,))
    return "" if row is None else str(row[0])


def _replace(writer: Writer, chat_id: str, event: SnapshotSaved) -> None:
    state, ts = to_json(event.state), stamp(event.ts)
    names = ("session_id", "turn_number", "state", "updated_at", "event_id", "size_bytes", "as_of")
    over = ", ".join(f"{name} = excluded.{name}" for name in names)
    writer.insert(
        f"agent_snapshots (chat_id, created_at, {', '.join(names)})",
        [
            (
                chat_id,
                ts,
                _session_of(event),
                whole(event.turn_number),
                state.decode(),
                ts,
                event.id,
                len(state),
                order_key(event),
            )
        ],
        then=f"ON CONFLICT (chat_id) DO UPDATE SET {over}",
    )


TOPIC = Topic(name="snapshots", tables=TABLES, events=(SnapshotSaved, SnapshotDiscarded), land=land)

# --- questions ---------------------------------------------------------------------

_LISTED = Walk(
    columns=", ".join(SnapshotListed.__struct_fields__),
    source="agent_snapshots",
    key=("updated_at", "chat_id"),
    form=BY_NAME,
    is_newest_first=True,
)
_SAVES = Walk(
    columns=", ".join(Save.__struct_fields__), source="snapshot_saves", is_newest_first=True
)
_listed = as_struct(SnapshotListed)
_save = as_struct(Save)
_as_snapshot = as_struct(Snapshot)


def snapshot(store: Reader, chat_id: str) -> Snapshot | None:
    """What a chat can go on from; None where nothing is saved."""
    columns = ", ".join(Snapshot.__struct_fields__)
    row = store.row(f"SELECT {columns} FROM agent_snapshots WHERE chat_id = ?", (chat_id,))
    return None if row is None else _snapshot(row)


def snapshots(store: Reader, *, limit: int = 50, cursor: str | None = None) -> Page[SnapshotListed]:
    """Every chat's snapshot without its state, the one saved last first."""
    return walk(store, _LISTED, limit=limit, cursor=cursor, read=_listed)


def saves(store: Reader, chat_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Save]:
    """The times a chat was saved, newest first; what was discarded is left out."""
    way = _SAVES.where(chat_id=chat_id)
    discarded = _as_of(store, "snapshot_discards", chat_id)
    if discarded:
        way = way.given("as_of > ?", discarded)
    return walk(store, way, limit=limit, cursor=cursor, read=_save)


def _snapshot(row: Row) -> Snapshot:
    found = _as_snapshot(row)
    return msgspec.structs.replace(found, state=msgspec.json.decode(found.state))


def _earlier(store: Reader, chat_id: str, event_id: str) -> Snapshot | None:
    """A snapshot as its event has it; found by its moment among the chat's saves."""
    row = store.row(
        "SELECT saved.chat_id, saved.session_id, saved.turn_number, events.kv_json,"
        " saved.ts, saved.ts, saved.event_id"
        " FROM events CROSS JOIN snapshot_saves AS saved"
        " WHERE events.event_id = ? AND saved.chat_id = ? AND saved.event_id = events.event_id"
        " AND saved.as_of >= substr(events.ts, 1, 23)"
        " AND saved.as_of < substr(events.ts, 1, 23) || '~'",
        (event_id, chat_id),
    )
    if row is None:
        return None
    found = _snapshot(row)
    return msgspec.structs.replace(found, state=found.state["state"])


# --- asking for a change -------------------------------------------------------------


def restore(
    store: Reader,
    emit: Callable[[Event], object],
    chat_id: str,
    *,
    session_id: str | None = None,
    event_id: str | None = None,
) -> Snapshot:
    """A chat's snapshot, having emitted that a session goes on from it.

    The session is the scope's unless it is named; an `event_id` asks for an
    earlier save. Raises `SnapshotUnknown` where there is none.
    """
    found = snapshot(store, chat_id) if event_id is None else _earlier(store, chat_id, event_id)
    if found is None:
        which = "" if event_id is None else f" of event {event_id!r}"
        raise SnapshotUnknown(f"no snapshot{which} of chat {chat_id!r} in the store")
    with scope(session=session_id, chat=chat_id):
        emit(
            SessionResumed(chat_id=chat_id, turn_number=found.turn_number, snapshot=found.event_id)
        )
    return found


def discard_snapshot(store: Reader, emit: Callable[[Event], object], chat_id: str) -> None:
    """Emit that a chat's snapshot is not to be resumed from.

    Raises `SnapshotUnknown` where there is none.
    """
    if snapshot(store, chat_id) is None:
        raise SnapshotUnknown(f"no snapshot of chat {chat_id!r} in the store")
    emit(SnapshotDiscarded(chat_id=chat_id))
