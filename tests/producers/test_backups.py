"""The heartbeat's backup job: once a day, every store of the settings, and told."""

from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from eventbus import EventBus, NamedSink, read_journal
from eventbus.errors import StoreUnusable
from eventbus.events.backup import BackupFinished
from eventbus.events.log import LogLine
from eventbus.producers.heartbeat import Heartbeat
from eventbus.producers.schedule import HeartbeatSettings
from eventbus.producers.vitals import back_up_stores, own_functions
from eventbus.store.backup import list_backups
from eventbus.store.whereabouts import stores_of
from eventbus.testing import FakeClock

STORE = NamedSink(use="sqlite")
SHARED = NamedSink(use="postgres", settings={"url": "postgresql://127.0.0.1:1/none"})
KEEP_TWO = HeartbeatSettings(backups=2)


def land(state: Path, sink: NamedSink = STORE) -> None:
    with EventBus(state, sinks=[sink]) as bus:
        bus.emit_nowait(LogLine(event_type="shop:open"))


def told(state: Path) -> list[BackupFinished]:
    return [e for e in read_journal(state, kinds=BackupFinished) if isinstance(e, BackupFinished)]


def test_each_store_is_backed_up_and_told(tmp_path: Path) -> None:
    land(tmp_path)

    with EventBus(tmp_path, serve="never") as bus:
        said = back_up_stores(bus, stores_of([STORE], tmp_path), KEEP_TWO)

    (event,) = told(tmp_path)
    (backup,) = list_backups(tmp_path / "backups")
    assert (event.status, event.path) == ("success", str(backup.path))
    assert said.startswith("1 made, ")


def test_a_store_elsewhere_is_found_by_its_settings(tmp_path: Path) -> None:
    sink = NamedSink(use="sqlite", name="mine", settings={"path": "elsewhere/own.db"})
    land(tmp_path, sink)

    with EventBus(tmp_path, serve="never") as bus:
        back_up_stores(bus, stores_of([NamedSink(use="flat"), sink], tmp_path), KEEP_TWO)

    assert told(tmp_path)[0].status == "success"


def test_one_that_fails_is_told_and_fails_the_job(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database" * 1_000)

    with (
        EventBus(tmp_path, serve="never") as bus,
        pytest.raises(StoreUnusable, match="not a database"),
    ):
        back_up_stores(bus, stores_of([STORE], tmp_path), KEEP_TWO)

    (event,) = told(tmp_path)
    assert event.status == "error"
    assert "not a database" in (event.error or "")


def test_without_a_store_nothing_is_told(tmp_path: Path) -> None:
    with EventBus(tmp_path, serve="never") as bus:
        assert back_up_stores(bus, stores_of([STORE], tmp_path), KEEP_TWO).startswith("0 made")

    assert told(tmp_path) == []


async def test_days_slept_through_are_made_up_for_by_one_backup(tmp_path: Path) -> None:
    land(tmp_path)
    clock = FakeClock(datetime(2026, 11, 20, 12, tzinfo=UTC))

    with EventBus(tmp_path, serve="never", clock=clock) as bus:
        for _ in range(2):  # five days lie between them
            heart = Heartbeat(bus, stores=lambda: stores_of([STORE], tmp_path), clock=clock)
            for name in set(heart.jobs) - {"backup"}:
                heart.remove(name)
            async with anyio.create_task_group() as tasks:
                heart.tick(tasks)
            clock.advance(days=5, hours=1)

    assert len(list_backups(tmp_path / "backups")) == 1
    assert [event.status for event in told(tmp_path)] == ["success"]


@pytest.mark.parametrize("dump", [False, True])
def test_a_shared_database_is_dumped_by_the_one_that_is_told_to(tmp_path: Path, dump: bool) -> None:
    settings = HeartbeatSettings(dump=dump)
    errors = []

    with EventBus(tmp_path, serve="never") as bus:
        job = own_functions(bus, settings, stores=lambda: stores_of([SHARED], tmp_path))["backup"]
        try:
            job()
        except StoreUnusable as error:
            errors.append(error)

    assert len(told(tmp_path)) == len(errors) == int(dump)
