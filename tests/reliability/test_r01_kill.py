"""R1: an event acknowledged *written* is there after SIGKILL, once, in order."""

import random
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus
from eventbus.event import decode
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import (
    Nursery,
    damage_a_tail,
    faults_after,
    kill_cold,
    open_nursery,
    reopened,
)
from tests.reliability.numbered import Numbered, Producer, read_numbers
from tests.reliability.orders import Order, Outcome, Style

KILLS = runs(ci=500, long=20_000)
COLD_KILLS = max(5, KILLS // 100)
KILLS_WITH_FILES = max(5, KILLS // 10)
KILLS_A_STATE = 10
"""Each writer finds the wreckage of those before it; more would only slow the reading."""


def _order(state: Path, run: int, rng: random.Random, **other: object) -> Order:
    styles: list[Style] = ["asyncio", "asyncio", "threads", "trio"]
    return Order(
        state=str(state),
        run=run,
        style=rng.choice(styles),
        producers=rng.choice((1, 2, 5)),
        after_first=rng.random() < 0.85,
        delay=rng.uniform(0, 0.025),
        **other,  # type: ignore[arg-type]
    )


def _kill_some(
    nursery: Nursery, state: Path, rng: random.Random, outcomes: dict[int, Outcome], count: int
) -> list[str]:
    """Kill one writer after the other; what is wrong with what they left."""
    for run in range(count):
        outcomes[run] = nursery.raise_writer(_order(state, run, rng))
        wrong = faults_after(state, outcomes)
        if wrong:
            return wrong
        if rng.random() < 0.4:
            damage_a_tail(state, rng)
    return [*reopened(state), *faults_after(state, outcomes)]


@pytest.mark.timeout(timeout_for(KILLS, each=0.2))
def test_what_was_acknowledged_written_is_there_after_a_kill_once_and_in_order(
    tmp_path: Path, record_property: Tell
) -> None:
    """R1: an event acknowledged *written* is there after SIGKILL, once, in order."""
    rng = random.Random(1)
    kills = events = 0

    with open_nursery() as nursery:
        for part in range(0, KILLS, KILLS_A_STATE):
            count = min(KILLS_A_STATE, KILLS - part)
            outcomes: dict[int, Outcome] = {}
            assert _kill_some(nursery, tmp_path / str(part), rng, outcomes, count) == []
            kills += len(outcomes)
            events += sum(outcome.events for outcome in outcomes.values())

    told = f"{kills:,} kills, {events:,} events told written"
    record_property("figure", f"{told}: 0 lost, 0 twice, 0 fused lines")


@pytest.mark.timeout(timeout_for(COLD_KILLS, each=1.0))
def test_the_same_holds_for_interpreters_started_cold(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(2)
    outcomes: dict[int, Outcome] = {}

    for run in range(COLD_KILLS):
        outcomes[run] = kill_cold(_order(tmp_path, run, rng))

    assert [*reopened(tmp_path), *faults_after(tmp_path, outcomes)] == []
    assert all(outcome.acknowledged for outcome in outcomes.values())
    record_property("figure", f"{len(outcomes)} kills: 0 lost, 0 twice")


def _numbers_in(log: Path) -> dict[Producer, list[int]]:
    """The numbers in a log file, in its order."""
    found: dict[Producer, list[int]] = defaultdict(list)
    for line in log.read_bytes().split(b"\n")[:-1]:
        event = decode(line)
        if isinstance(event, Numbered):
            found[Producer(event.run, event.producer)].append(event.number)
    return found


@pytest.mark.timeout(timeout_for(KILLS_WITH_FILES, each=0.2))
def test_a_log_file_has_all_of_the_journal_once_after_kills(
    tmp_path: Path, record_property: Tell
) -> None:
    rng = random.Random(10)
    log = tmp_path / "logs" / "events.jsonl"

    with open_nursery() as nursery:
        for run in range(KILLS_WITH_FILES):
            order = _order(tmp_path, run, rng, sinks=("jsonl",))
            nursery.raise_writer(msgspec.structs.replace(order, delay=rng.uniform(0, 0.1)))
    with EventBus(tmp_path, sinks=["jsonl"]):
        wanted = read_numbers(tmp_path)
        patience = time.monotonic() + 20
        while _numbers_in(log) != wanted and time.monotonic() < patience:
            time.sleep(0.1)

    assert _numbers_in(log) == wanted
    events = sum(map(len, wanted.values()))
    record_property("figure", f"{KILLS_WITH_FILES} kills, {events:,} lines: each once")
