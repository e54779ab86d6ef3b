"""The sink that lands events in SQLite."""

import asyncio
import time
from pathlib import Path

import pytest

from eventbus import Event, EventBus, SettingsError, read_journal
from eventbus.events.error import IoFailed
from eventbus.sink import Home, Sink
from eventbus.store.backup import back_up
from eventbus.store.opening import open_store
from eventbus.testing import SinkContract
from sinks import SqliteSink


class Ping(Event, tag="sqlite:ping"):
    pass


class TestSqliteSink(SinkContract):
    def make(self, state: Path) -> Sink:
        return SqliteSink()

    def read(self, state: Path) -> list[str] | None:
        with open_store(state) as store:
            return [row[0] for row in store.rows("SELECT event_id FROM events ORDER BY id")]


async def test_the_files_are_private(tmp_path: Path) -> None:
    async with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        await bus.emit(Ping())
        await bus.flush(timeout=10)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("store.db*")}

    assert modes == dict.fromkeys(("store.db", "store.db-shm", "store.db-wal"), 0o600)


async def test_a_bus_in_memory_needs_an_absolute_path() -> None:
    with pytest.raises(SettingsError, match=r"'store.db' has no directory to be in"):
        await SqliteSink().open(Home(None))


async def test_a_bus_in_memory_lands_where_it_is_told(tmp_path: Path) -> None:
    async with EventBus(None, sinks=[SqliteSink(path=str(tmp_path / "own.db"))]) as bus:
        await bus.emit(Ping())

    with open_store(tmp_path / "own.db") as store:
        assert store.row("SELECT count(*) FROM events WHERE event_type = 'sqlite:ping'") == (1,)


def said_of_the_store(state: Path) -> list[IoFailed]:
    events = read_journal(state, kinds=IoFailed)
    return [event for event in events if isinstance(event, IoFailed) and event.component == "store"]


async def test_a_damaged_store_is_told_and_what_it_is_made_of_again(tmp_path: Path) -> None:
    async with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        await bus.emit(Ping())
    backup = back_up(tmp_path)
    (tmp_path / "store.db").write_bytes(b"no database")

    async with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        await bus.emit(Ping())
        assert (await bus.flush(timeout=10)).reached

    (said,) = said_of_the_store(tmp_path)
    assert said.type == "StoreDamaged"
    assert "file is not a database, and kept as store.db.corrupt-" in said.message
    assert f"made anew from {Path(backup.path or '').name} and the journal" in said.message
    with open_store(tmp_path) as store:
        assert store.row("SELECT count(*) FROM events WHERE event_type = 'sqlite:ping'") == (2,)


async def test_a_store_that_was_deleted_is_told_and_made_again(tmp_path: Path) -> None:
    async with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        await bus.emit(Ping())
        await bus.flush(timeout=10)
        (tmp_path / "store.db").unlink()
        until = time.monotonic() + 10
        while not (tmp_path / "store.db").exists() and time.monotonic() < until:
            await asyncio.sleep(0.02)

    (said,) = said_of_the_store(tmp_path)
    assert (said.type, "deleted" in said.message) == ("StoreGone", True)
    with open_store(tmp_path) as store:
        assert store.row("SELECT count(*) FROM events WHERE event_type = 'sqlite:ping'") == (1,)
