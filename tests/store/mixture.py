"""What an agent emits in a day, in small; and all that a store holds, to be compared."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from eventbus import Event, Scope
from eventbus.events.agent import AgentSpawned
from eventbus.events.error import ErrorRaised, ToolErrored
from eventbus.events.file import FileDeleted, FileWritten
from eventbus.events.llm import ModelAnswered, ModelAsked, ModelFailed, Usage
from eventbus.events.log import LogLine
from eventbus.events.session import SessionCreated, SessionEnded, SnapshotSaved
from eventbus.events.task import Alternative, RouteChosen, TaskFinished, TaskRated
from eventbus.events.traces import ToolFinished, ToolStarted

__all__ = ["contents", "mixture"]

MODELS = ("claude-sonnet-4-5", "gpt-5", "llama-local", "never-heard-of")
USERS = ("ann", "ben", None)


def mixture(seed: int, number: int) -> Iterator[Event]:
    """That many events of every sort, in sessions; the same for the same seed, but for ids."""
    rng = random.Random(seed)
    made = 0
    while made < number:
        session = f"s{seed}-{rng.randrange(5)}"
        at = Scope(
            session=session,
            chat=f"c{rng.randrange(3)}",
            turn=rng.randrange(9),
            component=rng.choice(("brain", "worker", "cron")),
            user=rng.choice(USERS),
        )
        for event in rng.choice(_SORTS)(rng, at, session, f"{seed}-{made}"):
            yield event
            made += 1


def _session(rng: random.Random, at: Scope, session: str, key: str) -> list[Event]:
    if rng.random() < 0.3:
        return [SessionEnded(session_id=session, reason="done", scope=at)]
    return [SessionCreated(session_id=session, cli_tool="mcp", persona=key, scope=at)]


def _tool(rng: random.Random, at: Scope, session: str, key: str) -> list[Event]:
    started = ToolStarted(trace=key, name="look", input={"q": "ä\n|" * rng.randrange(9)}, scope=at)
    if rng.random() < 0.2:
        return [started]
    outcome: Any = rng.choice(("success", "error", "cancelled"))
    finished = ToolFinished(trace=key, outcome=outcome, latency_ms=rng.random(), scope=at)
    if rng.random() < 0.1:  # it overtakes its start
        return [finished, started]
    return [started, finished]


def _model(rng: random.Random, at: Scope, session: str, key: str) -> list[Event]:
    model = rng.choice(MODELS)
    asked = ModelAsked(model=model, provider="x", prompt_length=rng.randrange(9_999), scope=at)
    if rng.random() < 0.1:
        return [asked, ModelFailed(model=model, error="overloaded", status=529, scope=at)]
    usage = Usage(input_uncached=rng.randrange(999), output_visible=rng.randrange(999))
    answered = ModelAnswered(
        model=model,
        usage=rng.choice((usage, usage, None)),
        cost=rng.choice((0.25, 0.5, None)),
        state=rng.choice(("complete", "partial", "estimated")),
        request_id=key,
        scope=at,
    )
    return [asked, answered]


def _task(rng: random.Random, at: Scope, session: str, key: str) -> list[Event]:
    others = (Alternative(model="b", reason_rejected="slow"),)
    route = RouteChosen(task=key, reason="rules", alternatives_considered=others, scope=at)
    done = TaskFinished(
        task=key, source="manual", model="a", routing="local", cost_usd=0.5, scope=at
    )
    rated = TaskRated(task=key, quality_rating=1, scope=at)
    events: list[Event] = [route, done, rated]
    if rng.random() < 0.3:
        rng.shuffle(events)
    return events


def _other(rng: random.Random, at: Scope, session: str, key: str) -> list[Event]:
    sorts: tuple[Event, ...] = (
        SnapshotSaved(chat_id=at.chat or "", turn_number=rng.randrange(9), state={"k": key}),
        FileWritten(path=f"a/{key}", size_bytes=3, scope=at),
        FileDeleted(path=f"a/{key}", scope=at),
        ErrorRaised(type="KeyError", message=key, stack="Traceback", scope=at),
        ToolErrored(type="OSError", message=key, tool="look", args={"k": 1}, scope=at),
        AgentSpawned(agent=key, scope=at),
        LogLine(event_type="shop:open", source="till", message=f"session_id={session} {key}"),
        LogLine(event_type="shop:sell", source="till", message="tea", kv={"n": 1, "key": key}),
    )
    return [rng.choice(sorts)]


_SORTS = (_session, _tool, _tool, _model, _model, _task, _other, _other, _other)


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table but the store's own bookkeeping, without the ids that count, sorted."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        tables = dict(store.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        virtual = [name for name, sql in tables.items() if sql.startswith("CREATE VIRTUAL")]
        return {
            name: _rows(store, name)
            for name in tables
            if name not in OWN and not name.startswith("sqlite_")
            if not any(name == each or name.startswith(f"{each}_") for each in virtual)
        }


OWN = ("migrations", "store_facts", "lane_cursors")


def _rows(store: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    columns = store.execute(f"PRAGMA table_info({table})").fetchall()
    keys = [name for _, name, type, _, _, is_key in columns if is_key and type == "INTEGER"]
    counting = keys if len(keys) == 1 and sum(bool(each[5]) for each in columns) == 1 else []
    wanted = ", ".join(name for _, name, *_ in columns if name not in counting)
    rows = store.execute(f"SELECT {wanted} FROM {table}").fetchall()
    return sorted(rows, key=repr)
