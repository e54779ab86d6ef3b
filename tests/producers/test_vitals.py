from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from eventbus.disk import Disk
from eventbus.events import DiskLow, MemoryHigh, StatsTaken, StorageMeasured
from eventbus.producers import vitals
from eventbus.producers.heartbeat import Heartbeat
from eventbus.producers.schedule import HeartbeatSettings
from tests.producers.test_heartbeat import HandClock, KeptEvents, beat


class Room(Disk):
    """A disk with as much room as it is told."""

    free = 10_000

    def free_bytes(self, path: Path) -> int:
        return self.free


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def hold(size: int) -> None:
        monkeypatch.setattr(vitals, "resident_bytes", lambda: size)

    return hold


async def ticks(heartbeat: Heartbeat, clock: HandClock, *, seconds: float) -> None:
    clock.go_on(seconds=seconds)
    await beat(heartbeat)


async def test_the_buss_counts_are_told_each_minute() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = Heartbeat(bus, clock=clock)

    for _ in range(4):
        await ticks(heartbeat, clock, seconds=30)

    taken = bus.of(StatsTaken)
    assert len(taken) == 2
    assert (taken[0].accepted, taken[0].written, taken[0].dropped) == (3, 2, {"full": 4})


async def test_too_much_memory_is_told_once_until_it_has_gone_down(
    memory: Callable[[int], None],
) -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = Heartbeat(bus, HeartbeatSettings(memory_most="1 kB"), clock=clock)

    for size in (900, 1100, 1200, 950, 1100, 800, 1300):
        memory(size)
        await ticks(heartbeat, clock, seconds=30)

    told = [(event.used_bytes, event.threshold_bytes) for event in bus.of(MemoryHigh)]
    assert told == [(1100, 1000), (1300, 1000)]


async def test_a_disk_with_too_little_room_is_told_once_until_there_is_more(
    tmp_path: Path,
) -> None:
    bus, clock, room = KeptEvents(tmp_path), HandClock(), Room()
    settings = HeartbeatSettings(disk_least=1000)
    heartbeat = Heartbeat(bus, settings, clock=clock, disk=room)

    for free in (1500, 900, 800, 1050, 2000, 700):
        room.free = free
        await ticks(heartbeat, clock, seconds=30)

    told = [(event.path, event.free_bytes) for event in bus.of(DiskLow)]
    assert told == [(str(tmp_path), 900), (str(tmp_path), 700)]


def test_what_is_kept_is_measured_by_area(tmp_path: Path) -> None:
    for name, size in {
        "journal/a.jsonl": 10,
        "journal/cursors/b.json": 5,
        "logs/activity.log": 7,
        "store.db": 3,
        "store.db-wal": 2,
        "note": 1,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    (tmp_path / "logs" / "elsewhere").symlink_to("/")

    areas = vitals.measure_areas(tmp_path)

    assert areas["journal"] == (15, 2)
    assert areas["logs"][1] == 2
    assert areas["store"] == (5, 2)
    assert areas["other"] == (1, 1)


async def test_storage_is_measured_once_a_day_and_for_now_alone(tmp_path: Path) -> None:
    """A day slept through cannot be measured afterwards."""
    bus, clock = KeptEvents(tmp_path), HandClock()
    await beat(Heartbeat(bus, clock=clock))
    clock.go_on(days=3)

    again = Heartbeat(bus, clock=clock)
    await beat(again)
    await ticks(again, clock, seconds=3600)

    assert [event.area for event in bus.of(StorageMeasured)] == ["journal", "logs", "run"]


def test_a_process_holds_some_memory() -> None:
    assert 2**20 < vitals.resident_bytes() < vitals.memory_bytes()


async def test_the_own_jobs_need_no_state_directory() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = Heartbeat(bus, clock=clock)

    with anyio.fail_after(5):
        await beat(heartbeat)
        await ticks(heartbeat, clock, seconds=86_400)

    assert [run for run in bus.runs() if run.status == "error"] == []
