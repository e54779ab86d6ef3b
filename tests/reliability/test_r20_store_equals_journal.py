"""R20: the store equals the journal, wherever landing was interrupted."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from eventbus import EventBus
from eventbus.store.backup import back_up, restore
from eventbus.store.doctor import examine
from eventbus.store.opening import open_store
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import Nursery, open_nursery
from tests.reliability.landed import differences_from_the_journal
from tests.reliability.orders import Order
from tests.reliability.storemachine import StoreMachine

KILLS = runs(ci=100, long=5_000)
KILLS_A_STATE = 10
REBUILDS_KILLED = runs(ci=20, long=500)
MACHINES = runs(ci=25, long=2_000)
STEPS = 25
PATIENCE = 30.0


def _kill_while_it_lands(nursery: Nursery, state: Path, run: int, rng: random.Random) -> int:
    """How many events the store was told to hold when its writer was killed."""
    order = Order(
        state=str(state),
        run=run,
        style="mixture",
        sinks=("sqlite",),
        after_first=rng.random() < 0.9,
        delay=rng.uniform(0, 0.06),
    )
    return nursery.raise_writer(order).acknowledged.get(0, 0)


def _landed(state: Path) -> int:
    with open_store(state) as store:
        row = store.row("SELECT count(*) FROM events")
    return row[0] if row is not None else 0


def _catch_up(state: Path) -> None:
    with EventBus(state, sinks=["sqlite"]) as bus:
        assert bus.flush_now(timeout=PATIENCE).reached


def _faults(state: Path) -> list[str]:
    """What the doctor finds once the lane has caught up, and the tables that differ."""
    _catch_up(state)
    examined = examine(state)
    behind = sum(writer.beyond for writer in examined.writers)
    found = [each.what for each in examined.findings]
    return [*found, *(["not caught up"] if behind else []), *differences_from_the_journal(state)]


@pytest.mark.timeout(timeout_for(KILLS, each=0.4))
def test_a_store_whose_writer_is_killed_again_and_again_equals_the_journal(
    tmp_path: Path, record_property: Tell
) -> None:
    """R20: the store equals the journal, row for row, whenever the writer was killed."""
    rng = random.Random(20)
    events = 0

    with open_nursery() as nursery:
        for part in range(0, KILLS, KILLS_A_STATE):
            state = tmp_path / str(part)
            told = 0
            for run in range(min(KILLS_A_STATE, KILLS - part)):
                told += _kill_while_it_lands(nursery, state, run, rng)
                assert told == 0 or _landed(state) >= told
                if told and rng.random() < 0.1:
                    back_up(state)
                if rng.random() < 0.1 and list(state.glob("backups/*")):
                    restore(state)
                    _catch_up(state)
            assert _faults(state) == []
            events += _landed(state)

    record_property("figure", f"{KILLS:,} kills, {events:,} rows: 0 differ from the journal")


@pytest.mark.timeout(timeout_for(REBUILDS_KILLED, each=0.5))
def test_a_rebuild_that_is_killed_leaves_a_store_that_goes_on(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(21)
    with open_nursery() as nursery:
        _kill_while_it_lands(nursery, tmp_path, 0, rng)
        _catch_up(tmp_path)
        back_up(tmp_path)
        for run in range(REBUILDS_KILLED):
            order = Order(state=str(tmp_path), run=run, style="rebuild", delay=rng.uniform(0, 0.15))
            nursery.raise_writer(order)
            _kill_while_it_lands(nursery, tmp_path, 1 + run, rng)

    assert _faults(tmp_path) == []
    record_property("figure", f"{REBUILDS_KILLED} rebuilds killed: 0 rows differ")


@pytest.mark.timeout(timeout_for(MACHINES, each=1.0))
def test_whatever_is_done_to_a_store_in_whatever_order_it_equals_the_journal_in_the_end(
    record_property: Tell,
) -> None:
    """Landed in parts, stopped half-way, backed up, damaged, lost, restored, rebuilt."""
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=MACHINES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    assert StoreMachine.compared >= MACHINES // 2
    record_property(
        "figure",
        f"{MACHINES} × {STEPS} steps, {StoreMachine.interrupted} batches stopped half-way:"
        f" {StoreMachine.compared} stores compared, 0 rows differ",
    )
