"""R11: memory is bounded by bytes, and a sink in trouble harms only itself.

What waits for a disk that hangs is bounded however large the events are. A
sink that hangs, fails or dawdles costs disk, not memory: it reads back later
what it did not take, once and in order, and the sinks beside it go on at their
rate. Of a batch that a sink will not take, only the events to blame become
dead letters.
"""

import json
import math
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import Batch, EventBus, Refused, Sink
from eventbus.event import decode
from tests.reliability.counts import runs, timeout_for
from tests.reliability.crash import ROOT
from tests.reliability.numbered import Numbered, Producer, numbered, read_numbers
from tests.reliability.stalling import MIB, Measured, StallOrder, Trouble

STALLED = runs(ci=300_000, long=3_000_000)
ROUNDS = runs(ci=7, long=70)
STORIES = runs(ci=30, long=1_000)
STALL_MOST = 64 * MIB
"""What a stalled sink may add."""
WAITING_MOST = 256 * MIB
"""What waits, what the writer has in hand, and that as lines: 64 MiB each; and some play."""
RATE_LEAST = 0.9
TRIES = 4
"""Measurements of a rate before it counts as too low, on a machine others use too."""
PATIENCE = 60.0
WHO = Producer(run=0, producer=0)

Record = Any


def _measure(state: Path, order: StallOrder) -> Measured:
    """Have it measured in a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.reliability.stalling"),
            *(str(state), msgspec.json.encode(order).decode()),
        ],
        cwd=ROOT,
        env={**os.environ, "EVENTBUS_DISABLED": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Measured)


# --- memory ---------------------------------------------------------------------------


@pytest.mark.timeout(timeout_for(STALLED, each=0.0001))
@pytest.mark.parametrize("trouble", ["hangs", "raises"])
def test_a_sink_that_stalls_costs_disk_and_little_memory(
    tmp_path: Path, trouble: Trouble, record_property: Record
) -> None:
    alone = _measure(tmp_path / "alone", StallOrder(what="memory", count=STALLED))

    beside = _measure(
        tmp_path / "beside", StallOrder(what="memory", trouble=trouble, count=STALLED)
    )

    assert beside.delivered == STALLED, "the other sink did not get all while it stalled"
    assert beside.caught_up == STALLED, "it did not get all, once and in order, when it went on"
    added = max(0, beside.grown_bytes - alone.grown_bytes)
    assert added <= STALL_MOST
    record_property(
        "figure", f"a sink that {trouble} for {STALLED} events: {added // MIB} MiB more"
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("warm_up", [0, 8], ids=["cold", "warm"])
@pytest.mark.parametrize(
    ("event_bytes", "count"), [(1_000, 400_000), (256 * 1024, 2_400), (1_200_000, 500)]
)
def test_what_waits_for_a_hung_disk_is_bounded_by_bytes(
    tmp_path: Path, event_bytes: int, count: int, warm_up: int, record_property: Record
) -> None:
    order = StallOrder(what="inbox", count=count, event_bytes=event_bytes, warm_up=warm_up)

    measured = _measure(tmp_path, order)

    assert measured.dropped > 0, "nothing was dropped: it proves nothing"
    assert measured.written + measured.dropped == count
    assert measured.grown_bytes <= WAITING_MOST
    sent, grown = event_bytes * count // MIB, measured.grown_bytes // MIB
    record_property("figure", f"{sent} MiB for a hung disk: {grown} MiB held, all others counted")


# --- rates ------------------------------------------------------------------------------


@pytest.mark.timeout(timeout_for(ROUNDS * TRIES, each=1.0))
@pytest.mark.parametrize("trouble", ["hangs", "raises", "dawdles"])
def test_the_other_sinks_keep_their_rate(
    tmp_path: Path, trouble: Trouble, record_property: Record
) -> None:
    """R11: others keep 90 % of their rate, by the median of all rounds so far."""
    order = StallOrder(what="rates", trouble=trouble, count=20_000, rounds=ROUNDS)
    ratios: list[float] = []

    for turn in range(TRIES):
        ratios += _measure(tmp_path / str(turn), order).ratios
        if statistics.median(ratios) >= RATE_LEAST:
            break

    median = statistics.median(ratios)
    assert median >= RATE_LEAST, sorted(ratios)
    record_property("figure", f"beside one that {trouble}: {median:.0%} of the rate alone")


# --- dead letters ------------------------------------------------------------------------


class Picky(Sink):
    """Takes no batch that has one of these numbers in it."""

    def __init__(self, bad: set[int], error: type[Exception]) -> None:
        self.bad = bad
        self.error = error
        self.taken: list[int] = []
        self.refused = 0

    async def write(self, batch: Batch) -> None:
        numbers = [event.number for event in batch.events if isinstance(event, Numbered)]
        if self.bad.intersection(numbers):
            self.refused += 1
            raise self.error("not this one")
        self.taken += numbers


def _letters(path: Path) -> list[int]:
    """The numbers of the dead letters, each read back as the event it was."""
    if not path.exists():
        return []
    events = [
        decode(json.dumps(json.loads(line)["event"]).encode())
        for line in path.read_bytes().splitlines()
    ]
    assert all(isinstance(event, Numbered) for event in events)
    return [event.number for event in events if isinstance(event, Numbered)]


@pytest.mark.timeout(timeout_for(STORIES, each=0.2))
def test_of_a_batch_that_is_refused_only_the_events_to_blame_are_dead_letters(
    ram: Path, record_property: Record
) -> None:
    rng = random.Random(11)
    buried = 0

    for story in range(STORIES):
        count = rng.choice((1, 2, 100, 1_024, 2_500))
        bad = set(rng.sample(range(count), min(count, rng.choice((0, 1, 2, 17)))))
        sink = Picky(bad, rng.choice((Refused, ValueError, KeyError, RecursionError)))
        state = ram / str(story)
        with EventBus(state, serve="never", grace=PATIENCE) as bus:
            lane = bus.attach(sink)
            for number in range(count):
                bus.emit_nowait(numbered(*WHO, number))
            assert bus.flush_now(timeout=PATIENCE).reached
            told = bus.statistics().lanes[lane]

        assert sink.taken == [number for number in range(count) if number not in bad]
        assert sorted(_letters(state / "dead" / f"{lane}.jsonl")) == sorted(bad)
        assert read_numbers(state)[WHO] == list(range(count))
        assert (told.dead, told.lag) == (len(bad), 0)
        assert told.delivered == told.seen - told.dead - told.filtered
        assert sink.refused <= len(bad) * (1 + math.log2(1_024))
        buried += len(bad)

    record_property("figure", f"{buried} events refused: {buried} dead letters, 0 others harmed")


def test_a_sink_that_is_down_buries_nothing(tmp_path: Path) -> None:
    """However long: it is the sink that is to blame."""
    sink = Picky(set(range(1_000)), ConnectionError)
    with EventBus(tmp_path, serve="never", grace=PATIENCE) as bus:
        lane = bus.attach(sink)
        for number in range(1_000):
            bus.emit_nowait(numbered(*WHO, number))
        assert not bus.flush_now(timeout=1.5).reached
        assert bus.statistics().lanes[lane].dead == 0
        sink.bad = set()
        assert bus.flush_now(timeout=PATIENCE).reached

    assert sink.taken == list(range(1_000))
    assert _letters(tmp_path / "dead" / f"{lane}.jsonl") == []
