"""R6: a full disk degrades and heals by itself within a second of space."""

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest

from eventbus import EventBus, NotKept, read_journal
from eventbus.disk import SYSTEM_DISK, Disk
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.disks import SmallDisk
from tests.reliability.numbered import Producer, bad_lines, faults, numbered, read_numbers

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


@contextmanager
def _tmpfs(mount: Path) -> Iterator[None]:
    mount.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", mount], check=True)


@cache
def _why_no_tmpfs() -> str | None:
    if os.geteuid() != 0:
        return "mounting a small file system needs root"
    try:
        with TemporaryDirectory() as directory, _tmpfs(Path(directory) / "small"):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this machine mounts no tmpfs: {error}"


@pytest.mark.skipif(_why_no_tmpfs() is not None, reason=_why_no_tmpfs() or "")
@pytest.mark.timeout(timeout_for(RUNS, each=1.5))
def test_the_same_holds_on_a_real_file_system_that_is_full(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(7)
    count = max(5, RUNS // 3)

    for _ in range(count):
        with _tmpfs(tmp_path / "small"):
            filler = tmp_path / "small" / "filler"
            filler.write_bytes(b"x" * rng.randrange(500_000, 1_000_000))
            assert _fill_and_free(tmp_path / "small" / "state", SYSTEM_DISK, filler.unlink) == []

    record_property("figure", f"{count} full file systems: {ALL_WELL}")


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
