"""R9: a kill at any step of rolling, rotating, packing or pruning loses and doubles nothing.

Each test first counts the calls that a whole run makes on the files in
question; then a forked writer is gone at one of these calls, point after
point: before it, or within, if it writes. The next process finds the wreckage.
CI's stories are short, so that each point of them is tried; most of what they
find there was written before, on a disk that does not kill, and copied. What single file
sinks do at every such point is proven in tests/sinks; here it is the journal,
and the log files behind a whole bus.
"""

import os
import random
import select
import shutil
import signal
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import msgspec
import pytest

from eventbus import EventBus, JournalSettings, NamedSink
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import decode
from eventbus.segments import Series, read_lines
from eventbus.testing.disk import OPERATIONS
from tests.reliability.counts import runs, timeout_for
from tests.reliability.numbered import Numbered, Producer, bad_lines, numbered, read_numbers

ROLLS = runs(ci=1_000, long=100_000)
PRUNINGS = runs(ci=1_000, long=100_000)
ROTATIONS = runs(ci=1_000, long=100_000)
IS_WHOLE = ROLLS > 10_000
"""True in the long form: the story is on the killing disk from its beginning."""
WHO = Producer(run=0, producer=0)
TOLD = struct.Struct("<I")
PATIENCE = 30.0
START = datetime(2026, 3, 10, 9, tzinfo=UTC)

Way = Literal["before", "within"]
Tell = Callable[[int], None]
Story = Callable[[Path, Disk, Tell], None]
Record = Callable[[str, object], None]


# --- a process that is gone at a point ----------------------------------------------


class Point(NamedTuple):
    """The call before which the process is gone, or the write within which it is."""

    nth: int
    way: Way


class Calls(NamedTuple):
    """How many calls there were, and how many of them wrote."""

    all: int = 0
    writes: int = 0


class MortalDisk(Disk):
    """Counts the calls on files below a directory, and ends the process at one of them."""

    def __init__(self, below: Path, point: Point | None = None) -> None:
        self.calls = Calls()
        self._below = below
        self._point = point
        self._fds: set[int] = set()

    def _do(self, operation: str, args: tuple[Any, ...]) -> Any:
        if not self._concerns(args):
            return self._really(operation, args)
        writes = operation in ("write", "writev")
        self.calls = Calls(self.calls.all + 1, self.calls.writes + writes)
        if self._point == Point(self.calls.all, "before"):
            os._exit(9)
        if writes and self._point == Point(self.calls.writes, "within"):
            whole = b"".join(args[1]) if operation == "writev" else bytes(args[1])
            super().write(args[0], whole[: len(whole) // 2])
            os._exit(9)
        return self._really(operation, args)

    def _concerns(self, args: tuple[Any, ...]) -> bool:
        first = args[0]
        return first in self._fds if isinstance(first, int) else self._below in first.parents

    def _really(self, operation: str, args: tuple[Any, ...]) -> Any:
        outcome = getattr(super(), operation)(*args)
        if operation == "open":
            (self._fds.add if self._concerns(args) else self._fds.discard)(outcome)
        return outcome


def _watched(operation: str) -> Callable[..., Any]:
    def call(self: MortalDisk, *args: Any) -> Any:
        return self._do(operation, args)

    return call


for _operation in OPERATIONS:
    setattr(MortalDisk, _operation, _watched(_operation))


class Ended(NamedTuple):
    """What was heard of a process until it was gone."""

    told: int
    """The last number it was told is safe; -1 for none."""
    status: int
    calls: Calls = Calls()


def _run(story: Story, state: Path, disk: MortalDisk) -> Ended:
    """Play a story in a process of its own."""
    heard, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(story, state, disk, says)
    os.close(says)
    try:
        said = _listen(heard, pid)
    finally:
        os.close(heard)
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    told = [-1, *(number for (number,) in TOLD.iter_unpack(said))]
    return Ended(told[-3], 0, Calls(*told[-2:])) if code == 0 else Ended(told[-1], code)


def _be_child(story: Story, state: Path, disk: MortalDisk, says: int) -> NoReturn:
    try:
        story(state, disk, partial(_tell, says))
        for number in disk.calls:
            _tell(says, number)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _tell(says: int, number: int) -> None:
    os.write(says, TOLD.pack(number))


def _listen(heard: int, pid: int) -> bytes:
    said = b""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if select.select([heard], [], [], 0.5)[0]:
            part = os.read(heard, 65_536)
            if not part:
                return said
            said += part
    os.kill(pid, signal.SIGKILL)
    return said


def _points(calls: Calls, count: int) -> list[Point]:
    """Every point, or so many of them spread over the whole run."""
    every = [Point(nth, "before") for nth in range(1, calls.all + 1)]
    every += [Point(nth, "within") for nth in range(1, calls.writes + 1)]
    if count >= len(every):
        return every
    return random.Random(calls.all).sample(every, count)


def _wreck(
    story: Story, below: str, path: Path, count: int, *, before: Callable[[Path], None]
) -> Iterable[tuple[Path, Ended]]:
    """The state directories that kills at so many points leave, each with what was told."""
    before(path / "before")
    shutil.copytree(path / "before", path / "whole")
    whole = _run(story, path / "whole", MortalDisk(path / "whole" / below))
    assert whole.status == 0
    assert whole.calls.all > 30
    for point in _points(whole.calls, count):
        state = path / f"{point.nth}-{point.way}"
        shutil.copytree(path / "before", state)
        ended = _run(story, state, MortalDisk(state / below, point))
        assert ended.status in (0, 9), "it broke instead of being gone"
        yield state, ended


# --- the journal ------------------------------------------------------------------------

SMALL = JournalSettings(segment_bytes=1_500, sync_every=0.001)
KEEP_BYTES = 9_000
SEGMENT_MOST = 5_000
"""Bytes of a segment that just before it was full got the largest event."""
EVENTS = 80
FIRST = 0 if IS_WHOLE else 56
"""The first event on the killing disk."""


def _tell_each(
    numbers: range, state: Path, disk: Disk, tell: Tell, settings: JournalSettings = SMALL
) -> None:
    with EventBus(state, serve="never", journal=settings, disk=disk) as bus:
        for number in numbers:
            bus.emit_nowait(numbered(*WHO, number))
            if bus.flush_now(until="synced", timeout=PATIENCE).reached:
                tell(number)


def _before(state: Path) -> None:
    """What stands there when the story begins: too much already, for who prunes."""
    state.mkdir()
    if FIRST:
        _tell_each(range(FIRST), state, Disk(), lambda number: None)


def _roll(state: Path, disk: Disk, tell: Tell) -> None:
    _tell_each(range(FIRST, EVENTS), state, disk, tell)


def _prune(state: Path, disk: Disk, tell: Tell) -> None:
    settings = msgspec.structs.replace(SMALL, keep_bytes=KEEP_BYTES)
    _tell_each(range(FIRST, EVENTS), state, disk, tell, settings)


def _sizes(state: Path) -> list[int]:
    return [path.stat().st_size for path in sorted((state / "journal").glob("*.jsonl"))]


def _left_over(state: Path) -> list[str]:
    """Files in the journal's directory that nobody will ever need."""
    names = os.listdir(state / "journal")
    stems = {name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl")}
    torn = [name for name in names if name.endswith(".torn")]
    return [
        *(name for name in names if name.endswith((".new", ".tmp"))),
        *(name for name in torn if name.partition(".")[0] not in stems),
    ]


@pytest.mark.timeout(timeout_for(ROLLS if ROLLS < 5_000 else 3_000, each=0.3))
def test_a_kill_at_any_call_while_the_journal_rolls_loses_nothing(
    ram: Path, record_property: Record
) -> None:
    killed = 0

    for state, ended in _wreck(_roll, "journal", ram, ROLLS, before=_before):
        with EventBus(state, serve="never", journal=SMALL) as bus:
            bus.emit_nowait(numbered(1, 0, 0))

        found = read_numbers(state)
        numbers = found.get(WHO, [])
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > ended.told
        assert found[Producer(1, 0)] == [0]
        assert list(bad_lines(state)) == []
        assert _left_over(state) == []
        killed += ended.status == 9

    assert len(_sizes(ram / "whole")) > 3
    assert killed > min(ROLLS, 30) / 2, "the processes were not killed"
    record_property("figure", f"{killed} kills while it rolled: 0 lost, 0 twice")


@pytest.mark.timeout(timeout_for(PRUNINGS if PRUNINGS < 5_000 else 3_000, each=0.3))
def test_a_kill_at_any_call_while_the_journal_is_pruned_costs_no_more_than_the_policy(
    ram: Path, record_property: Record
) -> None:
    killed = 0
    settings = msgspec.structs.replace(SMALL, keep_bytes=KEEP_BYTES)

    for state, ended in _wreck(_prune, ".", ram, PRUNINGS, before=_before):
        sizes = _sizes(state)
        numbers = read_numbers(state).get(WHO, [])
        first = numbers[0] if numbers else 0
        assert numbers == list(range(first, first + len(numbers)))
        assert first + len(numbers) > ended.told
        assert first == 0 or sum(sizes) + SEGMENT_MOST > KEEP_BYTES

        with EventBus(state, serve="never", journal=settings) as bus:
            bus.emit_nowait(numbered(1, 0, 0))

        assert read_numbers(state)[Producer(1, 0)] == [0]
        assert sum(_sizes(state)) <= KEEP_BYTES + SEGMENT_MOST
        assert list(bad_lines(state)) == []
        assert _left_over(state) == []
        killed += ended.status == 9

    assert len(read_numbers(ram / "whole")[WHO]) < EVENTS, "the whole run pruned nothing"
    assert killed > min(PRUNINGS, 30) / 2, "the processes were not killed"
    record_property("figure", f"{killed} kills while it was pruned: 0 lost beyond the policy")


# --- log files behind a bus ------------------------------------------------------------

LOG = NamedSink(
    use="jsonl",
    settings={"path": "log.jsonl", "rotate_bytes": 900, "compress": "zstd", "keep_days": 2},
)


class SkippingClock(Clock):
    """Runs on from `START`, and skips ahead when told to."""

    def __init__(self) -> None:
        self._ahead = START - super().now()
        self._skipped = 0.0

    def now(self) -> datetime:
        return super().now() + self._ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def skip(self, passed: timedelta) -> None:
        self._ahead += passed
        self._skipped += passed.total_seconds()


HALF_DAY, HALF_DAYS = timedelta(hours=12), 10
FIRST_HALF_DAY = 0 if IS_WHOLE else 6
"""The first half day on the killing disk."""


def _days_before(state: Path) -> None:
    state.mkdir()
    if FIRST_HALF_DAY:
        _log_half_days(range(FIRST_HALF_DAY), state, Disk(), lambda number: None)


def _rotate(state: Path, disk: Disk, tell: Tell) -> None:
    """The days after: the log is rotated by size and by day, packed, pruned."""
    _log_half_days(range(FIRST_HALF_DAY, HALF_DAYS), state, disk, tell)


def _log_half_days(half_days: range, state: Path, disk: Disk, tell: Tell) -> None:
    clock = SkippingClock()
    clock.skip(half_days.start * HALF_DAY)
    with EventBus(state, sinks=[LOG], clock=clock, disk=disk, grace=PATIENCE) as bus:
        for half_day in half_days:
            for number in range(4 * half_day, 4 * half_day + 4):
                event = numbered(*WHO, number)
                bus.emit_nowait(msgspec.structs.replace(event, ts=clock.now()))
                if bus.flush_now(until="written", timeout=PATIENCE).reached:
                    tell(number)
            clock.skip(HALF_DAY)


def _in_log(state: Path) -> list[int]:
    """The numbers in the log, in its order; a torn line fails."""
    events = [decode(line) for line in read_lines(Series.of(state / "logs" / "log.jsonl"))]
    assert all(event.kind != "unknown:unknown" for event in events)
    return [event.number for event in events if isinstance(event, Numbered)]


def _go_on_until(state: Path, wanted: set[int], clock: Clock) -> None:
    with EventBus(state, sinks=[LOG], clock=clock, grace=PATIENCE):
        patience = time.monotonic() + PATIENCE
        while not wanted <= set(_in_log(state)) and time.monotonic() < patience:
            time.sleep(0.005)


def _days(count: int) -> dict[int, float]:
    """How many days after the start each of so many events was emitted."""
    return {number: (number // 4) * 0.5 for number in range(count)}


@pytest.mark.timeout(timeout_for(ROTATIONS if ROTATIONS < 5_000 else 3_000, each=1.0))
def test_a_kill_at_any_call_on_a_log_file_behind_a_bus_loses_nothing(
    ram: Path, record_property: Record
) -> None:
    """Rotated, packed and pruned: each event of a day that is kept is there once."""
    killed = 0

    for state, ended in _wreck(_rotate, "logs", ram, ROTATIONS, before=_days_before):
        numbers = read_numbers(state).get(WHO, [])
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > ended.told
        now = _days(40)[len(numbers) - 1] if numbers else 0.0
        kept = {number for number, day in _days(len(numbers)).items() if day > now - 2}
        clock = SkippingClock()
        clock.skip(timedelta(days=now))

        _go_on_until(state, kept, clock)

        found = Counter(_in_log(state))
        assert [number for number in kept if found[number] != 1] == []
        assert [number for number, times in found.items() if times > 1] == []
        assert set(found) <= set(numbers)
        killed += ended.status == 9

    whole = os.listdir(ram / "whole" / "logs")
    assert any(name.endswith(".zst") for name in whole), "the whole run packed nothing"
    assert not any("2026-03-10" in name for name in whole), "the whole run pruned nothing"
    assert killed > min(ROTATIONS, 30) / 2, "the processes were not killed"
    record_property("figure", f"{killed} kills of a bus with a log file: 0 lost, 0 twice")
