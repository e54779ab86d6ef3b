"""R3: the tests can fail: each mutant is caught."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.counts import Tell, timeout_for
from tests.reliability.crash import Nursery, damage_a_tail, faults_after, open_nursery, reopened
from tests.reliability.landed import store_faults
from tests.reliability.orders import Disks, Order, Outcome
from tests.reliability.powercut import loop_disk, why_no_loop_disk

CYCLES = 50
pytestmark = pytest.mark.timeout(timeout_for(CYCLES, each=0.3))


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with open_nursery() as nursery:
        yield nursery


def _cuts_until_caught(nursery: Nursery, state: Path, disk: Disks) -> int | None:
    """How many power cuts it took to see the mutant; None when it was never seen."""
    rng = random.Random(5)
    for run in range(CYCLES):
        order = Order(
            state=str(state / str(run)),
            run=run,
            level="synced",
            ending="cut",
            disk=disk,
            sync_failures=0.3,
            delay=rng.uniform(0, 0.03),
        )
        if faults_after(state / str(run), {run: nursery.raise_writer(order)}):
            return run + 1
    return None


@pytest.mark.parametrize("disk", ["without sync", "without names", "retrying"])
def test_a_recorder_that_syncs_badly_is_caught(
    nursery: Nursery, tmp_path: Path, disk: Disks, record_property: Tell
) -> None:
    """R3: no sync, no recovery, and retry after a failed sync are each caught."""
    caught = _cuts_until_caught(nursery, tmp_path, disk)

    assert caught is not None
    record_property("figure", f"{disk}: caught in cycle {caught} of {CYCLES}")


def test_a_recorder_that_syncs_well_is_not(nursery: Nursery, tmp_path: Path) -> None:
    assert _cuts_until_caught(nursery, tmp_path, "forgetful") is None


def _kills_until_caught(nursery: Nursery, state: Path, disk: Disks) -> int | None:
    rng = random.Random(9)
    outcomes: dict[int, Outcome] = {}
    for run in range(CYCLES):
        order = Order(state=str(state), run=run, disk=disk, delay=rng.uniform(0, 0.01))
        outcomes[run] = nursery.raise_writer(order)
        if faults_after(state, outcomes):
            return run + 1
        damage_a_tail(state, rng)
    return None


def test_a_recorder_that_does_not_recover_is_caught(
    nursery: Nursery, tmp_path: Path, record_property: Tell
) -> None:
    caught = _kills_until_caught(nursery, tmp_path, "without recovery")

    assert caught is not None
    record_property("figure", f"without recovery: caught in cycle {caught} of {CYCLES}")


def test_a_recorder_that_recovers_is_not(nursery: Nursery, tmp_path: Path) -> None:
    assert _kills_until_caught(nursery, tmp_path, "plain") is None
    assert reopened(tmp_path) == []


@pytest.mark.skipif(why_no_loop_disk() is not None, reason=why_no_loop_disk() or "")
def test_a_recorder_that_does_not_sync_is_caught_by_a_real_power_cut(
    nursery: Nursery, tmp_path: Path, record_property: Tell
) -> None:
    with loop_disk(tmp_path) as disk:
        for run in range(CYCLES):
            order = Order(
                state=str(disk.mount / str(run)),
                run=run,
                level="synced",
                ending="shutdown",
                mount=str(disk.mount),
                disk="without sync",
                delay=0.01,
            )
            outcome = nursery.raise_writer(order)
            disk.mount_again()
            if faults_after(disk.mount / str(run), {run: outcome}):
                record_property("figure", f"caught in cycle {run + 1} of {CYCLES}")
                return
    pytest.fail("never caught")


@pytest.mark.skipif(why_no_loop_disk() is not None, reason=why_no_loop_disk() or "")
def test_a_store_that_does_not_sync_is_caught_by_a_real_power_cut(
    nursery: Nursery, tmp_path: Path, record_property: Tell
) -> None:
    with loop_disk(tmp_path) as disk:
        for run in range(CYCLES):
            order = Order(
                state=str(disk.mount / str(run)),
                run=run,
                level="synced",
                style="threads",
                sinks=("sqlite",),
                ending="shutdown",
                mount=str(disk.mount),
                disk="store without sync",
                delay=0.01,
            )
            outcome = nursery.raise_writer(order)
            disk.mount_again()
            if store_faults(disk.mount / str(run), {run: outcome}):
                record_property("figure", f"a store: caught in cycle {run + 1} of {CYCLES}")
                return
    pytest.fail("never caught")
