"""R16: several processes share a state directory."""

import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus, read_journal
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import ROOT
from tests.reliability.numbered import Producer, bad_lines, read_numbers

PROCESSES = 4
EVENTS = runs(ci=50_000, long=1_000_000)
EVENTS_IN_FILES = min(EVENTS, 5_000)


def _share(state: Path, count: int, *sinks: str) -> None:
    """Have that many processes emit at the same time, and wait for all of them."""
    program = (sys.executable, "-m", "tests.reliability.sharing", str(state))
    writers = [
        subprocess.Popen([*program, str(run), str(count), *sinks], cwd=ROOT, stdin=subprocess.PIPE)
        for run in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0] * PROCESSES


@pytest.mark.timeout(timeout_for(EVENTS * PROCESSES, each=0.000_1))
def test_processes_that_share_a_directory_lose_nothing_and_keep_one_order(
    tmp_path: Path, record_property: Tell
) -> None:
    """R16: several processes share a state directory: all there, merged order stable."""
    _share(tmp_path, EVENTS)

    first = [(event.ts, event.id) for event in read_journal(tmp_path)]
    assert first == [(event.ts, event.id) for event in read_journal(tmp_path)]
    assert all(before <= after for (before, _), (after, _) in pairwise(first))
    assert len({event_id for _, event_id in first}) == PROCESSES * EVENTS
    wanted = {Producer(run, 0): list(range(EVENTS)) for run in range(PROCESSES)}
    assert read_numbers(tmp_path) == wanted
    assert list(bad_lines(tmp_path)) == []
    record_property("figure", f"{PROCESSES} × {EVENTS:,} events: all there, once, in one order")


def _each_once(log: Path) -> set[tuple[int, int]]:
    """Every run and number in the file; none may stand there twice."""
    lines = log.read_bytes().split(b"\n")[:-1]
    records = [msgspec.json.decode(line) for line in lines]
    counts = Counter(
        (record["run"], record["number"]) for record in records if record["kind"] == "proof:number"
    )
    assert set(counts.values()) == {1}
    return set(counts)


ALL_IN_FILES = {(run, number) for run in range(PROCESSES) for number in range(EVENTS_IN_FILES)}


@pytest.mark.timeout(120)
def test_a_sink_they_all_name_has_each_event_once(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "events.jsonl"

    _share(tmp_path, EVENTS_IN_FILES, "jsonl")
    with EventBus(tmp_path, sinks=["jsonl"]):  # what the last to leave had not done goes on here
        patience = time.monotonic() + 20
        while len(_each_once(log)) < len(ALL_IN_FILES) and time.monotonic() < patience:
            time.sleep(0.1)

    assert _each_once(log) == ALL_IN_FILES


@pytest.mark.timeout(120)
def test_when_the_last_has_left_what_all_emitted_is_in_the_file(tmp_path: Path) -> None:
    _share(tmp_path, EVENTS_IN_FILES, "jsonl")

    assert _each_once(tmp_path / "logs" / "events.jsonl") == ALL_IN_FILES
