"""Tool calls of every process on a state directory are held against the changes it sees."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from eventbus import EventBus, tool
from eventbus.events import LogLine, ToolStarted
from eventbus.producers import told as told_module
from eventbus.producers.attributing import Attributor
from eventbus.producers.told import ToldByOthers
from eventbus.watching.change import NOBODY, Change
from eventbus.watching.writers import listen_for_writers
from tests.letters import eventually

ROOT = Path(__file__).resolve().parents[2]
CALL = """
import sys
from pathlib import Path
from eventbus import EventBus, tool
with EventBus(sys.argv[1], serve="never") as bus:
    with tool("edit", {"path": "a.py"}, bus=bus, cwd=sys.argv[2]):
        Path(sys.argv[2], "a.py").write_text("x")
        print("written", flush=True)
        sys.stdin.readline()
    bus.flush_now(until="written")
    print("finished", flush=True)
    sys.stdin.readline()
"""


class Agent:
    """A process with a tool call that is open until it is told to go on."""

    def __init__(self, state: Path, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CALL, str(state), str(root)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.says() == "written"

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.communicate()


@pytest.fixture
def agent(tmp_path: Path) -> Any:
    made: list[Agent] = []

    def start() -> Agent:
        (tmp_path / "root").mkdir(exist_ok=True)
        made.append(Agent(tmp_path / "state", tmp_path / "root"))
        return made[-1]

    yield start
    for each in made:
        each.end()


def seen(root: Path, name: str = "a.py", **fields: Any) -> Change:
    """The change as a watcher would find it now."""
    changed = None
    if (root / name).exists():
        changed = datetime.fromtimestamp((root / name).stat().st_ctime, UTC)
    fields = {"op": "write", "noticed": datetime.now(UTC), "changed": changed, **fields}
    return Change(path=name, root=root, **fields)


async def who(bus: EventBus, change: Change) -> Any:
    with Attributor(bus) as attributor:
        await attributor.catch_up(change.noticed)
        return attributor.actor_of(change)


async def test_a_call_of_this_process_is_known_at_once(tmp_path: Path) -> None:
    with (
        EventBus(tmp_path / "state") as bus,
        Attributor(bus) as attributor,
        tool("edit", bus=bus, cwd=tmp_path) as call,
    ):
        (tmp_path / "a.py").write_text("x")
        attributor.look()

        assert attributor.actor_of(seen(tmp_path)).trace == call.trace


async def test_a_call_is_known_where_nothing_is_kept_on_disk(tmp_path: Path) -> None:
    with (
        EventBus(None) as bus,
        Attributor(bus) as attributor,
        tool("edit", bus=bus, cwd=tmp_path) as call,
    ):
        (tmp_path / "a.py").write_text("x")
        change = seen(tmp_path)
        await attributor.catch_up(change.noticed)

        assert attributor.actor_of(change).trace == call.trace


async def test_a_call_of_another_process_is_known_after_catching_up(
    tmp_path: Path, agent: Callable[[], Agent]
) -> None:
    with EventBus(tmp_path / "state", serve="never") as bus, Attributor(bus) as attributor:
        calling = agent()
        change = seen(tmp_path / "root")
        await attributor.catch_up(change.noticed)
        actor = attributor.actor_of(change)

        assert actor.actor == "edit"
        calling.go_on()
        assert calling.says() == "finished"
        (tmp_path / "root" / "b.py").write_text("y")
        later = seen(tmp_path / "root", "b.py")
        await attributor.catch_up(later.noticed)

        assert attributor.actor_of(change) == actor
        assert attributor.actor_of(later).trace in (None, actor.trace)  # within the kernel's tick


async def test_a_call_that_began_before_a_restart_is_known(
    tmp_path: Path, agent: Callable[[], Agent]
) -> None:
    agent()

    with EventBus(tmp_path / "state", serve="never") as bus:
        assert (await who(bus, seen(tmp_path / "root"))).actor == "edit"


async def test_a_call_ends_with_the_process_that_was_killed(
    tmp_path: Path, agent: Callable[[], Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.producers.attributing.ALIVE_FOR_S", 0.0)
    with EventBus(tmp_path / "state", serve="never") as bus, Attributor(bus) as attributor:
        calling = agent()
        await attributor.catch_up(datetime.now(UTC))
        assert attributor.actor_of(seen(tmp_path / "root")).actor == "edit"
        calling.end(signal.SIGKILL)
        attributor.look()
        assert attributor.phases.open_writers == set()

        ended = datetime.now(UTC) + 2 * attributor.grace
        after = seen(tmp_path / "root", "b.py", changed=ended, noticed=ended)
        assert attributor.actor_of(after) == NOBODY


async def test_a_call_of_a_process_that_was_killed_before_is_over(
    tmp_path: Path, agent: Callable[[], Agent]
) -> None:
    calling = agent()
    journal = tmp_path / "state" / "journal"
    eventually(lambda: starts(ToldByOthers(journal, ("tool:start",))))
    calling.end(signal.SIGKILL)

    with EventBus(tmp_path / "state", serve="never") as bus, Attributor(bus) as attributor:
        attributor.look()

        assert attributor.phases.open_writers == set()
        assert attributor.actor_of(seen(tmp_path / "root")).actor == "edit"


async def test_a_file_that_bears_an_old_time_is_of_when_it_was_put_there(tmp_path: Path) -> None:
    with EventBus(None) as bus, Attributor(bus) as attributor:
        with tool("unpack", bus=bus, cwd=tmp_path) as call:
            (tmp_path / "a.py").write_text("x")
            os.utime(tmp_path / "a.py", (0, 0))
        attributor.look()
        late = seen(tmp_path, noticed=datetime.now(UTC) + 10 * attributor.grace)

        assert attributor.actor_of(late).trace == call.trace


async def test_a_deletion_is_of_when_its_directory_changed(tmp_path: Path) -> None:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "a.py").write_text("x")
    with EventBus(None) as bus, Attributor(bus) as attributor:
        with tool("clean", bus=bus, cwd=tmp_path) as call:
            (tmp_path / "deep" / "down" / "a.py").unlink()
            (tmp_path / "deep" / "down").rmdir()
        attributor.look()
        late = datetime.now(UTC) + 10 * attributor.grace
        gone = seen(tmp_path, "deep/down/a.py", op="delete", noticed=late)

        assert attributor.actor_of(gone).trace == call.trace


async def test_the_process_that_wrote_is_told_where_the_kernel_says_so(tmp_path: Path) -> None:
    writers = listen_for_writers([tmp_path])
    if writers is None:
        pytest.skip("this process may not ask the kernel who writes")
    with EventBus(None) as bus, Attributor(bus, writers=writers) as attributor:
        (tmp_path / "old").write_text("x")
        subprocess.run(["cp", "old", "a.py"], cwd=tmp_path, check=True)
        change = seen(tmp_path)

        assert eventually(lambda: attributor.actor_of(change).pid)
        actor = attributor.actor_of(change)
        assert (actor.trace, actor.pid == os.getpid()) == (None, False)
        assert attributor.actor_of(seen(tmp_path, op="delete")).pid is None
        assert attributor.actor_of(msgspec.structs.replace(change, moved_from="b.py")).pid is None
    writers.close()


async def test_after_closing_nothing_is_listened_to(tmp_path: Path) -> None:
    with EventBus(None) as bus:
        with Attributor(bus) as attributor:
            pass
        with tool("edit", bus=bus):
            attributor.look()

            assert len(attributor.phases) == 0


# --- reading on --------------------------------------------------------------------------


def starts(told: ToldByOthers, **wish: Any) -> list[bytes]:
    return [line for _, line in told.new_lines(**wish)]


def test_only_what_is_new_and_asked_for_is_read(tmp_path: Path) -> None:
    told = ToldByOthers(tmp_path / "journal", ("tool:start",))
    assert starts(told) == []
    with EventBus(tmp_path, serve="never") as bus:
        for number in range(3):
            bus.emit_nowait(LogLine(event_type="a:b", message='{"kind":"tool:start"'))
            bus.emit_nowait(ToolStarted(trace=f"t{number}", name="x"))
            bus.flush_now(until="written")

            assert [b'"trace":"t%d"' % number in line for line in starts(told)] == [True]
        bus.emit_nowait(ToolStarted(trace="own", name="x"))
        bus.flush_now(until="written")
        assert starts(told, except_of=bus.writer_id) == []


def test_a_writer_that_begins_and_one_that_goes_on_elsewhere_are_followed(tmp_path: Path) -> None:
    told = ToldByOthers(tmp_path / "journal", ("tool:start",))
    assert starts(told) == []

    for number in range(5):
        with EventBus(tmp_path, serve="never") as bus:
            bus.emit_nowait(ToolStarted(trace=f"t{number}", name="x"))
            with EventBus(tmp_path, serve="never") as other:
                other.emit_nowait(ToolStarted(trace=f"o{number}", name="x"))
        assert len(starts(told)) == 2


def test_of_much_that_was_written_only_the_latest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_module, "BACK_BYTES", 4_000)
    with EventBus(tmp_path, serve="never") as bus:
        for number in range(100):
            bus.emit_nowait(ToolStarted(trace=f"t{number}", name="x"))
    told = ToldByOthers(tmp_path / "journal", ("tool:start",))

    lines = starts(told)

    assert 5 < len(lines) < 50
    assert b'"trace":"t99"' in lines[-1]


def test_what_nobody_wrote_to_for_a_day_is_left_alone_at_first(tmp_path: Path) -> None:
    with EventBus(tmp_path, serve="never") as bus:
        bus.emit_nowait(ToolStarted(trace="t", name="x"))
    for segment in (tmp_path / "journal").glob("*.jsonl"):
        os.utime(segment, (0, 0))

    assert starts(ToldByOthers(tmp_path / "journal", ("tool:start",))) == []


async def test_with_no_other_writer_alive_nobody_is_waited_for(
    tmp_path: Path, agent: Callable[[], Agent]
) -> None:
    with EventBus(tmp_path / "state", serve="never") as bus:
        patient = Attributor(bus, settle=60)
        with patient, anyio.fail_after(30):
            await patient.catch_up(datetime.now(UTC))
            calling = agent()
            calling.end(signal.SIGKILL)
            await patient.catch_up(datetime.now(UTC))


async def test_a_call_that_names_what_changed_ends_the_waiting(
    tmp_path: Path, agent: Callable[[], Agent]
) -> None:
    with EventBus(tmp_path / "state", serve="never") as bus:
        patient = Attributor(bus, settle=60)
        with patient, anyio.fail_after(30):
            agent()
            change = seen(tmp_path / "root")
            await patient.catch_up(change.noticed, [change])

            assert patient.actor_of(change).actor == "edit"


async def test_a_call_may_come_while_it_is_waited_for(
    tmp_path: Path, agent: Callable[[], Agent]
) -> None:
    with EventBus(tmp_path / "state", serve="never") as bus:
        patient = Attributor(bus, settle=60)
        with patient, anyio.fail_after(30), EventBus(tmp_path / "state", serve="never") as other:
            (tmp_path / "a.py").write_text("x")
            change = seen(tmp_path)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(patient.catch_up, change.noticed, [change])
                await anyio.sleep(0.05)
                start = ToolStarted(trace="t", name="edit", input="a.py", ts=change.noticed)
                other.emit_nowait(start)

            assert patient.actor_of(change).trace == "t"
