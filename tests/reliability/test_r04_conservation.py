"""R4: nothing appears or disappears without a count.

At every moment, what a bus accepted is what it has written, what waits, what
it kept as poison and what it dropped, by reason; what a lane has seen is what
it delivered, filtered, buried, missed and has yet to do. Every hole in the
journal has its `bus:gap` record. The counts are compared with what really
stands in the journal and with what the sinks were really given, while disks
fail, sinks break and come and go.
"""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import EventBus, read_journal
from eventbus.events.bus import GapLeft
from tests.reliability.bookkeeping import PATIENCE, Balanced
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import ROOT
from tests.reliability.difficult import KeepingSink, SlowSink
from tests.reliability.rumours import CLASSES, Told, number_of

MACHINES = runs(ci=500, long=20_000)
STEPS = 50
AT_ONCE = 2
"""Processes that share the machines."""


@pytest.mark.timeout(timeout_for(MACHINES, each=0.3))
def test_the_books_balance_whatever_happens(ram: Path, record_property: Tell) -> None:
    """R4: what was accepted is written, waiting, dropped or poison; every hole has its record."""
    share = str(-(-MACHINES // AT_ONCE))
    program = [sys.executable, "-m", "tests.reliability.bookkeeping", ram, share, str(STEPS)]

    running = [
        subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(AT_ONCE)
    ]
    ended = [(process, *process.communicate()) for process in running]

    for process, _, complaint in ended:
        assert process.returncode == 0, complaint.decode()
    told = [msgspec.json.decode(said, type=Balanced) for _, said, _ in ended]
    machines, steps = sum(one.machines for one in told), sum(one.steps for one in told)
    assert machines >= MACHINES
    assert steps > machines * STEPS / 2
    record_property("figure", f"{machines:,} machines, {steps:,} steps: the sums held")


@pytest.mark.parametrize("on_full", ["wait", "drop_oldest", "drop_newest"])
@pytest.mark.parametrize("redact", [None, lambda lines: lines])
def test_a_lane_in_memory_says_what_it_missed(on_full: Any, redact: Any) -> None:
    """R4: what a lane in memory had no room for is counted, and told by a gap."""
    rng = random.Random(44)
    sinks = [SlowSink(0.000_5, batch_most=rng.choice((1, 7, 50))) for _ in range(3)]

    with EventBus(None, redact=redact, grace=PATIENCE) as bus:
        names = [bus.attach(sink, capacity=30, on_full=on_full) for sink in sinks]
        for number in range(1_500):
            bus.emit_nowait(CLASSES[number % 3](number=number))
            if number % 500 == 499:
                assert bus.flush_now(timeout=PATIENCE).reached
        time.sleep(1.1)  # a lane tells its gaps once a second
        assert bus.flush_now(timeout=PATIENCE).reached
        statistics = bus.statistics()

    for name, sink in zip(names, sinks, strict=True):
        counts = statistics.lanes[name]
        given = [number_of(event) for event in sink.events if event.kind[:4] != "bus:"]
        gaps = [event for event in sink.events if isinstance(event, GapLeft)]
        told = sum(gap.count for gap in gaps if gap.lane == name)
        assert sink.misuse == set()
        assert given == sorted(set(given))
        assert counts.lag == 0
        assert counts.seen == counts.delivered + counts.filtered + counts.dead + counts.pruned
        assert counts.delivered == len(sink.events)
        assert counts.seen == statistics.accepted
        assert told == counts.pruned
        assert (counts.pruned == 0) == (on_full == "wait")


def test_events_of_changing_size_are_each_written_once(tmp_path: Path) -> None:
    rng = random.Random(4)
    sizes = [rng.choice((1, 10, 300_000)) if number % 50 == 0 else 1 for number in range(8_000)]

    with EventBus(tmp_path, sinks=[sink := KeepingSink()]) as bus:
        for part in range(0, len(sizes), 2_000):
            for number in range(part, part + 2_000):
                bus.emit_nowait(Told(number=number, pad="x" * sizes[number]))
            bus.flush_now()

    assert [number_of(event) for event in read_journal(tmp_path)] == list(range(len(sizes)))
    assert [number_of(event) for event in sink.events] == list(range(len(sizes)))
