"""A bus that keeps nothing on disk: lanes with a capacity, and what happens when it is full."""

import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventbus import Batch, EventBus, NotKept, Sink
from eventbus.event import Event
from eventbus.events.bus import GapLeft
from eventbus.inbox import AWAIT_ROOM, ROOM
from sinks.memory import MemorySink
from tests.letters import PATIENCE, Gate, GatedSink, LetterSent, eventually, letters, numbers


def hold(bus: EventBus, sink: GatedSink, **wishes: Any) -> None:
    """Attach a sink and have it stand before its gate with one event in hand."""
    bus.attach(sink, name="held", **wishes)
    bus.emit_nowait(LetterSent(n=-1))
    assert sink.gate.reached.wait(PATIENCE)


def emit_each(bus: EventBus, events: list[LetterSent]) -> None:
    """Emit them so that each is offered to the lanes on its own."""
    for event in events:
        bus.emit_nowait(event)
        written = bus.statistics().accepted
        assert eventually(lambda written=written: bus.statistics().written >= written)


def test_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = MemorySink()

    with EventBus(None, sinks=[sink]) as bus:
        for event in letters(3_000):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached

    assert numbers(sink) == list(range(3_000))
    assert bus.report is not None
    assert bus.report.is_complete
    assert bus.state is None
    assert bus.writer_id == "memory"
    assert list(tmp_path.iterdir()) == []


def test_events_arrive_as_they_are_without_being_encoded() -> None:
    sink = MemorySink()
    sent = LetterSent(n=1)

    with EventBus(None, sinks=[sink]) as bus:
        bus.emit_nowait(sent)

    assert sink.events[0] is sent


def test_a_sink_that_wants_lines_has_lines() -> None:
    class Lines(Sink):
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        async def write(self, batch: Batch) -> None:
            self.lines += batch.lines

    sink = Lines()
    with EventBus(None, sinks=[sink]) as bus:
        for event in letters(10):
            bus.emit_nowait(event)

    assert len(sink.lines) == 10
    assert all(line.startswith(b'{"kind":"letter:send"') for line in sink.lines)


class LetterOdd(Event, tag="letter:odd", frozen=True):
    """Says it is text and may be anything."""

    text: str = ""


def test_what_will_not_encode_reaches_those_who_want_events_and_those_who_want_lines() -> None:
    class Lines(MemorySink):
        async def write(self, batch: Batch) -> None:
            assert len(batch.lines) == len(batch)
            await super().write(batch)

    class Unencodable:
        def __repr__(self) -> str:
            raise ValueError

    odd = LetterOdd(text=Unencodable())  # type: ignore[arg-type]
    plain, lines = MemorySink(), Lines()
    with EventBus(None, sinks=[plain, lines]) as bus:
        bus.emit_nowait(LetterSent(n=1))
        bus.emit_nowait(odd)
        bus.emit_nowait(LetterSent(n=2))
        flushed = bus.flush_now(timeout=PATIENCE)

    assert flushed.reached
    assert numbers(plain) == numbers(lines) == [1, 2]
    assert len(plain.events) == len(lines.events) == 3


@pytest.mark.parametrize("together", [True, False])
def test_drop_newest_keeps_what_came_first(together: bool) -> None:
    sink = GatedSink()

    with EventBus(None) as bus:
        hold(bus, sink, capacity=5, on_full="drop_newest")
        events = letters(8)
        if together:
            for event in events:
                bus.emit_nowait(event)
            assert eventually(lambda: bus.statistics().written >= 9)
        else:
            emit_each(bus, events)
        sink.gate.open()
        flushed = bus.flush_now(timeout=PATIENCE)
        lane = bus.statistics().lanes["held"]

        assert flushed.reached  # what is dropped is not waited for
        assert numbers(sink) == [-1, 0, 1, 2, 3, 4]
        assert lane.pruned == 3
        assert lane.seen == lane.delivered + lane.filtered + lane.pruned + lane.lag


@pytest.mark.parametrize("together", [True, False])
def test_drop_oldest_keeps_what_came_last(together: bool) -> None:
    sink = GatedSink()

    with EventBus(None) as bus:
        hold(bus, sink, capacity=5, on_full="drop_oldest")
        events = letters(8)
        if together:
            for event in events[:5]:
                bus.emit_nowait(event)
            assert eventually(lambda: bus.statistics().written >= 6)
            for event in events[5:]:
                bus.emit_nowait(event)
            assert eventually(lambda: bus.statistics().written >= 9)
        else:
            emit_each(bus, events)
        sink.gate.open()
        bus.flush_now(timeout=PATIENCE)
        lane = bus.statistics().lanes["held"]

        assert numbers(sink) == [-1, 3, 4, 5, 6, 7]
        assert lane.pruned == 3
        assert lane.seen == lane.delivered + lane.filtered + lane.pruned + lane.lag


@pytest.mark.parametrize("on_full", ["drop_newest", "drop_oldest"])
def test_what_a_lane_missed_is_told_in_the_stream(on_full: Any) -> None:
    sink, gaps = GatedSink(), MemorySink()
    gaps.kinds = "bus:gap"

    with EventBus(None, sinks=[gaps]) as bus:
        hold(bus, sink, capacity=5, on_full=on_full)
        emit_each(bus, letters(8))
        sink.gate.open()

        assert eventually(lambda: gaps.events)
    (gap,) = gaps.events
    assert isinstance(gap, GapLeft)
    assert (gap.lane, gap.reason, gap.count) == ("held", "full", 3)


async def test_wait_loses_nothing_and_holds_the_app_up_instead() -> None:
    sink = GatedSink()

    async with EventBus(None, grace=PATIENCE) as bus:
        bus.attach(sink, capacity=100, on_full="wait")
        threading.Timer(0.2, sink.gate.open).start()
        for event in letters(20_000):
            await bus.emit(event)
        held = not sink.gate.reached.is_set() or len(sink.events)
        await bus.flush(timeout=PATIENCE)

        assert held  # more was emitted than inbox and lane hold, so the gate must have opened
        assert AWAIT_ROOM + 100 < 20_000
        assert numbers(sink) == list(range(20_000))
        assert bus.statistics().dropped == {}


def test_wait_lets_emit_nowait_drop_once_the_inbox_is_full() -> None:
    sink = GatedSink()

    with EventBus(None) as bus:
        hold(bus, sink, capacity=10, on_full="wait")
        for event in letters(140_000):
            bus.emit_nowait(event)
        dropped = bus.statistics().dropped
        sink.gate.open()
        bus.flush_now(timeout=PATIENCE)

        assert dropped["full"] > 0
        assert len(numbers(sink)) == 140_001 - dropped["full"]


def test_a_held_lane_delays_the_end_no_longer_than_the_grace() -> None:
    sink = GatedSink()
    bus = EventBus(None, grace=0.2).open()
    hold(bus, sink, capacity=5, on_full="wait")
    for event in letters(100):
        bus.emit_nowait(event)

    report = bus.close()

    assert not report.is_complete
    assert numbers(sink) == []


def test_one_held_lane_that_drops_does_not_hold_up_another() -> None:
    sink, free = GatedSink(), MemorySink()

    with EventBus(None, sinks=[free]) as bus:
        hold(bus, sink, capacity=5, on_full="drop_oldest")
        emit_each(bus, letters(100))
        assert eventually(lambda: len(free.events) == 101)
        sink.gate.open()


MANY = ROOM + 30_000
"""More than the inbox and a lane have room for."""


@pytest.mark.on_both_backends
async def test_a_handler_that_emits_more_than_there_is_room_for_blocks_nobody() -> None:
    """The writer waits for its lane, so it must not wait for the writer."""
    async with EventBus(None, grace=PATIENCE) as bus:

        @bus.on("letter:send")
        async def answer(letter: LetterSent) -> None:
            if letter.n == -1:
                for event in letters(MANY):
                    await bus.emit(event)

        with anyio.fail_after(PATIENCE):
            await bus.emit(LetterSent(n=-1))
            assert await bus.flush()
            await bus.flush()
        counts = bus.statistics()

    assert counts.accepted >= MANY
    assert counts.dropped["full"] > 0
    assert counts.accepted == counts.written + counts.waiting + sum(counts.dropped.values())


async def test_so_does_a_sink_that_emits() -> None:
    class Echo(MemorySink):
        async def write(self, batch: Batch) -> None:
            if any(getattr(event, "n", 0) == -1 for event in batch.events):
                await bus.emit_many(letters(MANY))

    bus = EventBus(None, sinks=[Echo()])
    async with bus:
        with anyio.fail_after(PATIENCE):
            await bus.emit(LetterSent(n=-1))
            assert await bus.flush()
        assert bus.statistics().dropped["full"] > 0


async def test_a_handler_waits_for_room_in_another_bus() -> None:
    async with EventBus(None) as bus, EventBus(None) as other:

        @bus.on("letter:send")
        async def hand_on(letter: LetterSent) -> None:
            await other.emit_many(letters(MANY))

        await bus.emit(LetterSent(n=0))
        assert await bus.flush(timeout=PATIENCE)
        assert await other.flush(timeout=PATIENCE)

        assert other.statistics().dropped == {}
        assert other.statistics().written == MANY


async def test_nothing_in_memory_is_ever_told_synced() -> None:
    sink = MemorySink()
    async with EventBus(None, sinks=[sink]) as bus:
        with pytest.raises(NotKept, match="keeps nothing on disk"):
            await bus.emit(LetterSent(n=0), until="synced")

        flushed = [await bus.flush(until="synced"), bus.flush_now(until="synced", timeout=PATIENCE)]
        plain = await bus.flush()

    assert [one.reached for one in flushed] == [False, False]
    assert [one.lanes for one in flushed] == [{"memorysink": True}] * 2
    assert plain.reached
    assert numbers(sink.events) == [0]


def test_two_buses_in_memory_know_nothing_of_each_other() -> None:
    one, two = MemorySink(), MemorySink()

    with EventBus(None, sinks=[one]) as first, EventBus(None, sinks=[two]):
        first.emit_nowait(LetterSent(n=1))

    assert (numbers(one), numbers(two)) == ([1], [])


@pytest.mark.parametrize("on_full", ["drop_newest", "drop_oldest", "wait"])
def test_the_sums_hold_whatever_is_dropped(on_full: Any) -> None:
    sink = GatedSink(Gate(is_open=True))

    with EventBus(None, grace=PATIENCE) as bus:
        bus.attach(sink, name="held", capacity=50, on_full=on_full)
        for event in letters(30_000):
            bus.emit_nowait(event)
            if event.n % 1_000 == 0:
                lane = bus.statistics().lanes["held"]
                assert lane.seen == lane.delivered + lane.filtered + lane.pruned + lane.lag
        bus.flush_now(timeout=PATIENCE)
        counts = bus.statistics()
        lane = counts.lanes["held"]

    seen = numbers(sink)
    assert seen == sorted(set(seen))
    assert len(seen) + lane.pruned + counts.dropped.get("full", 0) == 30_000
    assert (lane.pruned == 0) is (on_full == "wait")
