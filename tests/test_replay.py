"""Reading the journal back by time."""

from datetime import timedelta
from pathlib import Path

from eventbus import EventBus, JournalSettings, read_journal
from eventbus.clock import Clock
from eventbus.segment import segments_in
from eventbus.testing import FakeClock
from tests.letters import LetterSent


def write(bus: EventBus, clock: Clock, number: int) -> None:
    bus.emit_nowait(LetterSent(n=number, ts=clock.now()))
    assert bus.flush_now(until="synced", timeout=10).reached


def test_since_finds_what_was_written_before_the_clock_went_back(tmp_path: Path) -> None:
    """A segment is passed over when the next one began before the time asked for."""
    clock = FakeClock()
    begun = clock.now()

    with EventBus(tmp_path, journal=JournalSettings(segment_bytes=700), clock=clock) as bus:
        write(bus, clock, 1)
        clock.advance(hours=1)
        write(bus, clock, 2)
        clock.jump(begun)
        for number in range(3, 6):
            write(bus, clock, number)

    assert len(segments_in(tmp_path / "journal")) > 1
    since = begun + timedelta(minutes=30)
    assert [event.n for event in read_journal(tmp_path, since=since)] == [2]  # type: ignore[attr-defined]


def test_segments_keep_the_order_they_were_written_in_whatever_the_clock_does(
    tmp_path: Path,
) -> None:
    clock = FakeClock()

    with EventBus(tmp_path, journal=JournalSettings(segment_bytes=300), clock=clock) as bus:
        for number in range(6):
            clock.jump(clock.now() + timedelta(hours=(-1) ** number * number))
            write(bus, clock, number)

    assert [event.n for event in read_journal(tmp_path)] == list(range(6))  # type: ignore[attr-defined]
