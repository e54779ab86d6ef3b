"""Sessions around an agent's code, the process's own one, and snapshots."""

import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventbus import (
    EventBus,
    SnapshotRefused,
    current_scope,
    process_session,
    read_journal,
    save_snapshot,
    scope,
    session,
    set_session,
    tool,
)
from eventbus.events import LogLine, SessionCreated, SessionEnded, SnapshotSaved
from eventbus.testing import Recorded


@pytest.mark.on_both_backends
async def test_a_session_is_told_from_its_start_to_its_end(record: Recorded) -> None:
    async with session("s-1", cli_tool="claude-code", persona="reviewer", nexus_mode="hybrid") as s:
        await record.bus.emit(LogLine(event_type="a:b"))
        assert s.id == "s-1"

    created, inside, ended = record.events
    assert isinstance(created, SessionCreated)
    assert isinstance(ended, SessionEnded)
    assert [event.scope.session for event in record.events] == ["s-1"] * 3
    for told in (created, ended):
        said = (told.session_id, told.cli_tool, told.persona, told.nexus_mode)
        assert said == ("s-1", "claude-code", "reviewer", "hybrid")
    assert (created.reason, ended.reason) == (None, "finished")
    assert inside.kind == "a:b"
    assert current_scope().session is None


def test_a_session_has_an_id_of_its_own_if_it_is_given_none(record: Recorded) -> None:
    with session() as first, session() as second:
        assert current_scope().session == second.id

    assert first.id != second.id


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("no"), "ValueError"), (KeyboardInterrupt(), "cancelled")]
)
def test_it_says_how_it_came_to_its_end(
    record: Recorded, error: BaseException, reason: str
) -> None:
    with pytest.raises(type(error)), session("s-1"):
        raise error

    (ended,) = record.of(SessionEnded)
    assert ended.reason == reason  # type: ignore[attr-defined]


# --- the process's own --------------------------------------------------------------


def test_the_process_has_one_session_of_its_own(record: Recorded) -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(process_session())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (created,) = record.of(SessionCreated)
    assert set(ids) == {created.scope.session}


def test_the_session_a_program_sets_is_the_processs(
    record: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.flat._session", None)
    monkeypatch.setattr("eventbus.flat._in_memory", deque())
    set_session("mine")

    with tool("one"):
        pass

    assert process_session() == "mine"
    assert {event.scope.session for event in record.of("tool:*")} == {"mine"}
    assert [type(event) for event in record.of("session:create")] == [LogLine]


FORKS = """
import os, sys
from eventbus import EventBus, process_session, tool

with EventBus(sys.argv[1]):
    mine = process_session()
    child = os.fork()
    with tool("child" if child == 0 else "parent"):
        pass
    if child == 0:
        assert process_session() != mine
    else:
        os.waitpid(child, 0)
        assert process_session() == mine
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_a_process_of_its_own(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORKS, tmp_path], check=True, timeout=30)

    events = list(read_journal(tmp_path, kinds=["session:*", "tool:start"]))
    created = [event.scope.session for event in events if event.kind == "session:create"]
    tools = {event.name: event.scope.session for event in events if event.kind == "tool:start"}  # type: ignore[attr-defined]
    assert len(created) == 2
    assert {tools["parent"], tools["child"]} == set(created)


EXITS = """
import sys
from eventbus import EventBus, process_session

bus = EventBus(sys.argv[1]).open()
process_session()
"""


def test_at_exit_it_ends_while_somebody_still_records(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", EXITS, tmp_path], check=True, timeout=30)

    created, ended = read_journal(tmp_path, kinds="session:*")
    assert ended.scope.session == created.scope.session
    assert ended.reason == "exit"  # type: ignore[attr-defined]


def test_at_exit_nothing_begins_for_it(tmp_path: Path) -> None:
    code = EXITS + "bus.close()"
    subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=True, cwd=tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# --- snapshots ------------------------------------------------------------------------


def test_a_snapshot_is_a_state_at_a_turn(record: Recorded) -> None:
    with scope(session="s-1", chat="c-1"):
        id = save_snapshot("c-1", 3, {"goal": "ship", "done": {1, 2}})

    (saved,) = record.of(SnapshotSaved)
    assert isinstance(saved, SnapshotSaved)
    assert (saved.id, saved.chat_id, saved.turn_number) == (id, "c-1", 3)
    assert saved.state == {"goal": "ship", "done": [1, 2]}
    assert saved.scope.session == "s-1"


def test_a_large_snapshot_comes_back_whole(tmp_path: Path) -> None:
    state = ["x" * 1_000] * 5_000
    with EventBus(tmp_path) as bus:
        save_snapshot("c", 1, state, bus=bus)

    (saved,) = read_journal(tmp_path, kinds=SnapshotSaved)
    assert saved.state == state  # type: ignore[attr-defined]


def test_one_that_is_too_large_is_refused_with_its_size_and_the_limit(record: Recorded) -> None:
    with pytest.raises(
        SnapshotRefused, match=r"chat 'c': its state is 2002 bytes .* at most 1000 .* are kept"
    ):
        save_snapshot("c", 1, "x" * 2_000, most=1_000)

    assert record.of(SnapshotSaved) == []


def test_more_than_the_journal_keeps_whole_cannot_be_allowed(record: Recorded) -> None:
    with pytest.raises(SnapshotRefused, match="at most 25100288 "):
        save_snapshot("c", 1, "x" * 26_000_000, most=10**9)


def circle() -> list[Any]:
    round: list[Any] = []
    round.append(round)
    return round


@pytest.mark.parametrize("state", [object(), {"k": 1j}, circle()])
def test_one_that_would_not_come_back_is_refused(record: Recorded, state: object) -> None:
    with pytest.raises(SnapshotRefused, match="a state is what msgspec can encode"):
        save_snapshot("c", 1, state)


async def test_a_session_left_in_a_child_task_is_its_own(record: Recorded) -> None:
    async def child(id: str) -> None:
        async with session(id):
            await anyio.sleep(0)
            assert current_scope().session == id

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child, "a")
        tasks.start_soon(child, "b")

    assert current_scope().session is None
