"""R23: clocks may jump; order within a writer and durations hold, and so does reading back."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise, repeat
from pathlib import Path

import msgspec
import pytest
import time_machine

from eventbus import Batch, Event, EventBus, JournalSettings, Sink, read_journal
from eventbus.clock import Clock
from eventbus.disk import SYSTEM_DISK
from eventbus.events.bus import BusOpened
from eventbus.pruning import prune_journal
from eventbus.segment import segments_in
from sinks.memory import MemorySink
from tests.letters import PATIENCE, eventually, letters, numbers
from tests.reliability.counts import runs

EACH = runs(ci=60, long=20_000)
EACH = max(EACH, 60)  # fewer would not fill a segment between two jumps
BEGUN = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
SMALL = JournalSettings(segment_bytes=4_000, sync_every=0.01)

JUMPS: dict[str, list[datetime]] = {
    "two hours back": [BEGUN - timedelta(hours=2)],
    "ten days ahead": [BEGUN + timedelta(days=10)],
    "over midnight": [BEGUN + timedelta(hours=1, minutes=29, seconds=59.9)],
    "back over midnight": [BEGUN + timedelta(hours=2), BEGUN],
    "to 1970": [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)],
    "to 2100": [datetime(2100, 1, 1, tzinfo=UTC)],
    "to 2100 and back": [datetime(2100, 1, 1, tzinfo=UTC), BEGUN],
    "to 1970 and back": [datetime(1970, 1, 1, tzinfo=UTC), BEGUN],
    "to and fro": [
        BEGUN + timedelta(hours=sign * hours) for hours in range(1, 9) for sign in (1, -1)
    ],
}
each_jump = pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS.keys())


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The system's clock, that goes on from where it is set."""
    with time_machine.travel(BEGUN) as traveller:
        yield traveller


def send(bus: EventBus, start: int, count: int) -> None:
    """Emit in several segments."""
    for first in range(start, start + count, 10):
        for event in letters(min(10, start + count - first), start=first):
            bus.emit_nowait(event)
        assert bus.flush_now(until="synced", timeout=PATIENCE).reached


def emit_through(
    bus: EventBus, jumps: list[datetime], clock: time_machine.Traveller, start: int = 0
) -> int:
    """Emit before, between and after the jumps; how many in all."""
    send(bus, start, EACH)
    for moment in jumps:
        start += EACH
        clock.move_to(moment)
        send(bus, start, EACH)
    return start + EACH


@each_jump
def test_a_writers_events_are_read_back_in_the_order_they_were_emitted(
    tmp_path: Path,
    jumps: list[datetime],
    clock: time_machine.Traveller,
    record_property: Callable[[str, object], None],
) -> None:
    """R23: order within a writer holds, in the journal and in its lanes."""
    sink = MemorySink()

    with EventBus(tmp_path, sinks=[sink], journal=SMALL) as bus:
        count = emit_through(bus, jumps, clock)

    assert numbers(list(read_journal(tmp_path))) == list(range(count))
    assert numbers(sink) == list(range(count))
    segments = segments_in(tmp_path / "journal")
    assert len(segments) > len(jumps) + 1
    assert all(before.start < after.start for before, after in pairwise(segments))
    record_property("figure", f"{count} events over {len(jumps)} jumps in order")


@each_jump
def test_asking_by_time_finds_what_has_that_time(
    tmp_path: Path, jumps: list[datetime], clock: time_machine.Traveller
) -> None:
    """R23: reading back by time passes nothing over."""
    with EventBus(tmp_path, journal=SMALL) as bus:
        emit_through(bus, jumps, clock)
    everything = list(read_journal(tmp_path, kinds="letter:*"))
    moments = sorted({event.ts for event in everything})[:: max(1, len(everything) // 25)]

    for moment in [*moments, *jumps, BEGUN, BEGUN + timedelta(minutes=1)]:
        later = [event for event in everything if event.ts >= moment]
        assert list(read_journal(tmp_path, kinds="letter:*", since=moment)) == later
        earlier = [event for event in everything if event.ts < moment]
        assert list(read_journal(tmp_path, kinds="letter:*", until=moment)) == earlier


@each_jump
def test_runs_at_any_time_are_all_read_back(
    tmp_path: Path, jumps: list[datetime], clock: time_machine.Traveller
) -> None:
    """R23: a writer that goes on after a jump keeps its order, and a lane its place."""
    number = 0

    for moment in [BEGUN, *jumps, BEGUN]:
        clock.move_to(moment)
        with EventBus(tmp_path, sinks=["jsonl"], journal=SMALL) as bus:
            send(bus, number, EACH)
        number += EACH

    runs_found: dict[int, list[int]] = {}
    for event in read_journal(tmp_path, kinds="letter:*"):
        for found in numbers([event]):
            runs_found.setdefault(found // EACH, []).append(found % EACH)
    assert runs_found == {run: list(range(EACH)) for run in range(number // EACH)}
    assert sorted(logged(tmp_path)) == list(range(number))
    assert chain_is_whole(tmp_path)


def logged(state: Path) -> list[int]:
    """The letters in all the files of that log."""
    return [
        record["n"]
        for log in (state / "logs").glob("events*.jsonl")
        for line in log.read_bytes().splitlines()
        for record in [msgspec.json.decode(line)]
        if record["kind"] == "letter:send"
    ]


def chain_is_whole(state: Path) -> bool:
    """Whether each segment says of itself how many records stand before it."""
    before: dict[str, int] = {}
    for segment in segments_in(state / "journal"):
        lines = segment.path.read_bytes().splitlines()
        opened = msgspec.json.decode(lines[0], type=BusOpened)
        if opened.before != before.get(opened.writer, 0):
            return False
        before[opened.writer] = opened.before + len(lines)
    return True


def test_a_segment_is_of_one_day(tmp_path: Path, clock: time_machine.Traveller) -> None:
    with EventBus(tmp_path) as bus:
        send(bus, 0, 10)
        clock.move_to(BEGUN + timedelta(days=1))
        send(bus, 10, 10)  # the first of the new day find that it is over
        send(bus, 20, 10)

    days = [segment.day.day for segment in segments_in(tmp_path / "journal")]
    assert days == [10, 11]
    last = segments_in(tmp_path / "journal")[-1].path.read_bytes()
    assert b'"n":29' in last


@each_jump
def test_what_is_written_is_synced_in_time_whatever_the_clock_says(
    tmp_path: Path, jumps: list[datetime], clock: time_machine.Traveller
) -> None:
    """R23: durations hold: a second is a second."""
    settings = JournalSettings(sync_every=0.05)

    with EventBus(tmp_path, journal=settings) as bus:
        for number, moment in enumerate(jumps[:3]):
            bus.emit_nowait(letters(1, start=number)[0])
            clock.move_to(moment)
            assert eventually(lambda: bus.statistics().synced == number + 1, within=2)  # noqa: B023


@each_jump
def test_a_deadline_is_kept_whatever_the_clock_says(
    tmp_path: Path, jumps: list[datetime], clock: time_machine.Traveller
) -> None:
    """R23: so it is for whoever waits."""

    class Jumps(Sink):
        async def write(self, batch: Batch) -> None:
            clock.move_to(jumps[0])
            raise ConnectionError("never there")

    bus = EventBus(tmp_path, sinks=[Jumps()], grace=0.2).open()
    bus.emit_nowait(letters(1)[0])
    began = time.monotonic()

    assert not bus.flush_now(timeout=0.2).reached
    bus.close()

    assert 0.3 < time.monotonic() - began < 2.5


def test_events_of_two_writers_are_merged_by_time(
    tmp_path: Path, clock: time_machine.Traveller
) -> None:
    with EventBus(tmp_path) as one, EventBus(tmp_path) as two:
        for number in range(20):
            bus = (one, two)[number % 3 == 0]
            clock.shift(1)
            bus.emit_nowait(letters(1, start=number)[0])

    merged: list[Event] = list(read_journal(tmp_path, kinds="letter:*"))
    assert numbers(merged) == list(range(20))


class JumpsAtOnce(Clock):
    """Is right when it is first asked, and seventy years ahead from then on."""

    def __init__(self) -> None:
        self._moments = chain([BEGUN], repeat(datetime(2100, 1, 1, tzinfo=UTC)))

    def now(self) -> datetime:
        return next(self._moments)


def test_a_clock_that_jumps_while_old_segments_are_looked_for_costs_none(
    tmp_path: Path, clock: time_machine.Traveller
) -> None:
    with EventBus(tmp_path, journal=SMALL) as bus:
        send(bus, 0, EACH)
    there = segments_in(tmp_path / "journal")

    prune_journal(tmp_path, keep_days=30, keep_bytes=None, clock=JumpsAtOnce(), disk=SYSTEM_DISK)

    assert segments_in(tmp_path / "journal") == there
