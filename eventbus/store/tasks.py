"""Tasks: units of work, where each was sent and why, and what people thought of it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from eventbus.errors import TaskUnknown
from eventbus.event import Event
from eventbus.events.task import Alternative, RouteChosen, TaskFinished, TaskRated
from eventbus.formats.record import to_json
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.folding import Folded, alone, faintly, folded_rows, keep_folded
from eventbus.store.pages import Page
from eventbus.store.sessions import know_session
from eventbus.store.topic import NO_SESSION, Topic, in_text, order_key, real, stamp, whole
from eventbus.store.walking import BY_NAME, Walk, as_struct, walk

__all__ = ["TOPIC", "Route", "Task", "rate_task", "routes", "task", "tasks"]

UNKNOWN = "unknown"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of work that is done; None where nothing is known."""

    id: str
    session_id: str
    timestamp: str
    source: str
    """`mcp-tool`, `proxy-intercept` or `manual`."""
    model: str
    routing: str
    """`cloud` or `local`."""
    routing_reason: str | None
    tokens_in: int | None
    tokens_out: int | None
    latency_ms: int | None
    cost_usd: float | None
    cloud_cost_equivalent: float | None
    quality_rating: int | None
    """1 good, 0 bad; None: not rated."""
    prompt_length: int | None
    response_length: int | None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task went to the model it went to."""

    id: str
    task_id: str
    timestamp: str
    reason: str
    alternatives_considered: list[Alternative]
    classifier_version: str | None


_COLUMNS = Task.__struct_fields__
_KEPT = (*_COLUMNS, "is_known")

TABLES = (
    """CREATE TABLE tasks (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id),
        timestamp TEXT NOT NULL, source TEXT NOT NULL,
        model TEXT NOT NULL, routing TEXT NOT NULL, routing_reason TEXT,
        tokens_in {integer}, tokens_out {integer}, latency_ms {integer},
        cost_usd {real}, cloud_cost_equivalent {real}, quality_rating {integer},
        prompt_length {integer}, response_length {integer},
        is_known {integer} NOT NULL, as_of TEXT NOT NULL){strict}""",
    "CREATE INDEX idx_tasks_timestamp ON tasks (timestamp, id)",
    "CREATE INDEX idx_tasks_session ON tasks (session_id, timestamp, id)",
    "CREATE INDEX idx_tasks_model ON tasks (model, timestamp, id)",
    """CREATE TABLE routing_decisions (
        id TEXT NOT NULL PRIMARY KEY,
        task_id TEXT NOT NULL REFERENCES tasks (id),
        timestamp TEXT NOT NULL, reason TEXT NOT NULL,
        alternatives_considered TEXT, classifier_version TEXT){strict}""",
    "CREATE INDEX idx_routing_decisions_task ON routing_decisions (task_id, timestamp, id)",
)

# --- landing -----------------------------------------------------------------------

_Told = TaskFinished | TaskRated | RouteChosen


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep tasks, their ratings and routes; what comes before its task makes a stub of it."""
    told = [event for event in events if isinstance(event, _Told)]
    alone(writer, "tasks")
    _know_nobodys_session(writer, told)
    rows = folded_rows(writer, "tasks", _KEPT, [in_text(event.task) for event in told])
    for event in told:
        _take(rows[in_text(event.task)], event)
    keep_folded(writer, "tasks", _KEPT, rows)
    _keep_routes(writer, [event for event in told if isinstance(event, RouteChosen)])


def _know_nobodys_session(writer: Writer, told: Sequence[_Told]) -> None:
    """Every task has a session; those that say none share one."""
    nobodys = [stamp(event.ts) for event in told if not event.scope.session]
    know_session(writer, NO_SESSION, nobodys)


def _take(row: Folded, event: _Told) -> None:
    key = order_key(event)
    if isinstance(event, TaskFinished):
        row.say_as_one(key, "finish", **_finished(event))
    else:
        row.say_as_one(faintly(key), "finish", **_stub(event))
    if isinstance(event, TaskRated) or (
        isinstance(event, TaskFinished) and event.quality_rating is not None
    ):
        row.say(key, quality_rating=event.quality_rating)


def _finished(event: TaskFinished) -> dict[str, Any]:
    return {
        "session_id": in_text(event.scope.session or NO_SESSION),
        "timestamp": stamp(event.ts),
        "source": event.source,
        "model": event.model,
        "routing": event.routing,
        "routing_reason": event.routing_reason,
        "tokens_in": whole(event.tokens_in),
        "tokens_out": whole(event.tokens_out),
        "latency_ms": whole(event.latency_ms),
        "cost_usd": real(event.cost_usd),
        "cloud_cost_equivalent": real(event.cloud_cost_equivalent),
        "prompt_length": whole(event.prompt_length),
        "response_length": whole(event.response_length),
        "is_known": 1,
    }


def _stub(event: Event) -> dict[str, Any]:
    return {
        "session_id": in_text(event.scope.session or NO_SESSION),
        "timestamp": stamp(event.ts),
        "source": UNKNOWN,
        "model": UNKNOWN,
        "routing": UNKNOWN,
        "is_known": 0,
    }


def _keep_routes(writer: Writer, chosen: Sequence[RouteChosen]) -> None:
    writer.insert(
        "routing_decisions"
        " (id, task_id, timestamp, reason, alternatives_considered, classifier_version)",
        [
            (
                event.id,
                in_text(event.task),
                stamp(event.ts),
                event.reason,
                to_json(event.alternatives_considered).decode(),
                event.classifier_version,
            )
            for event in chosen
        ],
    )


TOPIC = Topic(name="tasks", tables=TABLES, events=(TaskFinished, TaskRated, RouteChosen), land=land)

# --- questions ---------------------------------------------------------------------

_TASKS = Walk(
    columns=", ".join(_COLUMNS),
    source="tasks",
    key=("timestamp", "id"),
    form=BY_NAME,
    is_newest_first=True,
    conditions=("is_known = 1",),
)
_task = as_struct(Task)


def tasks(
    store: Reader,
    *,
    session_id: str | None = None,
    model: str | None = None,
    source: str | None = None,
    routing: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Task]:
    """Tasks, newest first; those that were done from `since` on and before `until`."""
    way = _TASKS.within("timestamp", since, until).where(
        session_id=session_id, model=model, source=source, routing=routing
    )
    if session_id is None and model is None:
        way = msgspec.structs.replace(way, along="idx_tasks_timestamp")
    return walk(store, way, limit=limit, cursor=cursor, read=_task)


def task(store: Reader, id: str) -> Task | None:
    """One task; None where none of that id is done."""
    row = store.row(f"SELECT {_TASKS.columns} FROM tasks WHERE id = ? AND is_known = 1", (id,))
    return None if row is None else _task(row)


def routes(store: Reader, task_id: str) -> list[Route]:
    """How it was decided where a task goes, in order."""
    columns = ", ".join(Route.__struct_fields__)
    rows = store.rows(
        f"SELECT {columns} FROM routing_decisions WHERE task_id = ? ORDER BY timestamp, id",
        (task_id,),
    )
    return [_route(row) for row in rows]


def _route(row: Row) -> Route:
    id, task_id, timestamp, reason, alternatives, version = row
    return Route(
        id=id,
        task_id=task_id,
        timestamp=timestamp,
        reason=reason,
        alternatives_considered=msgspec.json.decode(alternatives, type=list[Alternative]),
        classifier_version=version,
    )


# --- asking for a change -------------------------------------------------------------


def rate_task(
    store: Reader, emit: Callable[[Event], object], id: str, rating: Literal[0, 1] | None
) -> Task:
    """Emit what a task's result was worth, None to take it back; the row it will be.

    Raises `TaskUnknown` where none of that id is done.
    """
    found = task(store, id)
    if found is None:
        raise TaskUnknown(f"no task {id!r} in the store; nothing was rated")
    if rating not in (0, 1, None):
        raise ValueError(f"no task can be rated {rating!r}; 1 is good, 0 bad, None takes it back")
    emit(TaskRated(task=id, quality_rating=rating))
    return msgspec.structs.replace(found, quality_rating=rating)
