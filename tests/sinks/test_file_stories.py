"""File sinks in stories nobody thought of: days, late lines, crashes, failures, in any order."""

import errno
from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventbus.event import Event
from eventbus.segments import Series, read_lines
from eventbus.testing import Crashed
from sinks.file import FileSink
from tests.sinks.files import Desk, line, messages, run
from tests.sinks.test_file_crash import QuickDisk, abandon

PATHS = ("activity.log", "log-{date}.txt", "sessions/{date}_{number}.log")


class Step(NamedTuple):
    """Something that is done with the sink; `what` says what, `how` how much."""

    what: str
    how: Any = None


class Fault(NamedTuple):
    """Something that goes wrong at the nth call from then on."""

    what: str
    nth: int


LATE = st.sampled_from([0, 0, 0, 0, -1, -1, -2, -9, 1])
"""Days a line lies behind."""
WRITES = st.tuples(st.just("write"), st.lists(st.tuples(LATE, st.integers(1, 3)), max_size=9))
TICKS = st.tuples(st.just("tick"), st.sampled_from([1, 3_600, 43_200, 86_400, 3 * 86_400]))
OTHERS = st.tuples(st.sampled_from(["sync", "reopen"]), st.none())
STEPS = st.one_of(WRITES, WRITES, TICKS, OTHERS).map(lambda pair: Step(*pair))
WRONG = st.tuples(st.sampled_from(["crash", "crash after", "fail", "short"]), st.integers(1, 30))
FAULTS = st.one_of(st.none(), st.none(), WRONG.map(lambda pair: Fault(*pair)))


class Play:
    """One story, told by a lane that never gives up."""

    def __init__(self, state: Path, path: str, **named: Any) -> None:
        self.disk = QuickDisk()
        self.desk = Desk(state, disk=self.disk)
        self.settings = {"path": path, "shape": "flat", "keep_days": 0, **named}
        self.emitted: list[tuple[str, Event]] = []

    async def begin(self) -> None:
        await self.desk.resume(FileSink(**self.settings))

    async def do(self, step: Step, fault: Fault | None) -> None:
        self.arrange(fault)
        is_offered = step.what == "write"
        batch = self.batch(step.how) if is_offered else []
        for _ in range(9):
            try:
                await self.once(step, batch)
                return
            except OSError:
                self.disk.heal()
            except Crashed:
                await self.rise()
                if is_offered:
                    return
        pytest.fail(f"never went well: {step}")

    def arrange(self, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.what == "fail":
            self.disk.fail(nth=fault.nth, error=errno.EIO)
        elif fault.what == "short":
            self.disk.shorten(for_good=True)
            self.disk.fail("write", fault.nth, error=errno.ENOSPC, for_good=True)
        else:
            self.disk.crash(fault.nth, after=fault.what == "crash after")

    def batch(self, lines: list[tuple[int, int]]) -> list[Event]:
        now = self.desk.clock.now()
        events: list[Event] = []
        for days, session in lines or [(0, 1)]:
            ts = now + timedelta(days=days)
            number = len(self.emitted)
            event = line(f"n={number} {'x' * (number % 40)}", ts, session=f"s{session}")
            self.emitted.append((f"n={number} {'x' * (number % 40)}", event))
            events.append(event)
        return events

    async def once(self, step: Step, batch: list[Event]) -> None:
        desk = self.desk
        if step.what == "write":
            await desk.write(*batch)
        elif step.what == "tick":
            await desk.tick(seconds=step.how)
        elif step.what == "sync":
            await desk.sync()
        else:
            await self.reopen()

    async def reopen(self) -> None:
        try:
            await self.desk.close()
        finally:
            if self.desk.sink is None:
                await self.begin()

    async def rise(self) -> None:
        """Go on in a new process."""
        abandon(self.desk.sink)
        self.disk = QuickDisk()
        self.desk.disk = self.disk
        await self.begin()

    async def end(self) -> None:
        self.disk.heal()
        await self.desk.close()


@pytest.mark.slow
@given(
    path=st.sampled_from(PATHS),
    compress=st.sampled_from(["off", "zstd"]),
    rotate_bytes=st.sampled_from([0, 60, 200]),
    story=st.lists(st.tuples(STEPS, FAULTS), max_size=14),
)
@example(  # the packed file gets the inode of the plain one that a record speaks of
    path="activity.log",
    compress="zstd",
    rotate_bytes=0,
    story=[
        (Step("write", [(-1, 1), (-1, 1), (-2, 1)]), None),
        (Step("tick", 1), Fault("crash", 1)),
        (Step("reopen"), None),
    ],
)
def test_whatever_happens_every_line_is_there_once_and_in_its_file(
    path: str, compress: str, rotate_bytes: int, story: list[tuple[Step, Fault | None]]
) -> None:
    with TemporaryDirectory() as directory:
        play = Play(Path(directory) / "state", path, compress=compress, rotate_bytes=rotate_bytes)

        async def go() -> None:
            await play.begin()
            for step, fault in story:
                await play.do(step, fault)
            await play.end()

        run(go())

        told_once(play, path)


def told_once(play: Play, path: str) -> None:
    series = Series.of(play.desk.logs / path)
    assert Counter(messages(read_lines(series))) == Counter(said for said, _ in play.emitted)
    days = {said: event.ts.date() for said, event in play.emitted}
    for segment in series.segments():
        if segment.day is not None and not segment.is_packed and not series.is_numbered:
            content = (series.directory / segment.name).read_bytes()
            said = messages(content.split(b"\n")[:-1])
            assert {days[each] for each in said} <= {segment.day}


def test_a_full_story_in_each_kind_of_file(tmp_path: Path) -> None:
    """The stories above are of use only if they rotate, pack, crash and recover."""
    for number, path in enumerate(PATHS):
        play = Play(tmp_path / str(number), path, compress="zstd", rotate_bytes=60)

        async def go(play: Play = play) -> None:
            await play.begin()
            for nth in (3, 9):
                await play.do(Step("write", [(0, 1), (-1, 2), (0, 1)]), Fault("crash", nth))
                await play.do(Step("sync"), None)
                await play.do(Step("tick", 86_400), Fault("fail", 2))
                await play.do(Step("reopen"), None)
                await play.do(Step("tick", 3_600), None)
            await play.end()

        run(go())

        told_once(play, path)
        if number < 2:
            assert any(name.endswith(".zst") for name in play.desk.names())
