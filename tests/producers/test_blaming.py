"""Agents at work beside each other: each change is that of the call that made it."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus
from eventbus.events import DirectoryMade, FileDeleted, FileWritten
from eventbus.producers.attributing import Attributor
from eventbus.producers.watcher import Watcher
from eventbus.replay import read_journal

ROOT = Path(__file__).resolve().parents[2]
AGENTS = 2
Told = FileWritten | FileDeleted | DirectoryMade


def agents(state: Path, root: Path, seed: int) -> list["subprocess.Popen[str]"]:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.producers.blaming", state, root, str(number), str(seed)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(AGENTS)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    return started


def last_told(state: Path) -> dict[str, Told]:
    """The last change of each sort to each path."""
    events = read_journal(state, kinds="file:*")
    return {
        f"{event.kind.partition(':')[2]} {event.path}": event
        for event in events
        if isinstance(event, Told)
    }


def how(event: Told, trace: str) -> str:
    """Whether the right call is told, may be it, is not known, or is another."""
    if event.trace == trace:
        return "right"
    if trace in event.candidates:
        return "one of several"
    return "wrong" if event.trace is not None or event.candidates else "unknown"


@pytest.mark.slow
def test_no_change_is_blamed_on_a_call_that_did_not_make_it(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    state, root = tmp_path / "state", tmp_path / "root"
    (root / "shared").mkdir(parents=True)
    with (
        EventBus(state) as bus,
        Attributor(bus, settle=0.5) as patient,  # on a busy machine calls are known late
        Watcher(bus, [root], attribution=patient),
    ):
        working = agents(state, root, seed=os.getpid())
        said = [each.communicate("\n")[0] for each in working]
    truth = {did: trace for text in said for did, trace in msgspec.json.decode(text).items()}
    told = last_told(state)
    stays = {did for did in truth if (root / did.partition(" ")[2]).exists()}
    assert stays - told.keys() == set()  # what came and went may never have been seen

    seen = Counter(how(told[did], trace) for did, trace in truth.items() if did in told)
    record_property("figure", f"{seen.total()} changes: {seen['wrong']} blamed on another call")
    assert seen["wrong"] == 0, {
        did: told[did] for did, trace in truth.items() if how(told[did], trace) == "wrong"
    }
    assert seen["right"] > seen.total() / 2
