"""The bus's questions and barriers: flush, attach, detach, statistics."""

import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventbus import (
    Batch,
    BusClosed,
    DefinitionError,
    EventBus,
    JournalSettings,
    Sink,
    read_journal,
)
from eventbus.events.bus import GapLeft
from eventbus.sink import NamedSink
from eventbus.testing import FaultyDisk
from sinks.memory import MemorySink
from tests.letters import (
    PATIENCE,
    Gate,
    GatedSink,
    LetterNested,
    LetterSent,
    eventually,
    letters,
    numbers,
    segment_paths,
)

# --- flush ----------------------------------------------------------------------


@pytest.mark.on_both_backends
async def test_a_flush_waits_for_the_journal_and_every_lane(tmp_path: Path) -> None:
    one, two = MemorySink(), MemorySink()

    async with EventBus(tmp_path, sinks=[one, two]) as bus:
        for event in letters(3_000):
            bus.emit_nowait(event)
        flushed = await bus.flush(timeout=PATIENCE)
        in_journal = numbers(list(read_journal(tmp_path)))

        assert flushed.reached
        assert flushed.until == "written"
        assert flushed.lanes == {"memorysink": True, "memorysink-2": True}
        assert in_journal == numbers(one) == numbers(two) == list(range(3_000))


def test_so_does_one_without_a_loop(tmp_path: Path) -> None:
    sink = MemorySink()

    with EventBus(tmp_path, sinks=[sink]) as bus:
        for event in letters(3_000):
            bus.emit_nowait(event)
        flushed = bus.flush_now(timeout=PATIENCE)

        assert flushed.reached
        assert numbers(sink) == list(range(3_000))


def test_a_synced_flush_has_synced_the_journal_and_the_sinks(tmp_path: Path) -> None:
    class Syncs(MemorySink):
        synced = 0

        async def sync(self) -> None:
            self.synced = len(self.events)

    sink, disk = Syncs(), FaultyDisk()
    with EventBus(tmp_path, sinks=[sink], disk=disk) as bus:
        for event in letters(10):
            bus.emit_nowait(event)
        before = disk.calls.count("sync")
        flushed = bus.flush_now(until="synced", timeout=PATIENCE)

        assert flushed.reached
        assert sink.synced == 10
        assert disk.calls.count("sync") > before
        assert bus.statistics().unsynced_bytes == 0


@pytest.mark.on_both_backends
async def test_a_flush_whose_time_is_over_says_what_is_so(tmp_path: Path) -> None:
    gate, quick = Gate(), MemorySink()

    async with EventBus(tmp_path, sinks=[quick]) as bus:
        bus.attach(GatedSink(gate), name="slow")
        await bus.emit(LetterSent(n=1))
        flushed = await bus.flush(timeout=0.2)
        also = bus.flush_now(timeout=0.1)
        gate.open()

        assert not flushed.reached
        assert not also.reached
        assert flushed.lanes == also.lanes == {"memorysink": True, "slow": False}
        assert (await bus.flush(timeout=PATIENCE)).reached


@pytest.mark.on_both_backends
async def test_a_flush_does_not_wait_for_a_lane_that_is_closed_meanwhile(tmp_path: Path) -> None:
    flushes = []

    async def flush() -> None:
        flushes.append(await bus.flush())

    gate = Gate()
    bus = EventBus(tmp_path, sinks=[GatedSink(gate)]).open()
    async with anyio.create_task_group() as tasks:
        await bus.emit(LetterSent(n=1))
        tasks.start_soon(flush)
        await anyio.to_thread.run_sync(gate.reached.wait, PATIENCE)
        await bus.aclose(grace=0.1)

    assert [flushed.reached for flushed in flushes] == [False]


def test_a_flush_before_the_bus_is_open_reaches_nothing(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)
    bus.emit_nowait(LetterSent(n=1))

    assert not bus.flush_now(timeout=1).reached


async def test_a_flush_of_an_unknown_level_is_refused(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        with pytest.raises(ValueError, match="allowed: buffered, written, synced"):
            await bus.flush(until="sealed")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="allowed: buffered, written, synced"):
            bus.flush_now(until="sealed")  # type: ignore[arg-type]


def test_a_flush_by_the_thread_of_a_sink_does_not_hang(tmp_path: Path) -> None:
    """It waits for a lane that waits for it: only its timeout ends that."""
    done = threading.Event()

    class Flushes(Sink):
        async def write(self, batch: Batch) -> None:
            bus.flush_now(timeout=0.1)
            done.set()

    with EventBus(tmp_path, sinks=[Flushes()]) as bus:
        bus.emit_nowait(LetterSent(n=1))
        assert done.wait(PATIENCE)


# --- attach and detach -------------------------------------------------------------


def test_a_sink_gets_what_is_emitted_from_its_attach_on(tmp_path: Path) -> None:
    sink = MemorySink()

    with EventBus(tmp_path) as bus:
        for event in letters(2_000):
            bus.emit_nowait(event)
        bus.attach(sink, name="late")
        for event in letters(2_000, start=2_000):
            bus.emit_nowait(event)
        bus.flush_now(timeout=PATIENCE)

        assert numbers(sink) == list(range(2_000, 4_000))
        assert bus.statistics().lanes["late"].delivered == 2_000


@pytest.mark.parametrize("state", ["disk", None])
def test_so_it_does_when_it_is_slow_from_the_first(tmp_path: Path, state: str | None) -> None:
    gate = Gate()
    sink = GatedSink(gate)

    with EventBus(tmp_path / state if state else None) as bus:
        for event in letters(3_000):
            bus.emit_nowait(event)
        bus.attach(sink, name="late", capacity=60_000)
        for event in letters(20_000, start=3_000):
            bus.emit_nowait(LetterSent(n=event.n, text="x" * 400))  # more than a lane is fed ahead
            if event.n % 4_000 == 0:
                gate.reached.wait(PATIENCE)
                bus.flush_now(timeout=0.05)
        gate.open()
        bus.flush_now(timeout=PATIENCE)

        assert numbers(sink) == list(range(3_000, 23_000))
        lane = bus.statistics().lanes["late"]
        assert (lane.delivered, lane.lag) == (20_000, 0)
        assert lane.seen == lane.delivered + lane.filtered


def test_a_detached_sink_gets_what_was_emitted_and_nothing_after(tmp_path: Path) -> None:
    for turn in range(20):
        sink = MemorySink()
        with EventBus(tmp_path / str(turn)) as bus:
            bus.attach(sink, name="short")
            for event in letters(500):
                bus.emit_nowait(event)
            assert bus.detach("short")
            for event in letters(500, start=500):
                bus.emit_nowait(event)
            bus.flush_now(timeout=PATIENCE)

        assert numbers(sink) == list(range(500))


def test_a_detached_sink_is_closed_and_told_no_more(tmp_path: Path) -> None:
    closed = threading.Event()

    class Closes(MemorySink):
        async def close(self) -> None:
            closed.set()

    with EventBus(tmp_path) as bus:
        name = bus.attach(Closes())
        bus.detach(name)

        assert closed.wait(PATIENCE)
        assert name not in bus.statistics().lanes


def test_a_name_is_free_again_once_its_lane_is_detached(tmp_path: Path) -> None:
    gate = Gate()
    first, second = GatedSink(gate), MemorySink()

    with EventBus(tmp_path) as bus:
        bus.attach(first, name="same")
        bus.emit_nowait(LetterSent(n=1))
        assert gate.reached.wait(PATIENCE)
        bus.detach("same")
        bus.attach(second, name="same")
        bus.emit_nowait(LetterSent(n=2))
        assert bus.flush_now(timeout=PATIENCE).lanes == {"same": True}
        gate.open()

    assert (numbers(first), numbers(second)) == ([1], [2])
    assert bus.report is not None
    assert bus.report.lanes["same"].delivered == 1


def test_many_may_attach_and_detach_while_events_flow(tmp_path: Path) -> None:
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            bus.emit_nowait(LetterSent(n=number))
            number += 1
            if number % 500 == 0:
                bus.flush_now(timeout=PATIENCE)

    holes = []
    with EventBus(tmp_path) as bus:
        sending = threading.Thread(target=send)
        sending.start()
        for _ in range(60):
            sink = MemorySink()
            name = bus.attach(sink)
            assert eventually(lambda sink=sink: len(sink.events) > 20)
            bus.detach(name)
            seen = numbers(sink)
            holes += [] if seen == list(range(seen[0], seen[0] + len(seen))) else [seen]
        stop.set()
        sending.join()

    assert holes == []


def test_an_unknown_name_cannot_be_detached(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        assert not bus.detach("nobody")
        name = bus.attach(MemorySink())
        assert bus.detach(name)
        assert not bus.detach(name)

    assert not EventBus(tmp_path).detach("nobody")


def test_names_are_made_from_the_class_and_kept_apart(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        names = [bus.attach(MemorySink()) for _ in range(3)]

    assert names == ["memorysink", "memorysink-2", "memorysink-3"]


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.attach(MemorySink(), name="mine")
        with pytest.raises(ValueError, match="'mine' is there already"):
            bus.attach(MemorySink(), name="mine")


@pytest.mark.parametrize("name", ["", "..", "a/b", "../../etc/x", ".hidden", "a\nb", "a\0b"])
def test_a_name_that_could_not_be_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with EventBus(tmp_path / "state") as bus:
        with pytest.raises(ValueError, match="cannot name a lane"):
            bus.attach(MemorySink(), name=name)
        with pytest.raises(ValueError, match="cannot name a lane"):
            bus.attach(NamedSink(use="null", name=name or "/"))

        assert bus.statistics().lanes == {}


def test_the_same_sink_serves_one_lane(tmp_path: Path) -> None:
    """It is promised that its methods never overlap."""
    sink = MemorySink()

    with EventBus(tmp_path, sinks=["null", sink]) as bus:
        with pytest.raises(ValueError, match="attached already"):
            bus.attach(sink, name="again")
        with pytest.raises(ValueError, match="'null' is there already"):
            bus.attach("null")


@pytest.mark.parametrize("thing", [42, None, MemorySink, print])
def test_what_is_no_sink_is_refused(tmp_path: Path, thing: Any) -> None:
    with EventBus(tmp_path) as bus, pytest.raises(TypeError, match="give a sink"):
        bus.attach(thing)


def test_a_private_class_has_a_lane_too(tmp_path: Path) -> None:
    class _Ünruly(MemorySink):
        pass

    with EventBus(tmp_path) as bus:
        assert bus.attach(_Ünruly()) == "nruly"


@pytest.mark.parametrize("kinds", ["letter", ("*", "a:b*")])
def test_a_wrong_pattern_is_refused_at_attach(tmp_path: Path, kinds: Any) -> None:
    class Wants(MemorySink):
        pass

    Wants.kinds = kinds
    wish = NamedSink(use="null", kinds=(kinds,) if isinstance(kinds, str) else kinds)

    with EventBus(tmp_path) as bus:
        for sink, wanted in ((MemorySink(), kinds), (Wants(), None), (wish, None)):
            with pytest.raises(DefinitionError):
                bus.attach(sink, kinds=wanted, name="mine")
        with pytest.raises(DefinitionError):
            bus.subscribe(kinds)
        with pytest.raises(DefinitionError):
            bus.on(kinds)

        assert bus.attach(MemorySink(), name="mine") == "mine"


def test_no_lane_can_be_attached_before_the_bus_is_open(tmp_path: Path) -> None:
    with pytest.raises(BusClosed, match="not open"):
        EventBus(tmp_path).attach(MemorySink())


def test_a_lane_gets_the_kinds_it_was_attached_for(tmp_path: Path) -> None:
    own, given, both = MemorySink(), MemorySink(), MemorySink()
    own.kinds = both.kinds = "letter:send"

    with EventBus(tmp_path) as bus:
        bus.attach(own, name="own")
        bus.attach(given, name="given", kinds=(LetterNested, "*:bundle"))
        bus.attach(both, name="both", kinds="*:nest")
        bus.emit_nowait(LetterSent(n=1))
        bus.emit_nowait(LetterNested())
        bus.flush_now(timeout=PATIENCE)

        assert [event.kind for event in own.events] == ["letter:send"]
        assert [event.kind for event in given.events] == ["letter:nest"]
        assert [event.kind for event in both.events] == ["letter:nest"]
        lanes = bus.statistics().lanes
        assert (lanes["own"].delivered, lanes["own"].filtered, lanes["own"].seen) == (1, 1, 2)


# --- statistics ------------------------------------------------------------------------


def test_the_counts_of_a_quiet_bus_are_exact(tmp_path: Path) -> None:
    with EventBus(tmp_path, sinks=[MemorySink()]) as bus:
        for event in letters(10):
            bus.emit_nowait(event)
        bus.flush_now(until="synced", timeout=PATIENCE)
        counts = bus.statistics()

    assert (counts.accepted, counts.written, counts.waiting, counts.poison) == (10, 10, 0, 0)
    assert (counts.synced, counts.unsynced_bytes, counts.dropped) == (10, 0, {})
    assert counts.trouble is None
    lane = counts.lanes["memorysink"]
    assert (lane.seen, lane.delivered, lane.lag, lane.retries) == (10, 10, 0, 0)


def test_what_waits_for_a_lane_is_its_lag(tmp_path: Path) -> None:
    gate = Gate()

    with EventBus(tmp_path, sinks=[GatedSink(gate)]) as bus:
        for event in letters(10):
            bus.emit_nowait(event)
        bus.flush_now(timeout=0.1)
        before = bus.statistics().lanes["gatedsink"]
        gate.open()
        bus.flush_now(timeout=PATIENCE)
        after = bus.statistics().lanes["gatedsink"]

    assert (before.seen, before.delivered, before.lag) == (10, 0, 10)
    assert (after.seen, after.delivered, after.lag) == (10, 10, 0)


def test_a_lanes_sums_hold_across_many_segments(tmp_path: Path) -> None:
    settings = JournalSettings(segment_bytes=20_000, sync_every=0.01)
    sink = MemorySink()

    with EventBus(tmp_path, journal=settings, sinks=[sink]) as bus:
        for start in range(0, 3_000, 100):
            for event in letters(100, start=start):
                bus.emit_nowait(event)
            bus.flush_now(until="synced", timeout=PATIENCE)
        lane = bus.statistics().lanes["memorysink"]

    assert len(segment_paths(tmp_path)) > 10
    assert numbers(sink) == list(range(3_000))
    assert lane.delivered == 3_000
    assert lane.lag == 0
    assert lane.seen == lane.delivered + lane.filtered


def test_a_disk_that_refuses_is_told_while_it_does(tmp_path: Path) -> None:
    disk = FaultyDisk()

    with EventBus(tmp_path, disk=disk) as bus:
        disk.fail("writev", for_good=True)
        bus.emit_nowait(LetterSent(n=1))
        assert eventually(lambda: bus.statistics().trouble)
        refused = bus.statistics()
        disk.heal()
        flushed = bus.flush_now(timeout=PATIENCE)
        healed = bus.statistics()

    assert (refused.waiting, refused.written) == (1, 0)
    assert "Input/output error" in (refused.trouble or "")
    assert flushed.reached
    assert (healed.waiting, healed.written, healed.trouble) == (0, 1, None)
    assert numbers(list(read_journal(tmp_path))) == [1]


def test_the_journals_settings_can_change_while_it_runs(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.use_journal_settings(JournalSettings(segment_bytes=1_000))
        for event in letters(50):
            bus.emit_nowait(event)
        bus.flush_now(until="synced", timeout=PATIENCE)
        bus.emit_nowait(LetterSent(n=50))
        bus.flush_now(until="synced", timeout=PATIENCE)

    assert len(segment_paths(tmp_path)) > 1
    assert numbers(list(read_journal(tmp_path))) == list(range(51))


def test_what_only_the_bus_may_say_goes_in_by_its_own_door(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_own(GapLeft(reason="told", count=3))

    (gap,) = read_journal(tmp_path, kinds=GapLeft)
    assert isinstance(gap, GapLeft)
    assert gap.count == 3


def test_a_bus_says_what_it_is(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)

    assert repr(bus) == f"EventBus({str(tmp_path)!r}, not open)"
    with bus:
        assert repr(bus) == f"EventBus({str(tmp_path)!r}, open)"
    assert repr(EventBus(None)) == "EventBus('memory', not open)"
