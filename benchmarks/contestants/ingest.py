"""A flat log taken in, by a bare loop and by us, and given back."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from eventbus import EventBus
from eventbus.store.export import export_ingested
from eventbus.store.ingest import ingest_file
from eventbus.store.opening import open_store

__all__ = ["again", "by_hand", "into_the_journal", "into_the_tables", "out_again"]

BATCH = 1_000

Way = Callable[[EventBus, Path, Path], Coroutine[Any, Any, float]]


def by_hand(directory: Path, *, events: int) -> dict[str, float]:
    """Split each line at the first three bars and insert its fields, a thousand a transaction."""
    log = _log(directory, events)
    with closing(sqlite3.connect(directory / "by_hand.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE lines (ts TEXT, type TEXT, source TEXT, message TEXT)")
        began = perf_counter()
        with log.open() as file:
            fields = (line.rstrip("\n").split("|", 3) for line in file)
            while part := list(islice(fields, BATCH)):
                connection.execute("BEGIN")
                connection.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", part)
                connection.execute("COMMIT")
        return _figures(perf_counter() - began, events)


def into_the_journal(directory: Path, *, events: int) -> dict[str, float]:
    """Until every line is written in the journal."""
    return _timed(directory, events, _ingest, sinks=[])


def into_the_tables(directory: Path, *, events: int) -> dict[str, float]:
    """Until every line has landed as well."""
    return _timed(directory, events, _ingest_and_flush, sinks=["sqlite"])


def again(directory: Path, *, events: int) -> dict[str, float]:
    """A second time, when all of it is there."""
    return _timed(directory, events, _ingest_again, sinks=["sqlite"])


def out_again(directory: Path, *, events: int) -> dict[str, float]:
    """The file byte for byte out of the tables."""
    return _timed(directory, events, _export, sinks=["sqlite"])


def _timed(directory: Path, events: int, way: Way, *, sinks: list[str]) -> dict[str, float]:
    log, state = _log(directory, events), directory / "state"

    async def main() -> float:
        async with EventBus(state, sinks=sinks) as bus:
            return await way(bus, log, state)

    return _figures(asyncio.run(main()), events)


async def _ingest(bus: EventBus, log: Path, state: Path) -> float:
    began = perf_counter()
    result = await ingest_file(log, emit=bus.emit_many, rest_seconds=0)
    await bus.flush(until="synced")
    took = perf_counter() - began
    _check(result.emitted == result.lines, "not every line was emitted")
    return took


async def _ingest_and_flush(bus: EventBus, log: Path, state: Path) -> float:
    await bus.flush()
    took = await _ingest(bus, log, state)
    with open_store(state) as store:
        _check(_is_same(log, export_ingested(store, log)), "other bytes come out")
    return took


async def _ingest_again(bus: EventBus, log: Path, state: Path) -> float:
    await _ingest(bus, log, state)
    with open_store(state) as store:
        began = perf_counter()
        result = await ingest_file(log, emit=bus.emit_many, store=store, rest_seconds=0)
        took = perf_counter() - began
    _check(result.emitted == 0, "a line was emitted again")
    return took


async def _export(bus: EventBus, log: Path, state: Path) -> float:
    await _ingest(bus, log, state)
    with open_store(state) as store:
        began = perf_counter()
        is_same = _is_same(log, export_ingested(store, log))
        took = perf_counter() - began
    _check(is_same, "other bytes come out")
    return took


def _is_same(log: Path, parts: Iterator[bytes]) -> bool:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest() == hashlib.sha256(log.read_bytes()).digest()


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise SystemExit(otherwise)


def _log(directory: Path, lines: int) -> Path:
    """A log of calls, about a hundred bytes a line."""
    path = directory / "foreign.log"
    with path.open("w") as file:
        for number in range(lines):
            minute, second = divmod(number // 1_000, 60)
            moment = f"2024-12-19T{minute // 60 % 24:02}:{minute % 60:02}:{second:02}"
            file.write(
                f"{moment}.{number % 1_000:03}Z|llm:response|agent|answered"
                f" tokens_out={number} latency_ms=2333 model=m-1\n"
            )
    return path


def _figures(took: float, events: int) -> dict[str, float]:
    return {"us": took / events * 1e6}
