"""R6: a full disk degrades and heals by itself within a second of space."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest

from eventbus import EventBus, NotKept, read_journal
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.sink import NamedSink
from sinks.memory import MemorySink
from tests.letters import segment_paths
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.disks import SmallDisk
from tests.reliability.numbered import Producer, bad_lines, faults, numbered, read_numbers
from tests.reliability.smallfiles import small_file_system, why_no_small_file_system

RUNS = runs(ci=30, long=300)
HEALED_WITHIN = 1.0
EVENTS = 150_000
"""More than memory has room for."""
WHO = Producer(run=0, producer=0)
ALL_WELL = f"0 told safe and lost, 0 torn lines served, each healed within {HEALED_WITHIN:.0f} s"


def _emit_until_full(bus: EventBus) -> tuple[int, int]:
    """Emit until nothing more is written; the last number told safe, and how many there are."""
    number, safe = 0, -1
    while True:
        for _ in range(50):
            bus.emit_nowait(numbered(*WHO, number))
            number += 1
        if not bus.flush_now(until="written", timeout=0.1).reached:
            return safe, number
        safe = number - 1


def _fill_and_free(state: Path, disk: Disk, free: Callable[[], None]) -> list[str]:
    """Fill the disk under a bus, free it, and say what went wrong."""
    with EventBus(state, disk=disk, serve="never") as bus:
        safe, emitted = _emit_until_full(bus)
        served = read_numbers(state).get(WHO, [])
        wrong = [f"torn line served: {line[:60]!r}" for line in bad_lines(state)]
        if served[: safe + 1] != list(range(safe + 1)):
            wrong.append(f"told {safe} is written; served {len(served)}")
        free()
        freed = time.monotonic()
        if not bus.flush_now(until="written", timeout=HEALED_WITHIN).reached:
            wrong.append(f"not healed {time.monotonic() - freed:.2f} s after there was room")
    return [*wrong, *faults(state, {WHO: emitted - 1})]


@pytest.mark.timeout(timeout_for(RUNS, each=1.5))
def test_a_full_disk_heals_by_itself_and_loses_nothing(
    tmp_path: Path, record_property: Tell
) -> None:
    """R6: a full disk degrades and heals by itself within 1 s of space."""
    rng = random.Random(6)

    for run in range(RUNS):
        disk = SmallDisk(room=rng.randrange(5_000, 60_000))
        assert _fill_and_free(tmp_path / str(run), disk, disk.free) == []

    record_property("figure", f"{RUNS} full disks: {ALL_WELL}")


def _open_and_free(state: Path, disk: Disk, free: Callable[[], None], *, count: int) -> list[str]:
    """Open a bus on a full disk, free it, and say what went wrong."""
    sink = MemorySink()
    with EventBus(state, sinks=[sink], disk=disk) as bus:
        for number in range(count):
            bus.emit_nowait(numbered(*WHO, number))
        wrong = [] if bus.statistics().trouble else ["the trouble is not told"]
        if bus.flush_now(until="written", timeout=0.02).reached and count:
            wrong.append("told written what cannot be")
        free()
        freed = time.monotonic()
        while not segment_paths(state) and time.monotonic() < freed + 5:
            time.sleep(0.01)
        if (took := time.monotonic() - freed) > HEALED_WITHIN:
            wrong.append(f"begun {took:.2f} s after there was room")
        if not bus.flush_now(until="synced", timeout=HEALED_WITHIN).reached:
            wrong.append("not synced in the end")
        if bus.statistics().trouble:
            wrong.append("the trouble is told for ever")
    given = [event.number for event in sink.events if event.kind == "proof:number"]  # type: ignore[attr-defined]
    if given != list(range(count)):
        wrong.append(f"the sink has {len(given)} of {count}")
    return [*wrong, *faults(state, {WHO: count - 1})]


@pytest.mark.timeout(timeout_for(RUNS, each=1.5))
def test_a_bus_that_opens_on_a_full_disk_begins_once_there_is_room(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(8)
    count = max(8, RUNS // 3)

    for run in range(count):
        disk = SmallDisk(room=rng.randrange(100))
        emitted = rng.choice((0, 1, 100, 5_000))
        assert _open_and_free(tmp_path / str(run), disk, disk.free, count=emitted) == []

    record_property("figure", f"{count} openings on a full disk: {ALL_WELL}")


def test_what_found_no_room_while_it_could_not_begin_leaves_a_gap(tmp_path: Path) -> None:
    disk = SmallDisk(room=0)

    with EventBus(tmp_path, disk=disk, serve="never") as bus:
        for number in range(EVENTS):
            bus.emit_nowait(numbered(*WHO, number))
        dropped = sum(bus.statistics().dropped.values())
        disk.free()
        assert bus.flush_now(until="written", timeout=5).reached

    gaps = list(read_journal(tmp_path, kinds="bus:gap"))
    assert dropped > 0
    assert sum(gap.count for gap in gaps) == dropped  # type: ignore[attr-defined]
    assert len(read_numbers(tmp_path)[WHO]) == EVENTS - dropped


def test_a_lane_by_name_serves_what_was_emitted_before_there_was_room(tmp_path: Path) -> None:
    disk = SmallDisk(room=0)
    log = tmp_path / "logs" / "events.jsonl"
    jsonl = NamedSink(use="jsonl", settings={"path": str(log)})

    with EventBus(tmp_path / "state", sinks=[jsonl], disk=disk) as bus:
        for number in range(100):
            bus.emit_nowait(numbered(*WHO, number))
        disk.free()
        assert bus.flush_now(until="synced", timeout=5).reached

    assert bus.report is not None
    assert bus.report.is_complete
    assert log.read_bytes().count(b"proof:number") == 100


def test_a_disk_that_stays_full_to_the_end_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    bus = EventBus(tmp_path, sinks=["jsonl"], disk=SmallDisk(room=0), grace=0.3).open()
    bus.emit_nowait(numbered(*WHO, 0))

    report = bus.close()

    assert report.dropped == {"disk": 1}
    assert "No space left" in str(report.trouble)
    assert not report.is_complete
    assert segment_paths(tmp_path) == []


@pytest.mark.skipif(why_no_small_file_system() is not None, reason=why_no_small_file_system() or "")
@pytest.mark.timeout(timeout_for(RUNS, each=1.5))
def test_the_same_holds_on_a_real_file_system_that_is_full(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(7)
    count = max(5, RUNS // 3)

    for _ in range(count):
        with small_file_system(tmp_path / "small"):
            filler = tmp_path / "small" / "filler"
            filler.write_bytes(b"x" * rng.randrange(500_000, 1_000_000))
            assert _fill_and_free(tmp_path / "small" / "state", SYSTEM_DISK, filler.unlink) == []

    record_property("figure", f"{count} full file systems: {ALL_WELL}")


@pytest.mark.skipif(why_no_small_file_system() is not None, reason=why_no_small_file_system() or "")
def test_so_does_one_that_opens_on_a_real_file_system_that_is_full(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small"):
        filler = tmp_path / "small" / "filler"
        with suppress(OSError):
            filler.write_bytes(b"x" * 2_000_000)
        state = tmp_path / "small" / "state"

        assert _open_and_free(state, SYSTEM_DISK, filler.unlink, count=500) == []


def test_what_found_no_room_in_memory_while_the_disk_was_full_leaves_a_gap(
    tmp_path: Path, record_property: Tell
) -> None:
    disk = SmallDisk(room=5_000)

    with EventBus(tmp_path, disk=disk, serve="never") as bus:
        for number in range(EVENTS):
            bus.emit_nowait(numbered(*WHO, number))
        dropped = sum(bus.statistics().dropped.values())
        disk.free()
        assert bus.flush_now(until="written", timeout=5).reached

    gaps = list(read_journal(tmp_path, kinds="bus:gap"))
    assert dropped > 0
    assert sum(gap.count for gap in gaps) == dropped  # type: ignore[attr-defined]
    assert len(read_numbers(tmp_path)[WHO]) == EVENTS - dropped
    record_property("figure", f"{EVENTS:,} emitted, {dropped:,} dropped, as many told")


@pytest.mark.parametrize("level", ["written", "synced"])
def test_nothing_is_told_safe_that_the_disk_refused_to_the_end(
    tmp_path: Path, level: Literal["written", "synced"]
) -> None:
    told: list[int] = []

    async def emit_one(bus: EventBus, number: int) -> None:
        with suppress(NotKept):
            await bus.emit(numbered(*WHO, number), until=level)
            told.append(number)

    async def main() -> None:
        bus = EventBus(tmp_path, disk=SmallDisk(room=2_000), serve="never").open()
        emitting = [asyncio.create_task(emit_one(bus, number)) for number in range(100)]
        await asyncio.sleep(0.05)
        await bus.aclose(grace=0.2)
        await asyncio.gather(*emitting)

    asyncio.run(main())

    assert set(told) <= set(read_numbers(tmp_path).get(WHO, ()))
