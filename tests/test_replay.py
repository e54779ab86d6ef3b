"""Reading the journal back: by kind, by time, segment by segment."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus import EventBus, JournalSettings, read_journal
from eventbus.clock import Clock
from eventbus.replay import SegmentReader, read_lines
from eventbus.segment import Segment, segments_in
from eventbus.sink import Place
from eventbus.testing import FakeClock
from tests.letters import LetterNested, LetterSent, numbers


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


def test_since_finds_what_a_process_before_wrote_at_a_later_time(tmp_path: Path) -> None:
    """The process that goes on in a segment knows of times the clock had only before."""
    clock = FakeClock(datetime(2200, 1, 1, 12, tzinfo=UTC))  # later than the real one
    begun = clock.now()
    small = JournalSettings(segment_bytes=900, keep_days=0)

    with EventBus(tmp_path, journal=small, clock=clock) as bus:
        clock.advance(hours=2)
        write(bus, clock, 1)
        clock.jump(begun)
        write(bus, clock, 2)
    clock.advance(minutes=1)
    with EventBus(tmp_path, journal=small, clock=clock) as bus:
        for number in range(3, 9):
            write(bus, clock, number)

    names = [segment.writer for segment in segments_in(tmp_path / "journal")]
    assert len(names) > 1
    assert len(set(names)) == 1
    since = begun + timedelta(hours=1)
    assert [event.n for event in read_journal(tmp_path, since=since)] == [1]  # type: ignore[attr-defined]


def test_since_finds_what_was_made_right_before_the_clock_went_back(tmp_path: Path) -> None:
    """It is written after: no write was ever made at so late a time."""
    clock = FakeClock()
    begun = clock.now()

    with EventBus(tmp_path, journal=JournalSettings(segment_bytes=900), clock=clock) as bus:
        write(bus, clock, 1)
        clock.advance(hours=2)
        late = LetterSent(n=2, ts=clock.now())
        clock.jump(begun)
        bus.emit_nowait(late)
        for number in range(3, 9):
            write(bus, clock, number)

    assert len(segments_in(tmp_path / "journal")) > 1
    since = begun + timedelta(hours=1)
    assert list(read_journal(tmp_path, since=since)) == [late]


def test_segments_keep_the_order_they_were_written_in_whatever_the_clock_does(
    tmp_path: Path,
) -> None:
    clock = FakeClock()

    with EventBus(tmp_path, journal=JournalSettings(segment_bytes=300), clock=clock) as bus:
        for number in range(6):
            clock.jump(clock.now() + timedelta(hours=(-1) ** number * number))
            write(bus, clock, number)

    assert [event.n for event in read_journal(tmp_path)] == list(range(6))  # type: ignore[attr-defined]


# --- by kind and by time ---------------------------------------------------------------


def test_only_the_kinds_asked_for_are_read(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(LetterSent(n=1))
        bus.emit_nowait(LetterNested())

    assert [event.kind for event in read_journal(tmp_path)] == ["letter:send", "letter:nest"]
    assert [event.kind for event in read_journal(tmp_path, kinds=LetterNested)] == ["letter:nest"]
    assert [event.kind for event in read_journal(tmp_path, kinds="bus:*")] == [
        "bus:open",
        "bus:close",
    ]


def test_since_is_inclusive_and_until_exclusive(tmp_path: Path) -> None:
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    sent = [LetterSent(n=n, ts=begun + timedelta(minutes=n)) for n in range(5)]
    with EventBus(tmp_path) as bus:
        for event in sent:
            bus.emit_nowait(event)

    since, until = sent[1].ts, sent[3].ts
    assert list(read_journal(tmp_path, kinds="letter:*", since=since, until=until)) == sent[1:3]


def test_a_naive_time_is_local(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(LetterSent(n=1, ts=moment))

    naive = moment.astimezone().replace(tzinfo=None)
    assert numbers(list(read_journal(tmp_path, since=naive))) == [1]
    assert numbers(list(read_journal(tmp_path, until=naive))) == []


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "never")) == []
    assert list(read_journal(str(tmp_path))) == []


def test_each_writers_order_holds_where_times_go_back(tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    with EventBus(tmp_path) as one, EventBus(tmp_path) as two:
        one.emit_nowait(LetterSent(n=1, ts=later))
        one.emit_nowait(LetterSent(n=2))
        two.emit_nowait(LetterSent(n=3))

    read = numbers(list(read_journal(tmp_path)))
    assert read == [3, 1, 2]


# --- one segment -----------------------------------------------------------------------


def segment_of(path: Path, content: bytes) -> Segment:
    path.write_bytes(content)
    return Segment(datetime.now(UTC), "00000000", path)


@pytest.mark.parametrize("most", [1, 3, 10, 1_000])
def test_a_segment_is_read_by_whole_lines(tmp_path: Path, most: int) -> None:
    content = b"".join(b"%d\n" % n for n in range(100)) + b"torn"
    reader = SegmentReader(segment_of(tmp_path / "s", content))

    with reader:
        blobs = list(iter(lambda: reader.read(None, most=most), b""))

    assert b"".join(blobs) == content.removesuffix(b"torn")
    assert all(blob.endswith(b"\n") for blob in blobs)
    assert reader.place == Place("s", len(content) - 4)


def test_a_line_longer_than_a_read_is_read_whole(tmp_path: Path) -> None:
    long = b"x" * 3_000_000 + b"\n"

    assert b"".join(read_lines(segment_of(tmp_path / "s", b"a\n" + long + b"b\n"))) == (
        b"a\n" + long + b"b\n"
    )


def test_a_line_too_long_to_be_one_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.replay.LINE_MOST", 100_000)
    content = b"a\n" + b"x" * 2_000_000 + b"\nb\n"

    assert b"".join(read_lines(segment_of(tmp_path / "s", content))) == b"a\nb\n"


def test_it_may_still_grow(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with SegmentReader(segment_of(path, b"a\nb")) as reader:
        assert reader.read(None) == b"a\n"
        assert reader.read(None) == b""
        with path.open("ab") as file:
            file.write(b"b\nc\n")

        assert reader.read(None) == b"bb\nc\n"


def test_it_is_not_read_past_what_counts(tmp_path: Path) -> None:
    segment = segment_of(tmp_path / "s", b"one\ntwo\nthree\n")

    assert b"".join(read_lines(segment, 8)) == b"one\ntwo\n"
    assert b"".join(read_lines(segment, 9)) == b"one\ntwo\n"
    assert b"".join(read_lines(segment, 0)) == b""


def test_what_is_no_file_reads_as_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()

    for name in ("fifo", "link", "directory", "gone"):
        with SegmentReader(Segment(datetime.now(UTC), "0", tmp_path / name)) as reader:
            assert reader.is_gone
            assert reader.read(None) == b""
