"""How a bus begins and ends, however it is left."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventbus import (
    Batch,
    BusClosed,
    EventBus,
    NotKept,
    Sink,
    SinkNotFound,
    StateUnusable,
    read_journal,
)
from eventbus.bus import open_buses
from eventbus.events.bus import BusEnded, BusOpened
from sinks.memory import MemorySink
from tests.letters import PATIENCE, LetterSent, eventually, letters, numbers

ROOT = Path(__file__).parents[1]


def kept(state: Path) -> list[int]:
    return numbers(list(read_journal(state)))


def run(program: str, *args: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program, *args],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


# --- the block ----------------------------------------------------------------


def test_leaving_the_block_writes_what_waits_and_says_so(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        for event in letters(1_000):
            bus.emit_nowait(event)

    assert bus.report is not None
    assert bus.report.is_complete
    assert bus.report.written == 1_000
    assert bus.report.dropped == {}
    assert kept(tmp_path) == list(range(1_000))


@pytest.mark.on_both_backends
async def test_leaving_an_async_block_does_the_same(tmp_path: Path) -> None:
    sink = MemorySink()

    async with EventBus(tmp_path, sinks=[sink]) as bus:
        await bus.emit_many(letters(1_000))

    assert bus.report is not None
    assert bus.report.is_complete
    assert bus.report.lanes["memorysink"].delivered == 1_000
    assert numbers(sink) == kept(tmp_path) == list(range(1_000))


@pytest.mark.on_both_backends
async def test_the_bodys_own_exception_leaves_unwrapped(tmp_path: Path) -> None:
    mistake = KeyError("mine")

    async def leave() -> None:
        async with EventBus(tmp_path) as bus:
            await bus.emit(LetterSent(n=1))
            raise mistake

    with pytest.raises(KeyError) as raised:
        await leave()

    assert raised.value is mistake
    assert kept(tmp_path) == [1]


def test_so_it_does_where_there_is_no_loop(tmp_path: Path) -> None:
    mistake = KeyboardInterrupt()

    def leave() -> None:
        with EventBus(tmp_path) as bus:
            bus.emit_nowait(LetterSent(n=1))
            raise mistake

    with pytest.raises(KeyboardInterrupt) as raised:
        leave()

    assert raised.value is mistake
    assert kept(tmp_path) == [1]


def test_a_journal_says_when_its_writer_began_and_ended(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(LetterSent(n=1))

    opened, *_, ended = read_journal(tmp_path, kinds=("bus:*", "*"))
    assert isinstance(opened, BusOpened)
    assert (opened.writer, opened.pid) == (bus.writer_id, os.getpid())
    assert isinstance(ended, BusEnded)
    assert (ended.writer, ended.clean, ended.dropped) == (bus.writer_id, True, {})


def test_a_bus_opened_twice_is_opened_once(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)

    with bus.open() as same:
        assert same is bus
        assert bus.open() is bus
        assert open_buses().count(bus) == 1


def test_an_open_bus_is_found_and_a_closed_one_is_not(tmp_path: Path) -> None:
    with EventBus(tmp_path / "a") as one, EventBus(tmp_path / "b") as two:
        found = [bus for bus in open_buses() if bus in (one, two)]
        assert found == [one, two]

    assert one not in open_buses()
    assert not one.is_open


# --- closing --------------------------------------------------------------------


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    bus = EventBus(tmp_path).open()
    bus.emit_nowait(LetterSent(n=1))

    first = bus.close()

    assert bus.close() is first
    assert kept(tmp_path) == [1]


@pytest.mark.on_both_backends
async def test_so_it_is_in_a_loop_and_at_the_same_time(tmp_path: Path) -> None:
    bus = EventBus(tmp_path).open()
    reports: list[Any] = []

    async def close() -> None:
        reports.append(await bus.aclose())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        tasks.start_soon(close)
    reports.append(await bus.aclose())

    assert reports == [bus.report] * 3


def test_a_bus_never_opened_can_be_closed(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)
    bus.emit_nowait(LetterSent(n=1))

    report = bus.close()

    assert not report.is_complete
    assert report.dropped == {"unwritten at the end": 1}


def test_what_is_emitted_after_close_is_counted(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(LetterSent(n=1))

    for event in letters(5):
        bus.emit_nowait(event)
    counts = bus.statistics()

    assert counts.dropped == {"closed": 5}
    assert (counts.written, counts.waiting, counts.accepted) == (1, 0, 6)


async def test_awaiting_an_emit_after_close_does_not_hang(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        await bus.emit(LetterSent(n=1))

    await bus.emit(LetterSent(n=2))
    await bus.emit_many(letters(2))
    with pytest.raises(NotKept, match="closed"):
        await bus.emit(LetterSent(n=3), until="written")

    assert bus.statistics().dropped == {"closed": 4}


def test_a_bus_that_has_ended_says_so_when_asked_for_lanes(tmp_path: Path) -> None:
    with EventBus(tmp_path, sinks=[MemorySink()]) as bus:
        pass

    with pytest.raises(BusClosed):
        bus.attach(MemorySink(), name="late")
    with pytest.raises(BusClosed):
        bus.subscribe()
    with pytest.raises(BusClosed):
        bus.open()


def test_a_flush_after_close_says_that_nothing_was_reached(tmp_path: Path) -> None:
    with EventBus(tmp_path, sinks=[MemorySink()]) as bus:
        pass

    assert not bus.flush_now(timeout=1).reached


async def test_a_cancelled_close_still_drains_first(tmp_path: Path) -> None:
    """Whoever leaves the block can rely on it: the app's own files may be next to go."""
    bus = EventBus(tmp_path, sinks=[MemorySink()]).open()
    for event in letters(5_000):
        bus.emit_nowait(event)

    closing = asyncio.ensure_future(bus.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    assert bus.report is not None
    assert kept(tmp_path) == list(range(5_000))


@pytest.mark.on_both_backends
async def test_a_block_left_by_cancellation_still_drains(tmp_path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with EventBus(tmp_path) as bus:
            for event in letters(5_000):
                bus.emit_nowait(event)
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert bus.report is not None
    assert kept(tmp_path) == list(range(5_000))


def test_close_may_be_called_by_the_thread_of_a_handler(tmp_path: Path) -> None:
    bus = EventBus(tmp_path, grace=0.3).open()
    closed = threading.Event()

    @bus.on("letter:*")
    def end(event: LetterSent) -> None:
        bus.close()
        closed.set()

    bus.emit_nowait(LetterSent(n=1))

    assert closed.wait(PATIENCE)
    assert kept(tmp_path) == [1]


# --- the deadline ---------------------------------------------------------------


class Blocks(Sink):
    """Holds up the loop it is written on."""

    def __init__(self) -> None:
        self.goes = threading.Event()

    async def write(self, batch: Batch) -> None:
        self.goes.wait(PATIENCE)


class NeverComesBack(Sink):
    """Awaits what never comes, and ignores being cancelled."""

    async def write(self, batch: Batch) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue


class HangsAtClose(MemorySink):
    async def close(self) -> None:
        await asyncio.sleep(3600)


@pytest.mark.parametrize("hung", [Blocks(), NeverComesBack(), HangsAtClose()])
def test_a_hung_sink_holds_the_end_up_no_longer_than_the_grace(tmp_path: Path, hung: Sink) -> None:
    well = MemorySink()
    bus = EventBus(tmp_path, sinks=[hung, well], grace=0.3)

    with bus:
        bus.emit_nowait(LetterSent(n=1))
        began = time.monotonic()
    took = time.monotonic() - began

    assert took <= 1.3
    assert kept(tmp_path) == [1]
    if isinstance(hung, Blocks):
        hung.goes.set()


def test_the_report_says_which_lane_did_not_make_it(tmp_path: Path) -> None:
    well = MemorySink()
    with EventBus(tmp_path, sinks=[well], grace=0.3) as bus:
        bus.attach(NeverComesBack(), name="stuck")
        for event in letters(3):
            bus.emit_nowait(event)

    assert bus.report is not None
    assert not bus.report.is_complete
    assert bus.report.written == 3
    assert (bus.report.lanes["memorysink"].delivered, bus.report.lanes["memorysink"].lag) == (3, 0)
    assert (bus.report.lanes["stuck"].delivered, bus.report.lanes["stuck"].lag) == (0, 3)


def test_a_sink_that_never_opened_makes_the_report_incomplete(tmp_path: Path) -> None:
    class NeverOpens(MemorySink):
        async def open(self, home: Any) -> None:
            raise ConnectionError("nobody there")

    with EventBus(tmp_path, sinks=[NeverOpens()], grace=0.2) as bus:
        bus.emit_nowait(LetterSent(n=1))

    assert bus.report is not None
    assert not bus.report.is_complete
    assert "nobody there" in (bus.report.lanes["neveropens"].last_error or "")


def test_close_may_be_given_less_time_than_the_bus(tmp_path: Path) -> None:
    bus = EventBus(tmp_path, sinks=[NeverComesBack()], grace=30).open()
    bus.emit_nowait(LetterSent(n=1))
    began = time.monotonic()

    bus.close(grace=0)

    assert time.monotonic() - began < 1.3
    assert kept(tmp_path) == [1]


HUNG = """
import asyncio, sys
from eventbus import EventBus, Sink
from tests.letters import LetterSent
class Hung(Sink):
    async def write(self, batch):
        await asyncio.sleep(3600)
with EventBus(sys.argv[1], sinks=[Hung()], grace=0.1) as bus:
    bus.emit_nowait(LetterSent(n=1))
"""


def test_a_hung_sink_leaves_no_noise_behind(tmp_path: Path) -> None:
    ended = run(HUNG, str(tmp_path))

    assert (ended.returncode, ended.stderr) == (0, "")


# --- a close that was forgotten -----------------------------------------------------

FORGETS = """
import sys
from eventbus import EventBus
from sinks.memory import MemorySink
from tests.letters import letters
for name in sys.argv[2:]:
    EventBus(f"{sys.argv[1]}/{name}", sinks=["jsonl"]).open()
from eventbus.bus import open_buses
for bus in open_buses():
    for event in letters(2_000):
        bus.emit_nowait(event)
    del bus
import gc; gc.collect()
"""


def test_a_forgotten_close_drains_at_exit(tmp_path: Path) -> None:
    ended = run(FORGETS, str(tmp_path), "one", "two", "three")

    assert (ended.returncode, ended.stderr) == (0, "")
    for name in ("one", "two", "three"):
        assert kept(tmp_path / name) == list(range(2_000))
        lines = (tmp_path / name / "logs" / "events.jsonl").read_bytes().splitlines()
        assert len([line for line in lines if b"letter:send" in line]) == 2_000
        assert [e.clean for e in read_journal(tmp_path / name, kinds=BusEnded)] == [True]  # type: ignore[attr-defined]


EMITS_AT_EXIT = """
import atexit, sys
from tests.letters import LetterSent
atexit.register(lambda: bus.emit_nowait(LetterSent(n=1)))  # runs after the bus's own exit
from eventbus import EventBus
bus = EventBus(sys.argv[1]).open()
class Ends:
    def __del__(self):
        bus.emit_nowait(LetterSent(n=2))
bus.end = Ends()
"""


def test_an_emit_at_the_very_end_does_no_harm(tmp_path: Path) -> None:
    ended = run(EMITS_AT_EXIT, str(tmp_path))

    assert (ended.returncode, ended.stderr) == (0, "")


RAISES = """
import sys
from eventbus import EventBus
from tests.letters import LetterSent
bus = EventBus(sys.argv[1]).open()
bus.emit_nowait(LetterSent(n=1))
raise SystemExit(3)
"""


def test_so_it_does_when_the_program_ends_by_an_exception(tmp_path: Path) -> None:
    ended = run(RAISES, str(tmp_path))

    assert ended.returncode == 3
    assert kept(tmp_path) == [1]


LEAVES_A_LOOP = """
import asyncio, sys
from eventbus import EventBus
from tests.letters import LetterSent
async def main():
    bus = EventBus(sys.argv[1]).open()
    @bus.on("letter:*")
    async def handle(event): pass
    await bus.emit(LetterSent(n=1))
asyncio.run(main())
"""


def test_so_it_does_when_the_loop_it_was_opened_in_has_ended(tmp_path: Path) -> None:
    ended = run(LEAVES_A_LOOP, str(tmp_path))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert kept(tmp_path) == [1]


def test_a_bus_that_is_closed_can_be_collected(tmp_path: Path) -> None:
    import weakref

    with EventBus(tmp_path, sinks=[MemorySink()]) as bus:
        bus.emit_nowait(LetterSent(n=1))
    gone = weakref.ref(bus)
    del bus

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    assert eventually(is_gone)


# --- a bus that cannot begin -----------------------------------------------------------


def test_a_state_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("in the way")

    with pytest.raises(StateUnusable, match="give a directory that can be written"):
        EventBus(path).open()


def test_a_sink_nobody_installed_is_refused_and_nothing_is_left_running(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    with pytest.raises(SinkNotFound, match=r"no sink named 'jsnl'; installed: .*jsonl"):
        EventBus(tmp_path, sinks=[MemorySink(), "jsnl"]).open()

    assert not [bus for bus in open_buses() if bus.state == tmp_path]
    assert eventually(lambda: set(threading.enumerate()) <= before)


def test_a_bus_in_memory_takes_no_sink_by_name() -> None:
    with pytest.raises(BusClosed, match="shares no lanes; give the sink itself"):
        EventBus(None, sinks=["jsonl"]).open()


# --- EVENTBUS_DISABLED ------------------------------------------------------------------


@pytest.fixture
def disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBUS_DISABLED", "1")


@pytest.mark.usefixtures("disabled")
@pytest.mark.on_both_backends
async def test_disabled_every_call_works_and_nothing_is_made(tmp_path: Path) -> None:
    state, sink = tmp_path / "state", MemorySink()
    threads = threading.active_count()

    async with EventBus(state, sinks=[sink, "jsonl"]) as bus:
        bus.on("*")(print)
        bus.attach(MemorySink(), name="more")
        bus.emit_nowait(LetterSent(n=1))
        await bus.emit(LetterSent(n=2), until="synced")
        await bus.emit_many(letters(2), until="written")
        flushed = await bus.flush(until="synced", timeout=PATIENCE)
        bus.flush_now()
        bus.detach("more")
        counts = bus.statistics()
        assert threading.active_count() == threads

    assert flushed.reached
    assert (counts.accepted, counts.dropped) == (0, {})
    assert not state.exists()
    assert sink.events == []
    assert bus.report is not None
    assert bus.report.is_complete


@pytest.mark.usefixtures("disabled")
@pytest.mark.on_both_backends
async def test_disabled_a_subscription_ends_with_the_bus(tmp_path: Path) -> None:
    seen = []

    async def read() -> None:
        seen.extend([event async for event in subscription])

    async with anyio.create_task_group() as tasks, EventBus(tmp_path / "state") as bus:
        subscription = bus.subscribe()
        tasks.start_soon(read)
        await bus.emit(LetterSent(n=1))

    assert seen == []


@pytest.mark.parametrize("value", ["", "0", "false", "no"])
def test_other_values_do_not_disable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("EVENTBUS_DISABLED", value)

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(LetterSent(n=1))

    assert kept(tmp_path) == [1]
