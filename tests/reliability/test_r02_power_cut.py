"""R2: an event acknowledged *synced* is there after a power cut."""

import random
from pathlib import Path

import msgspec
import pytest

from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import Nursery, faults_after, open_nursery, reopened
from tests.reliability.landed import store_faults
from tests.reliability.orders import Order, Outcome, Style
from tests.reliability.powercut import LoopDisk, loop_disk, why_no_loop_disk

CUTS = runs(ci=200, long=10_000)
STORE_CUTS = runs(ci=200, long=5_000)
CUTS_A_DISK = 50
CUTS_A_STATE = 5
STYLES: tuple[Style, ...] = ("asyncio", "threads")


def _order(state: Path, run: int, rng: random.Random, **other: object) -> Order:
    return Order(
        state=str(state),
        run=run,
        level="synced",
        style=rng.choice(STYLES),
        producers=rng.choice((1, 3)),
        after_first=rng.random() < 0.85,
        delay=rng.uniform(0, 0.03),
        **other,  # type: ignore[arg-type]
    )


def _cut_some(
    nursery: Nursery, disk: LoopDisk, rng: random.Random, outcomes: dict[int, Outcome], *, part: int
) -> list[str]:
    state = disk.mount / str(part)
    for run in range(CUTS_A_STATE):
        order = _order(state, run, rng, ending="shutdown", mount=str(disk.mount))
        outcomes[run] = nursery.raise_writer(order)
        disk.mount_again()
        wrong = faults_after(state, outcomes)
        if wrong:
            return wrong
    return [*reopened(state), *faults_after(state, outcomes)]


@pytest.mark.skipif(why_no_loop_disk() is not None, reason=why_no_loop_disk() or "")
@pytest.mark.timeout(timeout_for(CUTS, each=0.3))
def test_what_was_acknowledged_synced_is_there_after_a_power_cut(
    tmp_path: Path, record_property: Tell
) -> None:
    """R2: an event acknowledged *synced* is there after a power cut (ext4, shut down)."""
    rng = random.Random(3)
    cuts = events = 0

    with open_nursery() as nursery:
        for first in range(0, CUTS, CUTS_A_DISK):
            room = tmp_path / str(first)
            room.mkdir()
            with loop_disk(room) as disk:
                for part in range(0, min(CUTS_A_DISK, CUTS - first), CUTS_A_STATE):
                    outcomes: dict[int, Outcome] = {}
                    assert _cut_some(nursery, disk, rng, outcomes, part=part) == []
                    cuts += len(outcomes)
                    events += sum(outcome.events for outcome in outcomes.values())

    record_property("figure", f"{cuts:,} power cuts, {events:,} events told synced: 0 lost")


def _cut_under_a_store(
    nursery: Nursery, disk: LoopDisk, rng: random.Random, part: int
) -> tuple[list[str], int]:
    """What is wrong with a store whose power was cut, and how many events it told as synced."""
    state = disk.mount / f"store{part}"
    outcomes: dict[int, Outcome] = {}
    for run in range(CUTS_A_STATE):
        order = _order(state, run, rng, ending="shutdown", mount=str(disk.mount))
        order = msgspec.structs.replace(order, style="threads", sinks=("sqlite",), after_first=True)
        outcomes[run] = nursery.raise_writer(order)
        disk.mount_again()
        wrong = [*store_faults(state, outcomes), *faults_after(state, outcomes)]
        if wrong:
            return wrong, 0
    return [], sum(outcome.events for outcome in outcomes.values())


@pytest.mark.skipif(why_no_loop_disk() is not None, reason=why_no_loop_disk() or "")
@pytest.mark.timeout(timeout_for(STORE_CUTS, each=0.5))
def test_what_a_store_was_told_is_synced_is_there_after_a_power_cut(
    tmp_path: Path, record_property: Tell
) -> None:
    """Read from SQLite alone, before any lane could land it again; its pages are whole."""
    rng = random.Random(12)
    events = 0

    with open_nursery() as nursery:
        for first in range(0, STORE_CUTS, CUTS_A_DISK):
            room = tmp_path / str(first)
            room.mkdir()
            with loop_disk(room) as disk:
                for part in range(0, min(CUTS_A_DISK, STORE_CUTS - first), CUTS_A_STATE):
                    wrong, told = _cut_under_a_store(nursery, disk, rng, part)
                    assert wrong == []
                    events += told

    record_property("figure", f"SQLite: {STORE_CUTS:,} power cuts, {events:,} told synced: 0 lost")


def _cut_where_little_is_kept(state: Path, rng: random.Random, **failing: float) -> list[str]:
    """Cut the power of a `ForgetfulDisk` again and again; the first thing that is wrong."""
    with open_nursery() as nursery:
        for part in range(0, CUTS, CUTS_A_STATE):
            outcomes: dict[int, Outcome] = {}
            for run in range(CUTS_A_STATE):
                order = _order(
                    state / str(part), run, rng, ending="cut", disk="forgetful", **failing
                )
                outcomes[run] = nursery.raise_writer(order)
                wrong = faults_after(state / str(part), outcomes)
                if wrong:
                    return wrong
    return []


@pytest.mark.timeout(timeout_for(CUTS, each=0.2))
def test_the_same_holds_on_a_disk_that_keeps_only_what_was_synced(
    tmp_path: Path, record_property: Tell
) -> None:
    assert _cut_where_little_is_kept(tmp_path, random.Random(4), sync_failures=0.1) == []
    record_property("figure", f"{CUTS:,} cuts: 0 lost")


@pytest.mark.timeout(timeout_for(CUTS, each=0.2))
def test_the_same_holds_where_syncing_a_new_files_name_fails_at_times(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(11)

    wrong = _cut_where_little_is_kept(tmp_path, rng, sync_failures=0.1, name_failures=0.5)

    assert wrong == []
    record_property("figure", f"{CUTS:,} cuts: 0 lost")
