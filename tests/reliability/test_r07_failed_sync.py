"""R7: a failed sync is never tried again on that file."""

import random
from pathlib import Path

import pytest

from eventbus import EventBus, read_journal
from eventbus.events.bus import BusOpened
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.disks import FickleDisk
from tests.reliability.numbered import Producer, faults, numbered

RUNS = runs(ci=50, long=5_000)
WHO = Producer(run=0, producer=0)


def _write_through_failures(
    state: Path, disk: FickleDisk, rng: random.Random
) -> tuple[int, str | None]:
    """Emit with syncs that fail now and then; the last number told synced, and the last trouble."""
    number, safe = 0, -1
    with EventBus(state, disk=disk, serve="never") as bus:
        for _ in range(15):
            for _ in range(rng.randrange(1, 40)):
                bus.emit_nowait(numbered(*WHO, number))
                number += 1
            if bus.flush_now(until="synced", timeout=2).reached:
                safe = number - 1
    assert bus.report is not None
    return safe, bus.report.trouble


def _segments_said_moved(state: Path) -> set[str]:
    """Segments of which a later record says that their end was written again."""
    openings = read_journal(state, kinds="bus:open")
    return {
        str(event.previous)
        for event in openings
        if isinstance(event, BusOpened) and event.previous_end is not None
    }


def _newest_segment(state: Path) -> str:
    """The last one begun; a sync that failed at the very end is told in the report."""
    return max(path.name for path in (state / "journal").glob("*.jsonl"))


@pytest.mark.timeout(timeout_for(RUNS, each=0.5))
def test_a_failed_sync_moves_the_unsynced_bytes_to_a_new_segment(
    tmp_path: Path, record_property: Tell
) -> None:
    """R7: a failed sync is never tried again on that file: new segment, bytes again, recorded."""
    rng = random.Random(8)
    failures = 0

    for run in range(RUNS):
        state = tmp_path / str(run)
        disk = FickleDisk(fails=lambda: rng.random() < 0.25)
        safe, trouble = _write_through_failures(state, disk, rng)
        unmoved = {path.name for path in disk.failed} - _segments_said_moved(state)

        assert disk.touched_after == []
        assert faults(state, {WHO: safe}) == []
        assert not unmoved or (trouble and unmoved == {_newest_segment(state)})
        failures += len(disk.failed)

    assert failures > RUNS
    record_property("figure", f"{RUNS:,} runs, {failures:,} failed syncs: 0 tried again, 0 lost")
