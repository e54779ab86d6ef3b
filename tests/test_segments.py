"""Rotated log files: names, order, reading across them, pruning."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus import segments
from eventbus.disk import Disk
from eventbus.errors import SettingsError
from eventbus.segments import (
    LogSegment,
    PruneGuard,
    Series,
    day_of_line,
    next_number,
    prunable,
    read_lines,
)

ACTIVITY = Series.of(Path("logs/activity.log"))
DATED = Series.of(Path("logs/interactions-{date}.jsonl"))
SESSIONS = Series.of(Path("logs/sessions/{date}_{number}.log"))
DAY = date(2026, 3, 10)


# --- names ------------------------------------------------------------------------


def test_names_are_those_of_the_contract() -> None:
    assert ACTIVITY.live == "activity.log"
    assert ACTIVITY.name(DAY) == "activity-2026-03-10.log"
    assert ACTIVITY.name(DAY, 2) == "activity-2026-03-10.2.log"
    assert DATED.live is None
    assert DATED.name(DAY) == "interactions-2026-03-10.jsonl"
    assert SESSIONS.name(DAY, 7) == "2026-03-10_007.log"
    assert SESSIONS.name(DAY, 1234) == "2026-03-10_1234.log"


@given(
    series=st.sampled_from([ACTIVITY, DATED, SESSIONS]),
    day=st.dates(),
    number=st.integers(1, 999_999_999),
    is_packed=st.booleans(),
)
def test_every_name_that_is_made_is_known_again(
    series: Series, day: date, number: int, is_packed: bool
) -> None:
    name = series.name(day, number) + (".zst" if is_packed else "")

    assert series.parse(name) == LogSegment(name, day, number, is_packed)


@given(name=st.one_of(st.text(), st.from_regex(r"activity-\d{4}-\d{2}-\d{2}.*", fullmatch=True)))
def test_no_other_name_is_taken_for_ours(name: str) -> None:
    segment = ACTIVITY.parse(name)

    if segment is not None and segment.day is not None:
        made = ACTIVITY.name(segment.day, segment.number)
        assert name in (made, f"{made}.zst")


@pytest.mark.parametrize(
    "name",
    [
        *("activity-2026-02-30.log", "activity-2026-03-10.0.log", "activity-2026-03-10.01.log"),
        *("activity-2026-03-10.log.zst.tmp", ".activity-2026-03-10.log", "activity-٢٠٢٦-03-10.log"),
        *("activity-2026-03-10.1.log\n", "xactivity-2026-03-10.log", "ACTIVITY-2026-03-10.log"),
        *("activity", "activity.log.zst", "activity-2026-03-10", "activity-2026-03-10.1"),
    ],
)
def test_a_name_that_is_nearly_ours_is_not_ours(name: str) -> None:
    assert ACTIVITY.parse(name) is None


def test_a_session_file_always_has_a_number() -> None:
    assert SESSIONS.parse("2026-03-10.log") is None
    assert SESSIONS.parse("2026-03-10_1.log") is None


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "/", "a/{date}/b.log", "{date}{number}.log", "{number}.log", "{x}.log"),
        *("{date}-{date}.log", "{number}_{date}.log", ".hidden.log", "a\0b", "{date}", "{", "}x"),
    ],
)
def test_a_path_that_makes_no_names_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="not a path for log files"):
        Series.of(Path(path))


def test_segments_come_oldest_first_and_the_live_file_last() -> None:
    names = [
        *("activity.log", "activity-2026-03-10.log", "activity-2026-03-10.10.log"),
        *("activity-2026-03-10.9.log", "activity-2026-03-11.1.log.zst", "activity-2026-03-09.log"),
        "other.log",
    ]

    assert [one.name for one in ACTIVITY.all_in(names)] == [
        "activity-2026-03-09.log",
        "activity-2026-03-10.9.log",
        "activity-2026-03-10.10.log",
        "activity-2026-03-10.log",
        "activity-2026-03-11.1.log.zst",
        "activity.log",
    ]


def test_the_next_number_is_behind_all_that_are_taken_on_the_day() -> None:
    names = [
        "activity-2026-03-10.3.log.zst",
        "activity-2026-03-10.1.log",
        "activity-2026-03-11.9.log",
    ]
    taken = ACTIVITY.all_in(names)

    assert next_number(taken, DAY) == 4
    assert next_number([], DAY) == 1


@pytest.mark.parametrize(
    ("line", "day"),
    [
        (b"2026-03-10T12:00:00.000Z|a:b|c|d", DAY),
        (b'{"timestamp":"2026-03-10T12:00:00Z","op":"write"}', DAY),
        (b'{"kind":"a:b","id":"1","ts":"2026-03-10T12:00:00Z","scope":{}}', DAY),
        (b"2026-02-30T12:00:00.000Z|a:b|c|d", None),
        (b"a line", None),
        (b"", None),
        (b"x" * 600 + b'"ts":"2026-03-10T12:00:00Z"', None),
    ],
)
def test_the_day_of_a_line_is_read_from_any_form(line: bytes, day: date | None) -> None:
    assert day_of_line(line) == day


# --- reading ----------------------------------------------------------------------


def test_lines_are_read_across_segments_oldest_first(tmp_path: Path) -> None:
    (tmp_path / "activity.log").write_bytes(b"e\nunfinished")
    (tmp_path / "activity-2026-03-10.log").write_bytes(b"c\nd")
    (tmp_path / "activity-2026-03-10.1.log").write_bytes(b"b\n")
    (tmp_path / "activity-2026-03-09.log").write_bytes(b"a\n")
    (tmp_path / "activity-2026-03-08.log").mkdir()
    os.mkfifo(tmp_path / "activity-2026-03-07.log")
    (tmp_path / "activity-2026-03-06.log").symlink_to(tmp_path / "activity.log")
    series = Series.of(tmp_path / "activity.log")

    assert list(read_lines(series)) == [b"a", b"b", b"c", b"d", b"e"]
    assert list(read_lines(series, since=DAY)) == [b"b", b"c", b"d", b"e"]


def test_a_series_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(Series.of(tmp_path / "none" / "activity.log"))) == []


def test_a_packed_segment_is_read_and_its_plain_twin_is_read_instead(tmp_path: Path) -> None:
    zstd = pytest.importorskip("backports.zstd")
    packed = zstd.compress(b"a\n") + zstd.compress(b"b\n")
    (tmp_path / "activity-2026-03-09.log.zst").write_bytes(packed)
    (tmp_path / "activity-2026-03-10.log.zst").write_bytes(zstd.compress(b"c\n"))
    (tmp_path / "activity-2026-03-10.log").write_bytes(b"c\n")

    assert list(read_lines(Series.of(tmp_path / "activity.log"))) == [b"a", b"b", b"c"]


def test_a_damaged_packed_segment_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    zstd = pytest.importorskip("backports.zstd")
    (tmp_path / "activity-2026-03-09.log.zst").write_bytes(zstd.compress(b"a\n") + b"garbage")
    (tmp_path / "activity-2026-03-10.log.zst").write_bytes(zstd.compress(b"b\n" * 99)[:-4])
    (tmp_path / "activity.log").write_bytes(b"z\n")

    lines = list(read_lines(Series.of(tmp_path / "activity.log")))

    assert lines[0] == b"a"
    assert lines[-1] == b"z"


def test_a_packed_bomb_is_read_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zstd = pytest.importorskip("backports.zstd")
    monkeypatch.setattr(segments, "LINE_MOST", 1_000_000)
    bomb = zstd.compress(b"\0" * 50_000_000)
    assert len(bomb) < 10_000
    (tmp_path / "activity-2026-03-09.log.zst").write_bytes(bomb + zstd.compress(b"\nnext\n"))

    lines = list(read_lines(Series.of(tmp_path / "activity.log")))

    assert [len(line) for line in lines] == [1_000_000, 4]


@given(parts=st.lists(st.binary(max_size=9), max_size=20), size=st.integers(1, 8))
def test_however_it_is_read_a_file_has_the_same_lines(parts: list[bytes], size: int) -> None:
    content = b"\n".join(parts)
    pieces = [content[n : n + size] for n in range(0, len(content), size)]
    whole = content.split(b"\n")

    assert list(segments._lines_of(pieces, may_grow=True)) == whole[:-1]
    assert list(segments._lines_of(pieces, may_grow=False)) == (whole if whole[-1] else whole[:-1])


def do_nothing() -> None:
    pass


class Meddler(Disk):
    """Does something to the files once they were listed."""

    def __init__(self) -> None:
        self.meddle: Callable[[], None] = do_nothing
        self.after: Callable[[], None] = do_nothing

    def names(self, directory: Path) -> list[str]:
        names = super().names(directory)
        self.after, self.meddle = self.meddle, do_nothing
        return names

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        after, self.after = self.after, do_nothing
        after()
        return super().open(path, flags, mode)


@pytest.mark.parametrize("act", ["rotate", "pack", "prune"])
def test_a_file_that_moves_while_it_is_read_is_read_once(tmp_path: Path, act: str) -> None:
    zstd = pytest.importorskip("backports.zstd")
    live, old = tmp_path / "activity.log", tmp_path / "activity-2026-03-10.log"
    live.write_bytes(b"b\n")
    old.write_bytes(b"a\n")
    disk = Meddler()

    def meddle() -> None:
        if act == "rotate":
            live.rename(tmp_path / "activity-2026-03-11.log")
            live.write_bytes(b"c\n")
        elif act == "pack":
            Path(f"{old}.zst").write_bytes(zstd.compress(b"a\n"))
            old.unlink()
        else:
            old.unlink()

    disk.meddle = meddle

    lines = list(read_lines(Series.of(live), disk=disk))

    assert lines == ([b"b"] if act == "prune" else [b"a", b"b"])


# --- pruning ----------------------------------------------------------------------


def month(days: int) -> list[LogSegment]:
    return ACTIVITY.all_in([ACTIVITY.name(DAY - timedelta(days=n)) for n in range(days)])


def test_segments_past_their_days_are_prunable_and_the_live_file_never() -> None:
    old = prunable([*month(33), LogSegment("activity.log", None)], today=DAY, keep_days=30)

    assert [one.day for one in old] == [DAY - timedelta(days=n) for n in (32, 31)]


def test_carefully_only_the_oldest_day_is_prunable() -> None:
    segments_of_a_day = ACTIVITY.all_in(
        ["activity-2020-01-01.log", "activity-2020-01-01.1.log", "activity-2020-01-02.log"]
    )

    old = prunable(segments_of_a_day, today=DAY, keep_days=30, days_most=1)

    assert {one.day for one in old} == {date(2020, 1, 1)}
    assert len(old) == 2


@given(
    today=st.dates(),
    keep_days=st.floats(min_value=0, max_value=1e9),
    days=st.lists(st.dates(), max_size=9),
)
def test_whatever_the_day_what_is_young_or_of_the_future_stays(
    today: date, keep_days: float, days: list[date]
) -> None:
    old = prunable([LogSegment(str(day), day) for day in days], today=today, keep_days=keep_days)

    assert all(one.day is not None and (today - one.day).days > keep_days - 1 for one in old)


START = datetime(2026, 3, 10, tzinfo=UTC)


def look_hourly(guard: PruneGuard, start: datetime, *, hours: int, monotonic: float) -> list[bool]:
    return [
        guard.may_prune(start + timedelta(hours=n), monotonic + 3_600 * n) for n in range(hours)
    ]


def test_a_steady_clock_is_believed_at_once() -> None:
    assert all(look_hourly(PruneGuard(), START, hours=48, monotonic=0))
    assert all(look_hourly(PruneGuard(START - timedelta(days=6)), START, hours=2, monotonic=0))


@pytest.mark.parametrize("days", [3_650, 2, -2, -20_000])
def test_a_clock_that_jumped_is_believed_after_a_day_of_running(days: int) -> None:
    guard = PruneGuard()
    guard.may_prune(START, 0)

    believed = look_hourly(guard, START + timedelta(days=days), hours=26, monotonic=1)

    assert believed == [False] * 24 + [True] * 2
    assert guard.is_careful


def test_an_absence_is_doubted_like_a_jump_and_the_doubt_outlives_a_restart() -> None:
    guard = PruneGuard(START)
    late = START + timedelta(days=40)
    assert not any(look_hourly(guard, late, hours=12, monotonic=0))

    again = PruneGuard(late + timedelta(hours=11), guard.hold_seconds)

    believed = look_hourly(again, late + timedelta(hours=11), hours=15, monotonic=5)
    assert believed == [False] * 13 + [True] * 2
