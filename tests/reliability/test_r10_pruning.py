"""R10: pruning deletes files of ours alone, by the policy alone, whatever the clock says.

Whatever else lies in the directories stays: files of other names, links, pipes
and directories even under a name of ours. A clock that jumps ten years, ahead
or back, makes nothing old. A segment that a writer takes up again in that very
moment is not deleted under it.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from eventbus import EventBus, JournalSettings, NamedSink
from eventbus.clock import Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import encode
from eventbus.events.bus import GapLeft
from eventbus.journal import Journal
from eventbus.pruning import prune_journal
from eventbus.segment import Segment
from eventbus.testing import FakeClock
from tests.reliability.counts import runs, timeout_for
from tests.reliability.numbered import Producer, bad_lines, numbered, read_numbers

STORIES = runs(ci=200, long=10_000)
KEEP_DAYS = 30
TODAY = datetime(2026, 3, 10, 12, tzinfo=UTC)
TEN_YEARS = timedelta(days=3_652)
WHO = Producer(run=0, producer=0)
FIGURE = "figure"

Record = Callable[[str, object], None]


# --- what lies in a directory ----------------------------------------------------


class Thing(NamedTuple):
    """Something in a directory: what it is and what it holds."""

    mode: int
    inode: int
    content: bytes


def _things(directory: Path) -> dict[str, Thing]:
    found = {}
    for entry in os.scandir(directory):
        status = entry.stat(follow_symlinks=False)
        content = Path(entry.path).read_bytes() if entry.is_file(follow_symlinks=False) else b""
        found[entry.name] = Thing(status.st_mode, status.st_ino, content)
    return found


def _foreign_to_the_journal(directory: Path) -> dict[str, Thing]:
    """Put there what is not ours, all of it older than any policy keeps."""
    directory.mkdir(parents=True, exist_ok=True)
    before = set(os.listdir(directory))
    for name in (
        *("notes.txt", "2020.jsonl", "20200101T000000000000-00000000.jsonl.bak"),
        *("20200101T000000000000-0000000.jsonl", "20200101T000000000000-ABCDEF01.jsonl"),
        *("x20200101T000000000000-00000000.jsonl", "20200101T000000000000-00000000.json"),
        *("20209999T000000000000-00000000.jsonl", "notes.0.torn", ".hidden.jsonl"),
    ):
        (directory / name).write_bytes(b"theirs\n")
    (directory / "20200102T000000000000-11111111.jsonl").symlink_to(directory / "notes.txt")
    (directory / "20200102T000000000000-22222222.jsonl").symlink_to("/nowhere")
    (directory / "20200102T000000000000-33333333.jsonl").mkdir()
    (directory / "20200102T000000000001-33333333.jsonl").mkdir()
    (directory / "20200102T000000000000-33333333.0.torn").mkdir()
    os.mkfifo(directory / "20200102T000000000000-44444444.jsonl")
    things = {name: thing for name, thing in _things(directory).items() if name not in before}
    for name in things:
        os.utime(directory / name, (0, 0), follow_symlinks=False)
    return things


def _untouched(directory: Path, foreign: dict[str, Thing]) -> list[str]:
    """Which of them are not as they were."""
    now = _things(directory)
    return sorted(name for name, thing in foreign.items() if now.get(name) != thing)


def _segment(state: Path, moment: datetime, writer: str, *, first: int = 0) -> Path:
    """A finished segment of three events, written at that moment."""
    segment = Segment.named(state / "journal", moment, writer)
    segment.path.parent.mkdir(parents=True, exist_ok=True)
    lines = [encode(numbered(*WHO, first + number)) + b"\n" for number in range(3)]
    segment.path.write_bytes(b"".join(lines))
    os.utime(segment.path, (moment.timestamp(), moment.timestamp()))
    return segment.path


def _prune(state: Path, clock: Clock, **policy: int | None) -> list[GapLeft]:
    (state / "run").mkdir(parents=True, exist_ok=True)
    settled = {"keep_days": KEEP_DAYS, "keep_bytes": None, **policy}
    return prune_journal(state, clock=clock, disk=SYSTEM_DISK, **settled)  # type: ignore[arg-type]


# --- only ours ---------------------------------------------------------------------


@pytest.mark.timeout(30)
@pytest.mark.parametrize("policy", [{"keep_days": 1}, {"keep_bytes": 0}], ids=str)
def test_of_all_that_lies_in_the_journals_directory_only_segments_go(
    ram: Path, policy: dict[str, int], record_property: Record
) -> None:
    ours = [_segment(ram, TODAY - timedelta(days=90), f"{n:08x}") for n in range(5)]
    torn = [path.with_name(f"{path.stem}.{n}.torn") for n, path in enumerate(ours)]
    for path in torn:
        path.write_bytes(b'{"kind":"pro')
    foreign = _foreign_to_the_journal(ram / "journal")

    _prune(ram, FakeClock(TODAY), **policy)

    assert _untouched(ram / "journal", foreign) == []
    assert [path.name for path in (*ours, *torn) if path.exists()] == []
    record_property(FIGURE, f"{len(foreign)} foreign things: 0 touched; {len(ours)} of ours gone")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("years", [10, -10, 0])
def test_nor_does_a_bus_with_log_files_touch_what_is_not_its_own(
    tmp_path: Path, years: int, record_property: Record
) -> None:
    """End to end: the journal and a log file, with the clock ten years off and right."""
    with _bus(tmp_path, FakeClock(TODAY)) as bus:
        _emit(bus, range(10), TODAY)
    foreign = _foreign_to_the_journal(tmp_path / "journal")
    logs = _foreign_to_the_logs(tmp_path / "logs")
    young = [tmp_path / "logs" / f"events-2026-02-{day:02}.jsonl" for day in (15, 20, 28)]
    for path in young:
        path.write_bytes(b'{"kind":"a:b"}\n')

    moment = TODAY + years * TEN_YEARS / 10
    for turn in (1, 2):
        with _bus(tmp_path, FakeClock(moment)) as bus:
            _emit(bus, range(turn * 10, turn * 10 + 10), moment)

    assert _untouched(tmp_path / "journal", foreign) == []
    assert _untouched(tmp_path / "logs", logs) == []
    assert [path.name for path in young if not path.exists()] == []
    assert sorted(read_numbers(tmp_path)[WHO]) == list(range(30))
    found = b"".join(
        path.read_bytes() for path in (tmp_path / "logs").glob("events*.jsonl") if _plain(path)
    )
    assert found.count(b'"kind":"proof:number"') == 30
    record_property(FIGURE, f"{len(foreign) + len(logs)} foreign things: 0 touched; 30 events kept")


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


@contextmanager
def _bus(state: Path, clock: Clock) -> Iterator[EventBus]:
    with EventBus(
        state,
        sinks=[NamedSink(use="jsonl")],
        journal=JournalSettings(keep_days=KEEP_DAYS, keep_bytes=1_000_000),
        clock=clock,
        grace=20,
    ) as bus:
        yield bus


def _emit(bus: EventBus, numbers: range, moment: datetime) -> None:
    for number in numbers:
        bus.emit_nowait(msgspec.structs.replace(numbered(*WHO, number), ts=moment))


def _foreign_to_the_logs(directory: Path) -> dict[str, Thing]:
    before = set(os.listdir(directory))
    for name in (
        *("events-2020-01-01.jsonl.bak", "events-2020-01-01.json", "myevents-2020-01-01.jsonl"),
        *("events-2020-02-30.jsonl", "events-2020-1-1.jsonl", "events-2020-01-01.01.jsonl"),
        *("notes.txt", "events-2020-01-01.jsonl.gz"),
    ):
        (directory / name).write_bytes(b"theirs\n")
    (directory / "events-2020-01-02.jsonl").symlink_to(directory / "notes.txt")
    (directory / "events-2020-01-03.jsonl").mkdir()
    os.mkfifo(directory / "events-2020-01-04.jsonl")
    return {name: thing for name, thing in _things(directory).items() if name not in before}


# --- by the policy, whatever the clock ---------------------------------------------


def _wrong_times(rng: random.Random) -> Iterator[tuple[timedelta, timedelta]]:
    """How far off the clock is, and for how long: less than a day in all."""
    for _ in range(rng.randrange(1, 6)):
        years = rng.choice((1, 1, -1, -1, 5, -0.2, 0.1))
        yield years * TEN_YEARS, timedelta(hours=rng.uniform(0, 4.5))


def _prune_through(state: Path, rng: random.Random, ages: list[float]) -> Iterator[str]:
    """Prune while the clock jumps about; what went wrong."""
    (state / "journal").mkdir(parents=True, exist_ok=True)
    segments = {
        age: _segment(state, TODAY - timedelta(days=age), f"{number:08x}")
        for number, age in enumerate(ages)
    }
    foreign = _foreign_to_the_journal(state / "journal")
    clock, now = FakeClock(TODAY), TODAY
    _prune(state, clock, keep_days=10_000)
    for off, lasts in _wrong_times(rng):
        for _ in range(3):
            now += lasts / 3
            clock.jump(now + off)
            _prune(state, clock)
        yield from _missing(segments, now, f"with the clock {off.days} days off")
    for _ in range(27):
        now += timedelta(hours=1)
        clock.jump(now)
        _prune(state, clock)
    yield from _missing(segments, now, "with the clock right again")
    for age, path in segments.items():
        if age > KEEP_DAYS and path.exists():
            yield f"{age:.1f} days old and kept, a day after the clock was right again"
    yield from (f"foreign: {name}" for name in _untouched(state / "journal", foreign))


def _missing(segments: dict[float, Path], now: datetime, when: str) -> Iterator[str]:
    for age, path in segments.items():
        if age + (now - TODAY) / timedelta(days=1) < KEEP_DAYS and not path.exists():
            yield f"{age:.1f} days old and gone {when}"


@pytest.mark.timeout(timeout_for(STORIES, each=0.05))
def test_a_clock_that_jumps_about_by_years_makes_nothing_old(
    ram: Path, record_property: Record
) -> None:
    rng = random.Random(10)

    for number in range(STORIES):
        ages = [rng.uniform(0, 28) for _ in range(4)] + [rng.uniform(31, 60) for _ in range(2)]
        assert list(_prune_through(ram / str(number), rng, ages)) == [], number

    record_property(FIGURE, f"{STORIES} stories of jumping clocks: 0 young, 0 foreign files gone")


@pytest.mark.parametrize("years", [10, -10])
def test_too_many_bytes_go_oldest_first_and_no_more_of_them_while_the_clock_is_off(
    ram: Path, years: int
) -> None:
    paths = [_segment(ram, TODAY - timedelta(days=20 - n), "00000000", first=n) for n in range(10)]
    clock = FakeClock(TODAY)
    _prune(ram, clock)
    clock.jump(TODAY + years * TEN_YEARS / 10)

    _prune(ram, clock, keep_bytes=sum(path.stat().st_size for path in paths[4:]))

    assert [path.exists() for path in paths] == [False] * 4 + [True] * 6


def test_one_that_cannot_be_deleted_keeps_no_other_from_it(ram: Path) -> None:
    paths = [_segment(ram, TODAY - timedelta(days=90 - n), f"{n:08x}") for n in range(4)]

    class Stubborn(Disk):
        def unlink(self, path: Path) -> None:
            if path == paths[1]:
                raise PermissionError(1, "not yours", str(path))
            super().unlink(path)

    (ram / "run").mkdir()
    prune_journal(
        ram, keep_days=KEEP_DAYS, keep_bytes=None, clock=FakeClock(TODAY), disk=Stubborn()
    )

    assert [path.exists() for path in paths] == [False, True, False, False]


# --- never under a writer ------------------------------------------------------------


class Meddling(Disk):
    """Does something else in between: just before one call."""

    def __init__(self, act: str, meddle: Callable[[], object]) -> None:
        self._act = act
        self._meddle: Callable[[], object] | None = meddle

    def _before(self, act: str, path: Path) -> None:
        if act == self._act and path.suffix == ".jsonl" and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()

    def unlink(self, path: Path) -> None:
        self._before("unlink", path)
        super().unlink(path)

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        self._before("open", path)
        fd = super().open(path, flags, mode)
        self._before("opened", path)
        return fd


def _ended_well(state: Path) -> Path:
    with EventBus(state, serve="never") as bus:
        bus.emit_nowait(numbered(*WHO, 0))
    (path,) = (state / "journal").glob("*.jsonl")
    return path


def _append_and_die(journal: Journal) -> None:
    journal.append([encode(numbered(*WHO, 1)) + b"\n"], 1)
    journal.sync()


@pytest.mark.parametrize("act", ["open", "opened", "unlink"])
def test_a_segment_that_is_taken_up_while_it_is_pruned_loses_nothing_of_its_writer(
    tmp_path: Path, act: str
) -> None:
    _ended_well(tmp_path)
    writer = Journal(tmp_path, JournalSettings())

    def take_it_up() -> None:
        writer.open()
        _append_and_die(writer)

    disk = Meddling(act, take_it_up)
    prune_journal(tmp_path, keep_days=0, keep_bytes=0, clock=Clock(), disk=disk)
    _append_and_die(writer)
    writer.abandon()

    assert read_numbers(tmp_path)[WHO][-2:] == [1, 1]
    assert list(bad_lines(tmp_path)) == []


def test_a_segment_that_is_pruned_while_it_is_taken_up_loses_nothing_of_its_writer(
    tmp_path: Path,
) -> None:
    path = _ended_well(tmp_path)

    def prune_it() -> None:
        prune_journal(tmp_path, keep_days=0, keep_bytes=0, clock=Clock(), disk=SYSTEM_DISK)

    writer = Journal(tmp_path, JournalSettings(), disk=Meddling("opened", prune_it))
    writer.open()
    _append_and_die(writer)
    writer.abandon()

    assert not path.exists()
    assert read_numbers(tmp_path)[WHO] == [1]
