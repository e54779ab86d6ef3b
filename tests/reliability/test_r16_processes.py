"""R16: several processes share a state directory."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from eventbus import read_journal
from tests.reliability.counts import runs, timeout_for
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
def test_processes_that_share_a_directory_lose_nothing_and_keep_one_order(tmp_path: Path) -> None:
    """R16: several processes share a state directory: all there, merged order stable."""
    _share(tmp_path, EVENTS)

    first = [(event.ts, event.id) for event in read_journal(tmp_path)]
    assert first == [(event.ts, event.id) for event in read_journal(tmp_path)]
    assert all(before <= after for (before, _), (after, _) in pairwise(first))
    assert len({event_id for _, event_id in first}) == PROCESSES * EVENTS
    wanted = {Producer(run, 0): list(range(EVENTS)) for run in range(PROCESSES)}
    assert read_numbers(tmp_path) == wanted
    assert list(bad_lines(tmp_path)) == []


@pytest.mark.timeout(120)
def test_a_sink_they_all_name_has_each_event_once(tmp_path: Path) -> None:
    _share(tmp_path, EVENTS_IN_FILES, "jsonl")

    lines = (tmp_path / "logs" / "events.jsonl").read_bytes().splitlines()
    records = [msgspec.json.decode(line) for line in lines]
    counts = Counter(
        (record["run"], record["number"]) for record in records if record["kind"] == "proof:number"
    )
    assert set(counts.values()) == {1}
    assert len(counts) == PROCESSES * EVENTS_IN_FILES
