"""R15: fork, spawn, forkserver, pre-fork servers: nothing twice, nothing lost."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from eventbus import EventBus
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import ROOT, reopened
from tests.reliability.forking import EACH, TOGETHER, WORKERS
from tests.reliability.numbered import Producer, bad_lines, numbered, read_numbers

FORKS = runs(ci=100, long=2_000)


def _run(way: str, state: Path, count: int) -> None:
    program = [sys.executable, "-m", "tests.reliability.forking", way, str(state), str(count)]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def _wanted(emitted: dict[Producer, int]) -> dict[Producer, list[int]]:
    return {producer: list(range(count)) for producer, count in emitted.items()}


@pytest.mark.timeout(timeout_for(FORKS, each=0.2))
def test_a_forked_child_writes_what_it_emits_and_nothing_of_its_parents(
    tmp_path: Path, record_property: Tell
) -> None:
    """R15: fork, spawn, forkserver, pre-fork servers: nothing twice, nothing lost."""
    _run("os.fork", tmp_path, FORKS)

    children = {Producer(run, 0): EACH for run in range(1, FORKS + 1)}
    assert read_numbers(tmp_path) == _wanted({Producer(0, 0): 50 * FORKS, **children})
    assert [*reopened(tmp_path), *bad_lines(tmp_path)] == []
    events = (50 + EACH) * FORKS
    record_property("figure", f"{FORKS:,} forks, {events:,} events: 0 lost, 0 twice")


@pytest.mark.timeout(timeout_for(FORKS, each=0.2))
def test_a_lane_its_parent_serves_has_what_a_forked_child_emits(tmp_path: Path) -> None:
    count = FORKS // 4
    _run("os.fork beside lanes", tmp_path, count)

    children = {Producer(run, 0): EACH for run in range(1, count + 1)}
    assert read_numbers(tmp_path) == _wanted({Producer(0, 0): 50 * count, **children})
    log = tmp_path / "logs" / "events.jsonl"
    with EventBus(tmp_path, sinks=["jsonl"]):
        found = [_records_in(log, run=run, wanted=EACH) for run in range(1, count + 1)]
    assert found == [EACH] * count


def test_the_workers_of_a_prefork_server_write_beside_each_other(tmp_path: Path) -> None:
    _run("prefork", tmp_path, WORKERS)

    threads = {Producer(run, 1): EACH for run in range(2, WORKERS + 1, 2)}
    workers = {Producer(run, 0): EACH for run in range(WORKERS + 1)}
    assert read_numbers(tmp_path) == _wanted({**workers, **threads, Producer(0, 1): EACH})


@pytest.mark.timeout(timeout_for(FORKS, each=0.2))
def test_processes_that_open_at_the_same_moment_lose_nothing(tmp_path: Path) -> None:
    rounds = max(1, FORKS // TOGETHER)

    _run("together", tmp_path, rounds * TOGETHER)

    runs_of_all = range(1, rounds * TOGETHER + 1)
    assert read_numbers(tmp_path) == _wanted({Producer(run, 0): EACH for run in runs_of_all})


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_lose_nothing(tmp_path: Path, way: str) -> None:
    _run(way, tmp_path, WORKERS)

    assert read_numbers(tmp_path) == _wanted({Producer(run, 0): EACH for run in range(WORKERS + 1)})


def _records_in(log: Path, *, run: int, wanted: int) -> int:
    """How many of that run's records the file has, once it has as many as wanted, or in 5 s."""
    patience = time.monotonic() + 5
    while True:
        text = log.read_text() if log.exists() else ""
        found = text.count(f'"run":{run},')
        if found >= wanted or time.monotonic() > patience:
            return found
        time.sleep(0.05)


def test_a_child_that_lives_on_keeps_no_lane_from_others(tmp_path: Path) -> None:
    _run("leave a child", tmp_path, 20)

    with EventBus(tmp_path, sinks=["jsonl"]) as bus:
        bus.emit_nowait(numbered(7, 0, 0))
        assert _records_in(tmp_path / "logs" / "events.jsonl", run=7, wanted=1) == 1


def test_a_process_that_makes_itself_a_daemon_serves_its_lanes_there(tmp_path: Path) -> None:
    _run("daemonise", tmp_path, 3)

    log = tmp_path / "logs" / "events.jsonl"
    assert _records_in(log, run=1, wanted=EACH) == EACH
    assert _records_in(log, run=0, wanted=EACH) == EACH
