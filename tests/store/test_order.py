"""In whatever order events land, and however often, the tables end the same."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from eventbus import Event, Scope
from eventbus.events import (
    AgentSpawned,
    Alternative,
    ChannelMessage,
    DirectoryMade,
    DispatchError,
    DispatchFinished,
    DispatchRefused,
    ErrorRaised,
    FileDeleted,
    FileWritten,
    IoFailed,
    LogLine,
    ModelAnswered,
    ModelFailed,
    ReloadFailed,
    RouteChosen,
    SessionCreated,
    SessionEnded,
    SessionResumed,
    SnapshotDiscarded,
    SnapshotSaved,
    TaskFinished,
    TaskRated,
    ToolErrored,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
    Usage,
    ValidationFailed,
    WorkerFailed,
)
from eventbus.sink import Batch
from eventbus.store import changes, search
from eventbus.store.engine import Writer
from eventbus.store.landing import land
from eventbus.store.migrations import migrate
from eventbus.store.schema import TOPICS
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from tests.store.conftest import empty, open_writer

FIRST = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

CHOICES: dict[str, tuple[Any, ...]] = {
    "session_id": (None, "s1", "s2", "a\x00b"),
    "chat_id": ("c1", "c2"),
    "trace": ("t1", "t\x002"),
    "task": ("k1", "k2", "k\x003"),
    "path": ("a", "a/b\x00"),
    "rating": (None, 0, 1),
    "cost": (None, 0, 0.25),
    "turn": (None, 1, 2),
    "turn_number": (1, 2),
    "number": (None, 3, 4),
    "unset": (msgspec.UNSET, None, 3, 4),
    "text": (None, "a", "b"),
}
"""Few of each, so that they meet."""


def some(cls: type[Event], **fields: str | tuple[Any, ...]) -> Callable[[Random], Event]:
    """What makes such an event: by field its choices, or the name of them."""

    def make(random: Random) -> Event:
        values = {
            name: random.choice(CHOICES[choices] if isinstance(choices, str) else choices)
            for name, choices in fields.items()
        }
        return cls(ts=a_moment(random), scope=a_scope(random), **values)

    return make


def a_moment(random: Random) -> datetime:
    """Some within one millisecond, some at one and the same time."""
    return FIRST + timedelta(microseconds=400 * random.randrange(8))


def a_scope(random: Random) -> Scope:
    return Scope(
        session=random.choice((None, "s1", "s1", "s1", "s2")),
        chat=random.choice((None, "c1", "c2")),
        turn=random.choice((None, 1, 2)),
        component=random.choice((None, "brain", "worker")),
        user=random.choice((None, "ann", "bob")),
    )


def a_log_line(random: Random) -> Event:
    kind = random.choice(("session:create", "session:end", "error:io", "shop:open"))
    kv = random.choice(({}, {"session_id": "s1"}, {"session_id": "s3", "persona": "p"}))
    return LogLine(event_type=kind, kv=kv, ts=a_moment(random), scope=a_scope(random))


TOLD = {"session_id": "session_id", "cli_tool": "text", "persona": "text", "reason": "text"}

KINDS: tuple[Callable[[Random], Event], ...] = (
    some(SessionCreated, **TOLD),
    some(SessionEnded, **TOLD),
    some(SessionResumed, chat_id="chat_id", turn_number="turn_number", snapshot="text"),
    a_log_line,
    some(ToolStarted, trace="trace", name=("look", "write"), turn="turn", message_id="text"),
    some(ToolUpdated, trace="trace", tokens_used="unset", outcome=(msgspec.UNSET, None, "error")),
    some(ToolFinished, trace="trace", name="text", tokens_used="number", error="text"),
    some(SnapshotSaved, chat_id="chat_id", turn_number="turn_number", state=("a", [1], None)),
    some(SnapshotSaved, chat_id="chat_id", turn_number="turn_number", state=("b", {}, 2)),
    some(SnapshotDiscarded, chat_id="chat_id"),
    some(
        TaskFinished,
        task="task",
        source=("mcp-tool", "manual"),
        model=("m1", "m2"),
        routing=("cloud", "local"),
        cost_usd="cost",
        cloud_cost_equivalent="cost",
        quality_rating="rating",
    ),
    some(TaskRated, task="task", quality_rating="rating"),
    some(
        RouteChosen,
        task="task",
        reason=("rules",),
        alternatives_considered=((), (Alternative(model="m3", reason_rejected="dear"),)),
    ),
    some(FileWritten, path="path", size_bytes="number", moved_from="text"),
    some(FileDeleted, path="path", moved_to="text"),
    some(DirectoryMade, path="path"),
    *(
        some(error, type=("KeyError", "a\x00b"), message=("x", "y"), stack="text")
        for error in (ErrorRaised, ValidationFailed, IoFailed, ToolErrored, ReloadFailed)
    ),
    some(ModelFailed, model=("m1",), error=("overloaded",)),
    some(WorkerFailed, task=("sweep",), error=("no",), stack="text"),
    some(
        ModelAnswered,
        model=("m1", "m2"),
        cost="cost",
        usage=(None, Usage(input_uncached=3, reasoning=1)),
    ),
    some(DispatchFinished, model="text", cost="cost", error=(None, DispatchError(name="OSError"))),
    some(DispatchRefused, limit=(1,), spent=(2,), window=("daily",)),
    some(ChannelMessage, direction=("in", "out"), channel=("tg",), user="text", length="number"),
    some(AgentSpawned, agent=("scout",), parent="text", reason="text"),
)


RELATED = (KINDS[:7], KINDS[7:10], KINDS[10:13])
"""Those of one topic, for they have most to do with each other."""


def some_events(random: Random) -> list[Event]:
    """Of a few kinds at a time, so that they have to do with each other."""
    kinds = random.sample(random.choice((KINDS, *RELATED)), random.randint(2, 3))
    return [
        msgspec.structs.replace(random.choice(kinds)(random), id=f"e{number}")
        for number in range(random.randint(2, 16))
    ]


def in_batches(random: Random, events: list[Event]) -> list[list[Event]]:
    """In another order, and some of them twice."""
    shuffled = [*events, *random.sample(events, random.randint(0, 2))]
    random.shuffle(shuffled)
    size = random.randint(1, len(shuffled))
    return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_landing_changes_no_table(emptied: Writer, seed: int) -> None:
    random = Random(seed)
    for _ in range(TRIES[emptied.dialect.name]):
        events = some_events(random)
        batches = in_batches(random, events)

        assert landed(emptied, [events]) == landed(emptied, batches), batches


TRIES = {"sqlite": 80, "postgres": 15}


def landed(writer: Writer, batches: list[list[Event]]) -> dict[str, list[tuple[object, ...]]]:
    """Every table once these batches have landed in an empty store."""
    empty(writer)
    for batch in batches:
        land(writer, Batch(events=batch), lane="test")
    return {table: rows_of(writer, table) for table in TABLES}


def rows_of(writer: Writer, table: str) -> list[tuple[object, ...]]:
    """Its rows without the key that counts up, which tells the order of landing."""
    columns = ", ".join(COLUMNS[table])
    return sorted(writer.rows(f"SELECT {columns} FROM {table}"), key=repr)


DEFINITIONS = {
    found[1]: statement
    for topic in TOPICS
    if topic is not search.TOPIC  # filled behind the writers
    for statement in topic.tables
    if (found := re.match(r"CREATE TABLE (\w+)", statement))
}
TABLES = list(DEFINITIONS)
COLUMNS = {
    table: re.findall(
        r"(?:^|[(,])\s*([a-z_]\w*) (?:TEXT|\{(?:integer|real|blob)\})", statement, re.MULTILINE
    )
    for table, statement in DEFINITIONS.items()
}
for table, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", " ".join(changes.WHO_WROTE)):
    COLUMNS[table].append(column)


def test_every_column_is_compared(tmp_path: Path) -> None:
    """SQLite is asked, which knows the columns of its tables."""
    writer = SqliteWriter(tmp_path / FILE_NAME)
    migrate(writer)

    there = {
        table: [row[1] for row in writer.rows(f"PRAGMA table_info({table})")] for table in TABLES
    }
    writer.close()

    for table, columns in there.items():
        assert set(columns) - set(COLUMNS[table]) <= {"id"}, table
        assert set(COLUMNS[table]) <= set(columns), table


@pytest.mark.postgres
def test_two_machines_that_land_at_once_lose_nothing_of_a_row(postgres_url: str) -> None:
    """What one reads of a row to write it again, the other does not change in between."""
    first, second = open_writer(postgres_url), open_writer(postgres_url)
    migrate(first)
    traces = [f"t{number}" for number in range(120)]

    with ThreadPoolExecutor(2) as machines:
        said = [
            machines.submit(land_updates, first, traces, session="s1", tokens_used=7),
            machines.submit(land_updates, second, traces, session="s2", error="no"),
        ]
        for each in said:
            each.result()

    rows = first.rows("SELECT id FROM tool_traces WHERE tokens_used = 7 AND error = 'no'")
    assert {row[0] for row in rows} == set(traces)
    first.close()
    second.close()


def land_updates(writer: Writer, traces: list[str], *, session: str, **named: Any) -> None:
    for trace in traces:
        event = ToolUpdated(trace=trace, scope=Scope(session=session), **named)
        land(writer, Batch(events=[event]), lane=session)
