"""The sink that lands events in SQLite."""

import os
from pathlib import Path

import pytest

from eventbus import Event, EventBus, SettingsError
from eventbus.sink import Home, Sink
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


async def test_the_file_is_private(tmp_path: Path) -> None:
    async with EventBus(tmp_path, sinks=["sqlite"]):
        pass

    assert os.stat(tmp_path / "store.db").st_mode & 0o777 == 0o600


async def test_a_bus_in_memory_needs_an_absolute_path() -> None:
    with pytest.raises(SettingsError, match=r"'store.db' has no directory to be in"):
        await SqliteSink().open(Home(None))


async def test_a_bus_in_memory_lands_where_it_is_told(tmp_path: Path) -> None:
    async with EventBus(None, sinks=[SqliteSink(path=str(tmp_path / "own.db"))]) as bus:
        await bus.emit(Ping())

    with open_store(tmp_path / "own.db") as store:
        assert store.row("SELECT count(*) FROM events WHERE event_type = 'sqlite:ping'") == (1,)
