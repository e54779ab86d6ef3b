"""One sink's lane: batches, tries again, dead letters, ticks, and what it reads back."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import (
    Batch,
    Event,
    EventBus,
    JournalSettings,
    Lost,
    Place,
    Refused,
    Sink,
    read_journal,
)
from eventbus.delivery import Delivery, Poisoned
from eventbus.disk import Disk
from eventbus.event import decode
from eventbus.events.bus import GapLeft
from eventbus.kinds import KindFilter
from eventbus.lane import Lane
from eventbus.segment import Move
from eventbus.sink import Home
from eventbus.testing import FaultyDisk
from sinks.memory import MemorySink
from tests.letters import (
    PATIENCE,
    Gate,
    GatedSink,
    LetterSent,
    PickySink,
    eventually,
    letters,
    numbers,
    segment_paths,
)

# --- batches ----------------------------------------------------------------------


def test_batches_are_as_large_as_the_sink_takes_them(tmp_path: Path) -> None:
    sink = GatedSink()
    sink.batch_most = 10

    with EventBus(tmp_path, sinks=[sink]) as bus:
        for event in letters(105):
            bus.emit_nowait(event)
        bus.flush_now(timeout=0.05)
        sink.gate.open()
        bus.flush_now(timeout=PATIENCE)

    assert max(sink.batches) == 10
    assert sum(sink.batches) == 105
    assert numbers(sink) == list(range(105))


def test_large_events_make_smaller_batches(tmp_path: Path) -> None:
    sink = GatedSink()

    with EventBus(tmp_path, sinks=[sink]) as bus:
        for number in range(40):
            bus.emit_nowait(LetterSent(n=number, text="x" * 900_000))
        bus.flush_now(timeout=0.2)
        sink.gate.open()
        bus.flush_now(timeout=PATIENCE)

    assert max(sink.batches) <= 9
    assert numbers(sink) == list(range(40))


def test_lines_and_events_of_a_batch_say_the_same(tmp_path: Path) -> None:
    wrong: list[Batch] = []

    class Compares(Sink):
        async def write(self, batch: Batch) -> None:
            lines = [decode(line) for line in batch.lines]
            if len(batch) != len(lines) or lines != batch.events:
                wrong.append(batch)

    with EventBus(tmp_path, sinks=[Compares()]) as bus:
        bus.attach(Compares(), name="some", kinds="letter:*")
        for event in letters(3_000):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached

    assert wrong == []


def test_a_batch_says_where_the_lane_then_stands(tmp_path: Path) -> None:
    cursors: list[dict[str, Place]] = []

    class Notes(MemorySink):
        async def write(self, batch: Batch) -> None:
            cursors.append(batch.cursor)

    with EventBus(tmp_path, sinks=[Notes()]) as bus:
        for event in letters(3):
            bus.emit_nowait(event)
            bus.flush_now(timeout=PATIENCE)
        (segment,) = (tmp_path / "journal").glob("*.jsonl")
        size = segment.stat().st_size

    places = [cursor[bus.writer_id] for cursor in cursors]
    assert [place.segment for place in places] == [segment.name] * 3
    assert places == sorted(places)
    assert places[-1].offset == size


class Overlaps(Sink):
    """Counts calls that begin before another has ended."""

    def __init__(self) -> None:
        self.inside = 0
        self.overlaps = 0
        self.calls = 0

    async def _call(self) -> None:
        self.calls += 1
        self.inside += 1
        self.overlaps += self.inside > 1
        await asyncio.sleep(0.002)
        self.inside -= 1

    async def write(self, batch: Batch) -> None:
        await self._call()

    async def tick(self, now: datetime) -> None:
        await self._call()

    async def sync(self) -> None:
        await self._call()

    async def close(self) -> None:
        await self._call()


def test_a_sinks_methods_never_overlap(tmp_path: Path) -> None:
    sink = Overlaps()

    with EventBus(tmp_path, sinks=[sink]) as bus:
        flushing = [
            threading.Thread(target=lambda: bus.flush_now(until="synced", timeout=PATIENCE))
            for _ in range(5)
        ]
        for event in letters(200):
            bus.emit_nowait(event)
        for thread in flushing:
            thread.start()
        for event in letters(200):
            bus.emit_nowait(event)
        for thread in flushing:
            thread.join()

    assert sink.calls > 5
    assert sink.overlaps == 0


def test_nor_do_they_when_a_write_never_comes_back(tmp_path: Path) -> None:
    calls: list[str] = []

    class Stuck(Sink):
        async def write(self, batch: Batch) -> None:
            calls.append("write")
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue

        async def sync(self) -> None:
            calls.append("sync")

        async def close(self) -> None:
            calls.append("close")

    with EventBus(tmp_path, sinks=[Stuck()], grace=0.1) as bus:
        bus.emit_nowait(LetterSent(n=1))

    assert calls == ["write"]


# --- a sink that opens late ----------------------------------------------------------


def test_a_sink_that_cannot_open_is_opened_later_and_loses_nothing(tmp_path: Path) -> None:
    class OpensLate(MemorySink):
        tries = 0

        async def open(self, home: Any) -> None:
            self.tries += 1
            if self.tries == 1:
                raise ConnectionError("not yet")

    sink = OpensLate()
    with EventBus(tmp_path, sinks=[sink]) as bus:
        for event in letters(100):
            bus.emit_nowait(event)
        assert eventually(lambda: bus.statistics().lanes["openslate"].last_error)
        error = bus.statistics().lanes["openslate"].last_error
        assert bus.flush_now(timeout=PATIENCE).reached

    assert error == "open: ConnectionError: not yet"
    assert numbers(sink) == list(range(100))


def test_a_sink_knows_its_home(tmp_path: Path) -> None:
    homes = []

    class Looks(MemorySink):
        async def open(self, home: Any) -> None:
            homes.append(home)
            home.emit(LetterSent(n=7))

    seen = MemorySink()
    with EventBus(tmp_path, sinks=[seen, Looks()]) as bus:
        assert eventually(lambda: homes)
        bus.flush_now(timeout=PATIENCE)

    (home,) = homes
    assert (home.state, home.logs, home.lane) == (tmp_path, tmp_path / "logs", "looks")
    assert numbers(seen) == [7]


# --- letting events gather ------------------------------------------------------------


class PatientSink(MemorySink):
    """Would let events gather for longer than any test takes."""

    linger = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    async def write(self, batch: Batch) -> None:
        self.batches.append(len(batch))
        await super().write(batch)


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tick comes in between."""
    monkeypatch.setattr("eventbus.lane.TICK_EVERY", (60.0, 60.0))


def test_events_gather_for_a_sink_that_lingers(tmp_path: Path, untimed: None) -> None:
    sink = PatientSink()
    sink.linger = 0.2

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="patient")
        for event in letters(20):
            bus.emit_nowait(event)
            time.sleep(0.01)
        assert eventually(lambda: len(sink.events) == 20)
        assert bus.statistics().lanes["patient"].last_error is None

    assert sink.batches[0] < 5, "the first comes at once"
    assert len(sink.batches) < 6


def test_nobody_who_waits_waits_for_others_to_gather(tmp_path: Path, untimed: None) -> None:
    sink = PatientSink()

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="patient")
        for event in letters(3):
            bus.emit_nowait(event)
            assert bus.flush_now(timeout=PATIENCE).reached
        bus.emit_nowait(LetterSent(n=3))
        assert bus.detach("patient")
        assert eventually(lambda: len(sink.events) == 4)


def test_nor_when_they_began_to_wait_during_a_write(tmp_path: Path, untimed: None) -> None:
    sink = GatedSink()
    sink.linger = 60.0

    with EventBus(tmp_path, sinks=[sink]) as bus:
        bus.emit_nowait(LetterSent(n=0))
        assert sink.gate.reached.wait(PATIENCE)
        bus.emit_nowait(LetterSent(n=1))
        threading.Timer(0.05, sink.gate.open).start()
        assert bus.flush_now(timeout=PATIENCE).reached


def test_gathering_ends_with_a_whole_batch(tmp_path: Path, untimed: None) -> None:
    sink = PatientSink()
    sink.batch_most = 10

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="patient")
        bus.emit_nowait(LetterSent(n=0))
        assert eventually(lambda: sink.batches == [1])
        for event in letters(9):
            bus.emit_nowait(event)
        time.sleep(0.05)
        assert sink.batches == [1]
        bus.emit_nowait(LetterSent(n=9))
        assert eventually(lambda: sink.batches == [1, 10])


def test_a_lane_in_memory_that_is_full_gathers_no_longer(untimed: None) -> None:
    sink = PatientSink()

    with EventBus(None) as bus:
        bus.attach(sink, capacity=5)
        bus.emit_nowait(LetterSent(n=0))
        assert eventually(lambda: sink.batches == [1])
        for event in letters(12):
            bus.emit_nowait(event)
        assert eventually(lambda: len(sink.events) >= 11)


# --- ticks and syncs -------------------------------------------------------------------


def test_a_sink_is_ticked_about_once_a_second_also_while_nothing_comes(tmp_path: Path) -> None:
    ticks: list[datetime] = []

    class Ticks(MemorySink):
        async def tick(self, now: datetime) -> None:
            ticks.append(now)

    began = datetime.now(UTC)
    with EventBus(tmp_path, sinks=[Ticks()]):
        assert eventually(lambda: len(ticks) >= 2)

    assert began <= ticks[0]
    assert 0.5 < (ticks[1] - ticks[0]).total_seconds() < PATIENCE


def test_a_tick_that_fails_is_told_and_comes_again(tmp_path: Path) -> None:
    class Trips(MemorySink):
        ticks = 0

        async def tick(self, now: datetime) -> None:
            self.ticks += 1
            raise OSError("no room")

    sink = Trips()
    with EventBus(tmp_path, sinks=[sink]) as bus:
        bus.emit_nowait(LetterSent(n=1))
        assert eventually(lambda: sink.ticks >= 2)
        bus.flush_now(timeout=PATIENCE)
        told = bus.statistics().lanes["trips"].last_error

    assert told == "tick: OSError: no room"
    assert numbers(sink) == [1]


def test_a_sink_that_fails_to_sync_is_told_and_not_acknowledged(tmp_path: Path) -> None:
    class Trips(MemorySink):
        is_well = False

        async def sync(self) -> None:
            if not self.is_well:
                raise OSError("no room")

    sink = Trips()
    with EventBus(tmp_path, sinks=[sink]) as bus:
        bus.emit_nowait(LetterSent(n=1))
        flushed = bus.flush_now(until="synced", timeout=PATIENCE)
        told = bus.statistics().lanes["trips"].last_error
        sink.is_well = True
        again = bus.flush_now(until="synced", timeout=PATIENCE)

    assert not flushed.reached
    assert flushed.lanes == {"trips": False}
    assert "no room" in (told or "")
    assert again.reached


def test_a_local_sink_that_has_lost_what_it_held_goes_on_with_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.lanes.RECOVERY_PAUSE", 0.01)

    class Forgetful(MemorySink):
        opens = 0

        async def open(self, home: Home) -> None:
            await super().open(home)
            self.opens += 1

        async def write(self, batch: Batch) -> None:
            if self.opens == 1:
                raise Lost("gone")
            await super().write(batch)

    sink = Forgetful()
    with EventBus(tmp_path, sinks=[sink]) as bus:
        for event in letters(20):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached

    assert (sink.opens, numbers(sink)) == (2, list(range(20)))


# --- tries again, halving, dead letters ---------------------------------------------------


def refuses(*bad: int, error: Callable[[], Exception]) -> PickySink:
    """A sink that raises for any batch that holds one of these."""

    def complaint(batch: Batch) -> Exception | None:
        return error() if set(numbers(batch.events)) & set(bad) else None

    return PickySink(complaint)


DATA = (Refused, ValueError, KeyError, TypeError, UnicodeError, ZeroDivisionError, RecursionError)
TROUBLE = (OSError, RuntimeError, ConnectionResetError, TimeoutError, asyncio.CancelledError)


@pytest.mark.parametrize("error", [*DATA, *TROUBLE], ids=lambda error: error.__name__)
def test_an_event_that_is_refused_alone_becomes_a_dead_letter(
    tmp_path: Path, error: Callable[[], Exception]
) -> None:
    sink = refuses(3, 60, error=error)

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="picky")
        for event in letters(64):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached
        lane = bus.statistics().lanes["picky"]

    assert numbers(sink.events) == [n for n in range(64) if n not in (3, 60)]
    assert (lane.delivered, lane.dead, lane.lag) == (62, 2, 0)
    letters_kept = [
        msgspec.json.decode(line)
        for line in (tmp_path / "dead" / "picky.jsonl").read_bytes().splitlines()
    ]
    assert [letter["event"]["n"] for letter in letters_kept] == [3, 60]
    assert {letter["lane"] for letter in letters_kept} == {"picky"}
    assert all(letter["error"] and letter["at"].endswith("Z") for letter in letters_kept)


def test_a_dead_letter_can_be_read_back_as_the_event_it_was(tmp_path: Path) -> None:
    sent = letters(2)

    with EventBus(tmp_path) as bus:
        bus.attach(refuses(1, error=Refused), name="picky")
        for event in sent:
            bus.emit_nowait(event)
        bus.flush_now(timeout=PATIENCE)

    class Letter(msgspec.Struct):
        event: msgspec.Raw

    letter = msgspec.json.decode((tmp_path / "dead" / "picky.jsonl").read_bytes(), type=Letter)
    assert decode(bytes(letter.event)) == sent[1]


def test_one_that_fails_with_nobody_after_it_is_given_up_for_the_others(tmp_path: Path) -> None:
    sink = refuses(9, error=RuntimeError)

    with EventBus(tmp_path, grace=PATIENCE) as bus:
        bus.attach(sink, name="picky")
        for event in letters(10):
            bus.emit_nowait(event)

    assert numbers(sink.events) == list(range(9))
    assert bus.report is not None
    assert bus.report.lanes["picky"].dead == 1


def test_one_that_fails_all_alone_is_held_until_another_is_taken(tmp_path: Path) -> None:
    """Nobody can tell the sink's trouble from the event's until then."""
    sink = refuses(0, error=RuntimeError)

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="picky")
        bus.emit_nowait(LetterSent(n=0))
        assert eventually(lambda: bus.statistics().lanes["picky"].retries >= 4)
        before = bus.statistics().lanes["picky"]
        bus.emit_nowait(LetterSent(n=1))
        assert bus.flush_now(timeout=PATIENCE).reached
        after = bus.statistics().lanes["picky"]

    assert (before.lag, before.dead) == (1, 0)
    assert (after.lag, after.dead, after.delivered) == (0, 1, 1)


@pytest.mark.parametrize("when", ["at once", "in the middle"])
def test_a_sink_that_is_down_for_a_while_loses_nothing_and_buries_nothing(
    tmp_path: Path, when: str
) -> None:
    is_down = threading.Event()
    poison = {5} if when == "in the middle" else set()

    def complaint(batch: Batch) -> Exception | None:
        seen = set(numbers(batch.events))
        if seen & poison:
            is_down.set()  # goes down while the lane looks for the culprit
            return ValueError("poison")
        return ConnectionError("down") if is_down.is_set() else None

    if when == "at once":
        is_down.set()
    sink = PickySink(complaint)
    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="picky")
        for event in letters(200):
            bus.emit_nowait(event)
        assert eventually(lambda: bus.statistics().lanes["picky"].retries >= 5)
        poison_seen, poison = poison, set()
        is_down.clear()
        assert bus.flush_now(timeout=PATIENCE).reached
        lane = bus.statistics().lanes["picky"]

    taken = numbers(sink.events)
    assert taken == sorted(set(taken))
    assert set(range(200)) - set(taken) <= poison_seen
    assert lane.dead <= len(poison_seen)
    assert lane.delivered + lane.dead == 200


def test_a_batch_that_fails_at_times_is_tried_until_it_is_taken_once(tmp_path: Path) -> None:
    failures = iter([OSError(1), None, TimeoutError(), OSError(2), *[None] * 100])
    sink = PickySink(lambda batch: next(failures))

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="picky")
        for event in letters(50):
            bus.emit_nowait(event)
            bus.flush_now(timeout=PATIENCE)
        lane = bus.statistics().lanes["picky"]

    assert numbers(sink.events) == list(range(50))
    assert (lane.delivered, lane.dead, lane.retries) == (50, 0, 3)


def test_pauses_grow_while_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sink = PickySink(lambda batch: OSError() if len(pauses) < 12 else None)

    async def wait_for(awaited: Any, seconds: float) -> None:
        awaited.close()
        pauses.append(seconds)
        raise TimeoutError

    async def bury(poisoned: Poisoned) -> None:
        raise AssertionError

    monkeypatch.setattr("eventbus.delivery.asyncio.wait_for", wait_for)
    monkeypatch.setattr("eventbus.delivery.random.uniform", lambda low, high: high)
    asyncio.run(Delivery(sink, bury).deliver(Batch(events=[*letters(1)])))

    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert max(pauses) == 30
    assert numbers(sink.events) == [0]


def test_dead_letters_of_a_bus_in_memory_are_counted(tmp_path: Path) -> None:
    with EventBus(None) as bus:
        bus.attach(refuses(1, error=Refused), name="picky")
        for event in letters(3):
            bus.emit_nowait(event)
        bus.flush_now(timeout=PATIENCE)
        lane = bus.statistics().lanes["picky"]

    assert (lane.delivered, lane.dead) == (2, 1)


def test_a_dead_letter_that_cannot_be_kept_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "dead").write_text("in the way")

    with EventBus(tmp_path) as bus:
        bus.attach(refuses(1, error=Refused), name="picky")
        for event in letters(3):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached
        lane = bus.statistics().lanes["picky"]

    assert (lane.delivered, lane.dead) == (2, 1)


def test_one_lanes_trouble_is_its_own(tmp_path: Path) -> None:
    well = MemorySink()

    with EventBus(tmp_path, sinks=[well], grace=0.1) as bus:
        bus.attach(PickySink(lambda batch: OSError("down")), name="down")
        bus.attach(GatedSink(), name="slow")
        for event in letters(20_000):
            bus.emit_nowait(event)
        assert eventually(lambda: len(well.events) == 20_000)

    assert numbers(well) == list(range(20_000))


# --- counts ---------------------------------------------------------------------------------


class Busy(Lane):
    """Does one more of each whenever it is asked for its counts."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in ("filtered", "pruned", "read"):
            setattr(self, name, value + 1)
        return value


def test_the_counts_of_a_lane_add_up_while_it_goes_on() -> None:
    lane = Busy(
        "busy",
        MemorySink(),
        wanted=KindFilter(None),
        home=Home(None),
        begin=lambda told: pytest.fail("nothing is to be served"),
        say_gap=lambda name, reason, number: None,
    )

    for _ in range(3):
        told = lane.statistics()

        parts = (told.delivered, told.filtered, told.dead, told.pruned, told.lag)
        assert told.seen == sum(parts)
        assert min(parts) >= 0


# --- what is read back --------------------------------------------------------------------


def test_a_lane_that_fell_behind_reads_on_from_the_segments(tmp_path: Path) -> None:
    gate = Gate()
    sink = GatedSink(gate)
    settings = JournalSettings(segment_bytes=500_000, sync_every=0.01)

    with EventBus(tmp_path, sinks=[sink], journal=settings) as bus:
        for number in range(12_000):  # more than a lane is fed ahead, in several segments
            bus.emit_nowait(LetterSent(n=number, text="x" * 600))
            if number % 2_000 == 0:
                bus.flush_now(timeout=0.02)
        gate.open()
        assert bus.flush_now(timeout=PATIENCE).reached
        lane = bus.statistics().lanes["gatedsink"]

    assert numbers(sink) == list(range(12_000))
    assert (lane.delivered, lane.lag) == (12_000, 0)
    assert lane.seen == lane.delivered + lane.filtered


def test_a_disk_that_cannot_be_read_for_a_while_loses_nothing(tmp_path: Path) -> None:
    disk, gate = FaultyDisk(), Gate()
    sink = GatedSink(gate)

    with EventBus(tmp_path, sinks=[sink], disk=disk) as bus:
        for number in range(12_000):
            bus.emit_nowait(LetterSent(n=number, text="x" * 600))
            if number % 2_000 == 0:
                bus.flush_now(timeout=0.02)
        disk.fail("pread", 3)
        disk.fail("names", 2)
        disk.fail("open", 2)
        gate.open()
        assert bus.flush_now(timeout=PATIENCE).reached

    assert numbers(sink) == list(range(12_000))


def test_bytes_that_were_written_again_are_handed_over_once(tmp_path: Path) -> None:
    """A failed sync moves them to a new segment."""
    disk = FaultyDisk()
    sink = MemorySink()

    with EventBus(tmp_path, disk=disk) as bus, EventBus(tmp_path) as other:
        bus.attach(sink, name="own")
        follower = MemorySink()
        other.attach(follower, name="follows", writers="all")
        number = 0
        for _ in range(10):
            disk.fail("sync")
            for event in letters(20, start=number):
                bus.emit_nowait(event)
            bus.flush_now(timeout=PATIENCE)
            number += 20
            assert bus.flush_now(until="synced", timeout=PATIENCE).reached
        lane = bus.statistics().lanes["own"]
        assert eventually(lambda: len(numbers(follower)) >= 200)

    assert numbers(sink) == list(range(200))
    assert (lane.delivered, lane.lag) == (200, 0)
    assert numbers(follower) == list(range(200))


def moves_of(bus: EventBus) -> list[Move]:
    writer: Any = bus._writer
    moves: list[Move] = writer.journal.moves
    return moves


def fail_syncs(bus: EventBus, disk: FaultyDisk, times: int) -> None:
    """Emit ten events and fail a sync, so many times."""
    for turn in range(times):
        disk.fail("sync")
        for event in letters(10, start=turn * 10):
            bus.emit_nowait(event)
        assert bus.flush_now(until="synced", timeout=PATIENCE).reached


def test_where_it_went_is_forgotten_once_every_lane_has_passed_it(tmp_path: Path) -> None:
    disk = FaultyDisk()
    sinks = [MemorySink(), MemorySink()]

    with EventBus(tmp_path, sinks=sinks, disk=disk) as bus:
        fail_syncs(bus, disk, 30)
        left = len(moves_of(bus))

    assert left <= 2
    assert [numbers(sink) for sink in sinks] == [list(range(300))] * 2


def test_where_it_went_is_known_as_long_as_a_lane_is_behind(tmp_path: Path) -> None:
    disk = FaultyDisk()
    sink = GatedSink()
    settings = JournalSettings(sync_every=0.01)

    with EventBus(tmp_path, disk=disk, journal=settings) as bus:
        bus.attach(sink, name="held")
        bus.emit_nowait(LetterSent(n=-1))
        assert sink.gate.reached.wait(PATIENCE)
        for time in range(10):
            disk.fail("sync")
            for event in letters(10, start=time * 10):
                bus.emit_nowait(event)
            assert eventually(lambda time=time: bus.statistics().synced == time * 10 + 11)
        kept = len(moves_of(bus))
        sink.gate.open()
        assert bus.flush_now(timeout=PATIENCE).reached
        for number in (100, 101):  # the first leads the lane into the newest segment
            bus.emit_nowait(LetterSent(n=number))
            assert bus.flush_now(timeout=PATIENCE).reached
        left = len(moves_of(bus))

    assert kept >= 10
    assert numbers(sink) == list(range(-1, 102))
    assert left == 0


def test_a_lane_may_follow_the_other_writers_too(tmp_path: Path) -> None:
    sink = MemorySink()

    with EventBus(tmp_path) as other:
        other.emit_nowait(LetterSent(n=-1))
        other.flush_now()
        with EventBus(tmp_path) as bus:
            for event in letters(500, start=1_000):
                bus.emit_nowait(event)
            bus.attach(sink, name="all", writers="all")
            for event in letters(500):
                other.emit_nowait(event)
            bus.emit_nowait(LetterSent(n=500))
            assert eventually(lambda: len(sink.events) == 501)

    assert sorted(numbers(sink)) == list(range(501))
    assert [n for n in numbers(sink) if n < 500] == list(range(500))


def test_segments_somebody_removed_are_told_by_events(tmp_path: Path) -> None:
    sink = GatedSink()
    small = JournalSettings(segment_bytes=1_000)

    with EventBus(tmp_path, journal=small) as other, EventBus(tmp_path) as bus:
        other.emit_nowait(LetterSent(n=-1))
        other.flush_now(until="synced")
        bus.attach(sink, name="all", writers="all")
        other.emit_nowait(LetterSent(n=0))
        assert sink.gate.reached.wait(PATIENCE)
        for number in range(1, 100):
            other.emit_nowait(LetterSent(n=number))
            other.flush_now(until="synced")
        others = [path for path in segment_paths(tmp_path) if other.writer_id in path.name]
        for path in others[3:6]:
            path.unlink()
        sink.gate.open()
        assert eventually(lambda: 99 in numbers(sink))
        gap = eventually_gap(tmp_path)

    assert (gap.lane, gap.reason) == ("all", "gone")
    missing = set(range(100)) - set(numbers(sink))
    assert len(missing) <= gap.count <= len(missing) + 2  # each has a record of its own
    assert len(missing) > 5


def eventually_gap(state: Path) -> GapLeft:
    def gaps() -> list[Event]:
        return list(read_journal(state, kinds="bus:gap"))

    assert eventually(gaps)
    (gap,) = gaps()
    assert isinstance(gap, GapLeft)
    return gap


def test_it_follows_writers_that_begin_later(tmp_path: Path) -> None:
    sink = MemorySink()

    with EventBus(tmp_path) as bus:
        bus.attach(sink, name="all", writers="all")
        for start in range(0, 30, 10):
            with EventBus(tmp_path) as other:
                for event in letters(10, start=start):
                    other.emit_nowait(event)
            assert eventually(lambda start=start: len(sink.events) == start + 10)

    assert numbers(sink) == list(range(30))


def test_what_is_filtered_out_is_done_too(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.kinds = "never:*"

    with EventBus(tmp_path, sinks=[sink]) as bus:
        for event in letters(3_000):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached
        lane = bus.statistics().lanes["memorysink"]

    assert (lane.seen, lane.filtered, lane.delivered, lane.lag) == (3_000, 3_000, 0, 0)


def test_events_that_will_not_encode_do_not_stop_a_lane(tmp_path: Path) -> None:
    class LetterDeep(Event, tag="letter:deep", frozen=True):
        text: str = ""

    sink = MemorySink()
    with EventBus(tmp_path, sinks=[sink]) as bus:
        bus.emit_nowait(LetterSent(n=0))
        bus.emit_nowait(LetterDeep(text="\ud800"))
        bus.emit_nowait(LetterSent(n=1))
        assert bus.flush_now(timeout=PATIENCE).reached
        counts = bus.statistics()

    assert numbers(sink) == [0, 1]
    assert [event.kind for event in sink.events] == ["letter:send", "letter:deep", "letter:send"]
    assert (counts.written, counts.poison) == (2, 1)


class Watched(Disk):
    """Knows which segments it has open to be read, and how often it had any."""

    def __init__(self) -> None:
        self.held: dict[int, Path] = {}
        self.times = 0

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        fd = super().open(path, flags, mode)
        if path.suffix == ".jsonl" and flags & os.O_ACCMODE == os.O_RDONLY:
            self.held[fd] = path
            self.times += 1
        return fd

    def close(self, fd: int) -> None:
        self.held.pop(fd, None)
        super().close(fd)


def test_a_lane_that_has_read_back_all_holds_no_segment_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be pruned, and would take its room all the same."""
    monkeypatch.setattr("eventbus.backlog.FED_MOST", 1_000)
    sink, disk = GatedSink(), Watched()

    with EventBus(tmp_path, sinks=[sink], disk=disk) as bus:
        for part in range(5):
            for event in letters(100, start=100 * part):
                bus.emit_nowait(event)
            bus.flush_now(timeout=0.02)
        sink.gate.open()
        assert bus.flush_now(timeout=PATIENCE).reached

        assert disk.times > 0
        assert eventually(lambda: not disk.held)

    assert numbers(sink) == list(range(500))
