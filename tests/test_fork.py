"""What a forked child takes over from its parent, and what it leaves alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus import EventBus
from tests.letters import LetterSent

pytestmark = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")

SERVE = """
import sys
from eventbus import EventBus

with EventBus(sys.argv[1], sinks=["jsonl"], serve=sys.argv[2]) as bus:
    while not bus.statistics().lanes["jsonl"].is_served:
        pass
    assert bus.is_resident == (sys.argv[2] == "resident")
"""
"""Waits until the lane is served here."""


class Child:
    """A forked child that lives until it is let go."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writer)
            os.read(reader, 1)
            os._exit(0)
        os.close(reader)

    def let_go(self) -> None:
        os.close(self._writer)
        os.waitpid(self.pid, 0)


@pytest.fixture
def children() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.let_go()


@pytest.mark.parametrize("serve", ["auto", "resident"])
def test_a_child_that_outlives_its_parents_bus_keeps_no_lane_from_others(
    tmp_path: Path, children: list[Child], serve: str
) -> None:
    with EventBus(tmp_path, sinks=["jsonl"], serve=serve) as bus:  # type: ignore[arg-type]
        bus.emit_nowait(LetterSent(n=1))
        assert bus.flush_now(timeout=10).reached
        children.append(Child())

    program = [sys.executable, "-c", SERVE, str(tmp_path), serve]
    subprocess.run(program, check=True, timeout=10)


def test_a_parent_that_has_forked_still_holds_its_locks(
    tmp_path: Path, children: list[Child]
) -> None:
    with EventBus(tmp_path, serve="resident") as bus:
        children.append(Child())

        with EventBus(tmp_path, serve="resident") as other:
            assert bus.is_resident
            assert not other.is_resident
            assert other.writer_id != bus.writer_id
