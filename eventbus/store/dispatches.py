"""Dispatches: kernel turns with their tools, and those a limit refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from eventbus.event import Event
from eventbus.events.dispatch import (
    DispatchError,
    DispatchFinished,
    DispatchRefused,
    DispatchTool,
)
from eventbus.formats.interactions import Interaction, interaction_of
from eventbus.formats.record import to_json
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.pages import Page
from eventbus.store.topic import Topic, order_key, real, whole
from eventbus.store.walking import Walk, as_struct, walk

__all__ = ["TOPIC", "Dispatch", "dispatches"]


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """One dispatch; None where nothing is known."""

    event_id: str
    timestamp: str
    sender_id: str
    conversation_id: str | None
    session_id: str | None
    model: str | None
    agent_name: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    duration_ms: float | None
    tools: list[DispatchTool]
    status: str
    """`success`, `error` or `refused`."""
    error: DispatchError | None
    batch: bool
    batch_id: str | None


_COLUMNS = Dispatch.__struct_fields__

TABLES = (
    """CREATE TABLE dispatches (
        as_of TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL, timestamp TEXT NOT NULL, sender_id TEXT NOT NULL,
        conversation_id TEXT, session_id TEXT, model TEXT, agent_name TEXT,
        tokens_in {integer}, tokens_out {integer}, cost {real}, duration_ms {real},
        tools TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
        batch {integer} NOT NULL, batch_id TEXT){strict}""",
    "CREATE INDEX idx_dispatches_conversation ON dispatches (conversation_id, as_of)",
    "CREATE INDEX idx_dispatches_session ON dispatches (session_id, as_of)",
)


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep each dispatch as a row."""
    told = [(event, interaction_of(event)) for event in events]
    writer.insert(
        f"dispatches (as_of, {', '.join(_COLUMNS)})",
        [_row(event, interaction) for event, interaction in told if interaction is not None],
    )


def _row(event: Event, interaction: Interaction) -> Row:
    has_error = interaction.error is not msgspec.UNSET
    return (
        order_key(event),
        event.id,
        interaction.timestamp,
        interaction.sender_id,
        interaction.conversation_id,
        event.scope.session,
        interaction.model,
        interaction.agent_name,
        whole(interaction.tokens_in),
        whole(interaction.tokens_out),
        real(interaction.cost),
        real(interaction.duration_ms),
        to_json(getattr(event, "tools", ())).decode(),
        "refused" if isinstance(event, DispatchRefused) else interaction.status,
        to_json(interaction.error).decode() if has_error else None,
        int(interaction.batch),
        interaction.batch_id,
    )


TOPIC = Topic(
    name="dispatches", tables=TABLES, events=(DispatchFinished, DispatchRefused), land=land
)

# --- questions ---------------------------------------------------------------------

_DISPATCHES = Walk(columns=", ".join(_COLUMNS), source="dispatches", is_newest_first=True)
_as_dispatch = as_struct(Dispatch)


def dispatches(
    store: Reader,
    *,
    conversation_id: str | None = None,
    session_id: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Dispatch]:
    """Dispatches, newest first: of a conversation, a session, or all."""
    way = _DISPATCHES.within("as_of", since, until).where(
        conversation_id=conversation_id, session_id=session_id, status=status
    )
    return walk(store, way, limit=limit, cursor=cursor, read=_dispatch)


def _dispatch(row: Row) -> Dispatch:
    found = _as_dispatch(row)
    error: Any = found.error
    tools: Any = found.tools
    return msgspec.structs.replace(
        found,
        tools=msgspec.json.decode(tools, type=list[DispatchTool]),
        error=None if error is None else msgspec.json.decode(error, type=DispatchError),
        batch=bool(found.batch),
    )
