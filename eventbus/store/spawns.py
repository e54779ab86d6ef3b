"""Agents that were started, by which agent, and why."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from eventbus.event import Event
from eventbus.events.agent import AgentSpawned
from eventbus.store.engine import Reader, Writer
from eventbus.store.pages import Page
from eventbus.store.topic import Topic, order_key, stamp
from eventbus.store.walking import Walk, as_struct, walk

__all__ = ["TOPIC", "Spawn", "spawns"]


class Spawn(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that was started."""

    event_id: str
    ts: str
    agent: str
    parent: str | None
    """None: no agent started it."""
    reason: str | None
    session_id: str | None


_COLUMNS = Spawn.__struct_fields__

TABLES = (
    """CREATE TABLE agent_spawns (
        as_of TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL, ts TEXT NOT NULL, agent TEXT NOT NULL,
        parent TEXT, reason TEXT, session_id TEXT){strict}""",
    "CREATE INDEX idx_agent_spawns_session ON agent_spawns (session_id, as_of)",
)


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep each start of an agent as a row."""
    writer.insert(
        f"agent_spawns (as_of, {', '.join(_COLUMNS)})",
        [
            (
                order_key(event),
                event.id,
                stamp(event.ts),
                event.agent,
                event.parent,
                event.reason,
                event.scope.session,
            )
            for event in events
            if isinstance(event, AgentSpawned)
        ],
    )


TOPIC = Topic(name="spawns", tables=TABLES, events=(AgentSpawned,), land=land)

# --- questions ---------------------------------------------------------------------

_SPAWNS = Walk(columns=", ".join(_COLUMNS), source="agent_spawns", is_newest_first=True)
_spawn = as_struct(Spawn)


def spawns(
    store: Reader,
    *,
    session_id: str | None = None,
    parent: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Spawn]:
    """Agents that were started, newest first."""
    way = _SPAWNS.within("as_of", since, until).where(session_id=session_id, parent=parent)
    return walk(store, way, limit=limit, cursor=cursor, read=_spawn)
