"""Which segments of the journal go, and which stay."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from eventbus import Event, EventBus, JournalSettings, read_journal
from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.followed import FollowedWriter
from eventbus.pruning import prune_journal
from eventbus.segment import segments_in
from eventbus.sink import Place


class Numbered(Event, tag="prune:number"):
    number: int


class Later(Clock):
    """The system's clock, some days ahead."""

    def __init__(self, days: float) -> None:
        self.days = days

    def now(self) -> datetime:
        return super().now() + timedelta(days=self.days)


def filled(state: Path, *, days_old: float = 0) -> Path:
    with EventBus(state) as bus:
        for number in range(10):
            bus.emit_nowait(Numbered(number=number))
    (segment,) = segments_in(state / "journal")
    then = (datetime.now(UTC) - timedelta(days=days_old)).timestamp()
    os.utime(segment.path, (then, then))
    return segment.path


def prune(state: Path, *, keep_days: float = 30, keep_bytes: int | None = None, clock=SYSTEM_CLOCK):
    return prune_journal(
        state, keep_days=keep_days, keep_bytes=keep_bytes, clock=clock, disk=SYSTEM_DISK
    )


def keep_cursor(state: Path, lane: str, cursor: dict[str, Place]) -> None:
    directory = state / "journal" / "cursors"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{lane}.json").write_bytes(msgspec.json.encode(cursor))


def test_an_old_segment_goes(tmp_path: Path) -> None:
    segment = filled(tmp_path, days_old=31)

    prune(tmp_path)

    assert not segment.exists()


def test_a_young_segment_stays(tmp_path: Path) -> None:
    segment = filled(tmp_path, days_old=29)

    prune(tmp_path)

    assert segment.exists()


@pytest.mark.parametrize("keep_days", [0, 1_000_000, 1e12, float("inf")])
def test_for_ever_is_as_long_as_one_likes_and_so_is_zero(tmp_path: Path, keep_days: float) -> None:
    segment = filled(tmp_path, days_old=4_000)

    prune(tmp_path, keep_days=keep_days)

    assert segment.exists()


def test_a_live_segment_stays_however_old(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(Numbered(number=1))
        bus.flush_now()
        (segment,) = segments_in(tmp_path / "journal")
        os.utime(segment.path, (0, 0))

        prune(tmp_path, keep_bytes=0)

        assert segment.path.exists()


def test_a_segment_waits_for_a_lane_that_has_not_passed(tmp_path: Path) -> None:
    segment = filled(tmp_path, days_old=31)
    keep_cursor(tmp_path, "slow", {})

    gaps = prune(tmp_path)

    assert segment.exists()
    assert gaps == []


def test_a_segment_that_waited_long_enough_goes_and_leaves_a_gap(tmp_path: Path) -> None:
    segment = filled(tmp_path, days_old=91)
    keep_cursor(tmp_path, "slow", {})

    (gap,) = prune(tmp_path)

    assert not segment.exists()
    assert (gap.lane, gap.reason, gap.count) == ("slow", "pruned", 10)


def test_a_lane_that_has_passed_loses_nothing_and_leaves_no_gap(tmp_path: Path) -> None:
    segment = filled(tmp_path, days_old=91)
    writer = segment.stem.rpartition("-")[2]
    keep_cursor(tmp_path, "quick", {writer: Place(segment.name, segment.stat().st_size)})

    assert prune(tmp_path) == []
    assert not segment.exists()


def test_a_journal_that_is_too_large_loses_its_oldest(tmp_path: Path) -> None:
    old = filled(tmp_path)
    renamed = old.with_name("20200101T000000000000-00000000.jsonl")
    old.rename(renamed)
    young = [filled_again(tmp_path)]

    prune(tmp_path, keep_bytes=young[0].stat().st_size)

    assert not renamed.exists()
    assert young[0].exists()


def filled_again(state: Path) -> Path:
    with EventBus(state) as bus:
        bus.emit_nowait(Numbered(number=99))
    return segments_in(state / "journal")[-1].path


def test_foreign_files_stay(tmp_path: Path) -> None:
    filled(tmp_path, days_old=400)
    foreign = [tmp_path / "journal" / name for name in ("notes.txt", "2020.jsonl", "x-1.torn")]
    for path in foreign:
        path.write_text("mine")
        os.utime(path, (0, 0))

    prune(tmp_path, keep_bytes=0)

    assert all(path.exists() for path in foreign)


def test_nothing_goes_by_age_for_a_day_after_the_clock_jumped(tmp_path: Path) -> None:
    segment = filled(tmp_path)
    prune(tmp_path)

    prune(tmp_path, clock=Later(3650))
    prune(tmp_path, clock=Later(3650.5))

    assert segment.exists()


def test_a_clock_that_runs_on_after_its_jump_is_believed_again(tmp_path: Path) -> None:
    segment = filled(tmp_path)
    prune(tmp_path)
    prune(tmp_path, clock=Later(3650))

    prune(tmp_path, clock=Later(3651.1))

    assert not segment.exists()


class Overseen(Disk):
    """Has somebody look each time after it has deleted a segment."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.look()


@pytest.mark.parametrize("list_is", ["fresh", "as it was"])
def test_a_lane_that_reads_while_it_prunes_is_told_once(tmp_path: Path, list_is: str) -> None:
    with EventBus(tmp_path, journal=JournalSettings(segment_bytes=300)) as bus:
        for number in range(30):
            bus.emit_nowait(Numbered(number=number))
            bus.flush_now(until="synced")
    before = segments_in(tmp_path / "journal")
    writer, read = before[0].writer, Place(before[0].name, before[0].path.stat().st_size)
    keep_cursor(tmp_path, "slow", {writer: read})
    untold = []

    def look() -> None:
        lane = FollowedWriter(writer, read, tmp_path / "journal", SYSTEM_DISK, pruning_tells=True)
        lane.segments = before if list_is == "as it was" else segments_in(tmp_path / "journal")
        while lane.next() is not None:
            pass
        lane.close()
        untold.append(lane.holes.take())

    gaps = prune_journal(
        tmp_path, keep_days=0, keep_bytes=1_000, clock=SYSTEM_CLOCK, disk=Overseen(look)
    )

    assert len(untold) > 5
    assert set(untold) == {(0, 0)}
    assert sum(gap.count for gap in gaps) > 10


def test_opening_prunes(tmp_path: Path) -> None:
    segment = filled(tmp_path, days_old=31)
    renamed = segment.with_name("20200101T000000000000-00000000.jsonl")
    segment.rename(renamed)
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(Numbered(number=1))

    assert not renamed.exists()
    assert [event.number for event in read_journal(tmp_path)] == [1]
