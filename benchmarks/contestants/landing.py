"""Getting events into SQLite: the rows by a bare loop, a batch by itself, and the whole way."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from benchmarks.contestants.ours import resident
from benchmarks.sample import acting, mixed, tool_called
from eventbus import Event, EventBus
from eventbus.event import encode
from eventbus.sink import Batch, Place
from eventbus.store import events as table
from eventbus.store.landing import land
from eventbus.store.migrations import VERSION, migrate, version_of
from eventbus.store.sqlite import SqliteReader, SqliteWriter
from sinks.sqlite import SqliteSink

__all__ = ["by_batches", "by_hand", "by_resident", "whole"]

T = TypeVar("T")

BATCH = 1_000
LOOK_EVERY = 0.005
"""Seconds between looks at what another process has landed."""


def by_hand(directory: Path, *, events: int) -> dict[str, float]:
    """Rows made beforehand, inserted by `executemany`, a thousand a transaction."""
    rows: list[Any] = [table.row_of(lined) for lined in _lined(_made(events, tool_called))]
    SqliteWriter(_with_tables(directory)).close()
    connection = sqlite3.connect(directory / "store.db", isolation_level=None)
    for pragma in ("synchronous = NORMAL", "cache_size = -16384", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    marks = ", ".join("?" * len(rows[0]))
    statement = f"INSERT INTO {table.COLUMNS} VALUES ({marks})"
    began = perf_counter()
    for part in _in_parts(rows, BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, part)
        connection.execute("COMMIT")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO store_facts (name, value) VALUES ('synced', '1')")
    connection.execute("COMMIT")
    took = perf_counter() - began
    _check(directory, events)
    connection.close()
    return {"us": took / events * 1e6}


def by_batches(directory: Path, *, events: int, is_mixed: bool = False) -> dict[str, float]:
    """Batches of lines, as a lane hands them over, landed in all their tables."""
    made = _made(events, mixed if is_mixed else tool_called)
    lines = [encode(event) for event in made]
    writer = SqliteWriter(_with_tables(directory))
    began = perf_counter()
    for number, part in enumerate(_in_parts(lines, SqliteSink.batch_most)):
        land(writer, Batch(lines=list(part), cursor={"w": Place("s", number)}), lane="sqlite")
    writer.sync()
    took = perf_counter() - began
    writer.close()
    _check(directory, events)
    return {"us": took / events * 1e6}


def whole(directory: Path, *, events: int, is_mixed: bool = False) -> dict[str, float]:
    """From the first `emit` until every event has landed and is on the disk."""
    return asyncio.run(_whole(directory, events, mixed if is_mixed else tool_called))


async def _whole(directory: Path, events: int, make: Callable[[int], Event]) -> dict[str, float]:
    async with EventBus(directory, sinks=["sqlite"]) as bus:
        await bus.flush()
        began = perf_counter()
        with acting():
            for number in range(events):
                await bus.emit(make(number))
        flushed = await bus.flush(until="synced")
        took = perf_counter() - began
    if not flushed.reached:
        raise SystemExit("the sqlite lane did not come to its end")
    _check(directory, events)
    return {"us": took / events * 1e6}


def by_resident(directory: Path, *, events: int) -> dict[str, float]:
    """From the first `emit` until a resident recorder has landed every event."""
    with resident(directory, ["sqlite"]):
        return asyncio.run(_beside_resident(directory, events))


async def _beside_resident(directory: Path, events: int) -> dict[str, float]:
    async with EventBus(directory, sinks=["sqlite"]) as bus:
        await bus.flush()
        with closing(await _when_there(directory / "store.db")) as store:
            before = _rows(store)
            began = perf_counter()
            with acting():
                for number in range(events):
                    await bus.emit(tool_called(number))
            while _rows(store) - before < events:
                await asyncio.sleep(LOOK_EVERY)
            took = perf_counter() - began
    _check(directory, events)
    return {"us": took / events * 1e6}


async def _when_there(path: Path) -> SqliteReader:
    """The store, once the resident has made its tables."""
    while True:
        if path.exists():
            store = SqliteReader(path)
            if version_of(store) == VERSION:
                return store
            store.close()
        await asyncio.sleep(LOOK_EVERY)


def _rows(store: SqliteReader) -> int:
    """How many rows there ever were, asked at no cost."""
    (row,) = store.rows("SELECT coalesce(max(id), 0) FROM events")
    return int(row[0])


def _made(events: int, make: Callable[[int], Event]) -> list[Event]:
    with acting():
        return [make(number) for number in range(events)]


def _lined(events: Sequence[Event]) -> list[table.Lined]:
    return [table.Lined(event, encode(event), event) for event in events]


def _in_parts(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _with_tables(directory: Path) -> Path:
    path = directory / "store.db"
    writer = SqliteWriter(path)
    migrate(writer)
    writer.close()
    return path


def _check(directory: Path, events: int) -> None:
    connection = sqlite3.connect(directory / "store.db")
    (landed,) = connection.execute(
        "SELECT count(*) FROM events WHERE event_type NOT LIKE 'bus:%'"
    ).fetchone()
    connection.close()
    if landed != events:
        raise SystemExit(f"{landed} events of {events} have landed")
