"""A file sink that crashes, fails or loses power: nothing is lost, torn or there twice."""

import errno
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventbus.disk import Disk
from eventbus.event import Event
from eventbus.segments import Series, read_lines
from eventbus.testing import Crashed, FaultyDisk
from sinks import _ledger
from sinks.file import FileSink, Flat, Sessions
from tests.sinks.files import Desk, at, line, messages, run
from tests.sinks.power import PowerDisk


class QuickDisk(FaultyDisk):
    """Spares the real disk its syncs: only the process is gone, not the power."""

    def _really(self, operation: str, args: tuple[Any, ...]) -> Any:
        return None if operation.startswith("sync") else super()._really(operation, args)


IS_LONG = os.environ.get("EVENTBUS_LONG") == "1"


def some_of(calls: int) -> range:
    """Every call in the long form; every third in the short one."""
    return range(1, calls + 1, 1 if IS_LONG else 3)


Step = Callable[[Desk], Awaitable[None]]


def writes(*events: Event) -> Step:
    async def step(desk: Desk) -> None:
        await desk.write(*events)

    return step


def ticks(**passed: float) -> Step:
    async def step(desk: Desk) -> None:
        await desk.tick(**passed)

    return step


async def syncs(desk: Desk) -> None:
    await desk.sync()


async def reopens(desk: Desk) -> None:
    await desk.close()
    await resume(desk)


class Story:
    """A sink, what is done with it, and where every line has to be in the end."""

    def __init__(self, name: str, make: Callable[[], FileSink], steps: list[Step], pattern: str):
        self.name = name
        self.make = make
        self.steps = steps
        self.pattern = pattern

    def __repr__(self) -> str:
        return self.name


STORIES = [
    Story(
        "days",
        Flat,
        [
            writes(line("a"), line("late", at(8)), line("b")),
            syncs,
            ticks(),
            writes(line("c")),
            ticks(days=1),
            writes(line("d", at(11)), line("late too", at(10)), line("late three", at(8))),
            syncs,
            writes(line("e", at(11))),
            reopens,
            writes(line("f", at(11))),
        ],
        "activity.log",
    ),
    Story(
        "sizes",
        lambda: Flat(rotate_bytes=150),
        [
            writes(line("a"), line("b"), line("c")),
            writes(*(line(f"n={n}") for n in range(12))),
            syncs,
            writes(line("d"), line("late", at(9))),
            reopens,
            ticks(days=1),
            writes(line("e", at(11)), line("f", at(11)), line("g", at(11)), line("h", at(11))),
        ],
        "activity.log",
    ),
    Story(
        "packed",
        lambda: FileSink(path="log-{date}.txt", shape="flat", compress="zstd", rotate_bytes=150),
        [
            writes(line("a"), line("b"), line("c"), line("old", at(9))),
            syncs,
            ticks(days=1),
            writes(line("d", at(11)), line("late", at(10))),
            syncs,
            ticks(hours=2),
            writes(line("late too", at(10)), line("e", at(11))),
            syncs,
            ticks(hours=2),
        ],
        "log-{date}.txt",
    ),
    Story(
        "sessions",
        Sessions,
        [
            writes(line("a", session="s"), line("b", session="t")),
            syncs,
            writes(line("c", session="s"), line("d", session="u")),
            ticks(days=1),
            reopens,
            writes(line("e", at(11), session="t"), line("f", at(11), session="v")),
        ],
        "sessions/{date}_{number}.log",
    ),
]


async def resume(desk: Desk) -> None:
    await desk.resume(desk.story.make())  # type: ignore[attr-defined]


async def play(desk: Desk, story: Story, start: int = 0) -> int:
    """Do the steps; how far it got before the process was gone."""
    for number in range(start, len(story.steps)):
        try:
            await story.steps[number](desk)
        except Crashed:
            return number
    return len(story.steps)


def desk_for(story: Story, path: Path, disk: Disk) -> Desk:
    desk = Desk(path / "state", disk=disk)
    desk.story = story  # type: ignore[attr-defined]
    return desk


def told_once(desk: Desk, story: Story) -> None:
    """Every line of every batch is there once, none torn, each in the file it belongs to."""
    wanted = Counter(event.message for batch in desk.taken for event in batch.events)  # type: ignore[attr-defined]
    series = Series.of(desk.logs / story.pattern)
    found = list(read_lines(series))
    assert Counter(messages(found)) == wanted
    hidden = {path.suffix for path in series.directory.iterdir() if path.name.startswith(".")}
    assert hidden <= {".cursor", ".index"}, "something half done was left"
    for segment in series.segments():
        if segment.day is not None and not series.is_numbered and not segment.is_packed:
            content = (series.directory / segment.name).read_bytes()
            days = {one[:10].decode() for one in content.split(b"\n")[:-1]}
            assert days <= {segment.day.isoformat()}


def calls_of(story: Story, path: Path) -> int:
    """How many calls the story makes when all goes well."""
    disk = QuickDisk()
    desk = desk_for(story, path, disk)

    async def go() -> None:
        await resume(desk)
        await play(desk, story)
        await desk.close()

    run(go())
    told_once(desk, story)
    return len(disk.calls)


def abandon(sink: FileSink | None) -> None:
    """Let the thread of a process that is gone end."""
    if sink is not None and sink._thread is not None:
        sink._thread.shutdown(wait=False)


# --- the process is gone --------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("story", STORIES, ids=repr)
def test_a_crash_at_any_call_loses_nothing(story: Story, after: bool, tmp_path: Path) -> None:
    calls = calls_of(story, tmp_path / "whole")
    assert calls > 60

    for nth in range(1, calls + 1):
        disk = QuickDisk()
        disk.crash(nth, after=after)
        desk = desk_for(story, tmp_path / str(nth), disk)
        run(crash_and_go_on(desk, story))

        told_once(desk, story)


async def crash_and_go_on(
    desk: Desk, story: Story, then: Callable[[], None] = lambda: None
) -> None:
    """Play until the process is gone, then in a new one to the end."""
    reached = 0
    with suppress(Crashed):
        await resume(desk)
        reached = await play(desk, story)
        await desk.close()
    abandon(desk.sink)
    then()
    desk.disk = QuickDisk()
    is_offered = desk.pending is not None
    await resume(desk)
    await play(desk, story, reached + is_offered)
    await desk.close()


@pytest.mark.parametrize("story", [STORIES[0], STORIES[3]], ids=repr)
def test_a_crash_while_a_failed_sync_is_made_good_loses_nothing(
    story: Story, tmp_path: Path
) -> None:
    calls = calls_of(story, tmp_path / "whole")

    for sync in (3, 4):  # the first two are of the cursor, once a file
        for nth in range(10, min(calls, 60)):
            disk = QuickDisk()
            disk.fail("sync", sync)
            disk.crash(nth)
            desk = desk_for(story, tmp_path / f"{sync}-{nth}", disk)
            run(crash_and_go_on(desk, story))

            told_once(desk, story)


# --- a call fails ------------------------------------------------------------------


async def insist(desk: Desk, story: Story, *, fail: Callable[[], None] | None = None) -> None:
    """Do the steps as a lane does: what fails is tried again, on a disk that heals."""
    for step in [resume, *story.steps]:
        if fail is not None:
            fail()
        for tries in range(6):
            if tries == 4:
                desk.disk.heal()  # type: ignore[attr-defined]
            try:
                await step(desk)
                break
            except OSError:
                if step in (resume, reopens):
                    with suppress(OSError):
                        await desk.close()
        else:
            pytest.fail(f"never went well: {step}")
    with suppress(OSError):
        await desk.close()


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("story", STORIES, ids=repr)
def test_a_failure_of_any_call_is_survived(story: Story, after: bool, tmp_path: Path) -> None:
    calls = calls_of(story, tmp_path / "whole")

    for nth in some_of(calls):
        disk = QuickDisk()
        disk.fail(nth=nth, error=errno.EIO, after=after)
        desk = desk_for(story, tmp_path / str(nth), disk)
        run(insist(desk, story))

        told_once(desk, story)


@pytest.mark.parametrize("story", STORIES, ids=repr)
def test_writes_that_are_all_short_lose_nothing(story: Story, tmp_path: Path) -> None:
    disk = QuickDisk()
    disk.shorten(for_good=True)
    desk = desk_for(story, tmp_path, disk)

    run(insist(desk, story))

    told_once(desk, story)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["write", "truncate", "sync", "rename", "stat", "names"])
@pytest.mark.parametrize("story", STORIES, ids=repr)
def test_a_disk_that_fails_for_a_while_loses_nothing(
    story: Story, operation: str, tmp_path: Path
) -> None:
    """And a failed write whose rolling back fails too is rolled back before the next one."""
    for nth in (1, 2, 3, 5, 8, 13):
        disk = QuickDisk()
        desk = desk_for(story, tmp_path / str(nth), disk)
        run(insist(desk, story, fail=partial(fail_a_while, disk, operation, nth)))

        told_once(desk, story)


def fail_a_while(disk: FaultyDisk, operation: str, nth: int) -> None:
    disk.shorten(nth)
    disk.fail(operation, nth, error=errno.ENOSPC, for_good=True)
    disk.fail("truncate", nth, for_good=True)


# --- the power is cut ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("boots", [False, True], ids=["remounted", "booted"])
@pytest.mark.parametrize("story", STORIES, ids=repr)
def test_a_power_cut_at_any_call_loses_nothing(
    story: Story, boots: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a boot even what has its right length may be zeros."""
    boot_ids = iter(range(1_000_000))
    monkeypatch.setattr(_ledger, "boot_id", lambda: str(next(boot_ids) if boots else "same"))
    calls = calls_of(story, tmp_path / "whole")
    random = Random(story.name)

    for nth in some_of(calls):
        run(lose_power(story, tmp_path / str(nth), nth, random, leaves_zeros=boots))


async def lose_power(
    story: Story, path: Path, nth: int, random: Random, *, leaves_zeros: bool
) -> None:
    path.mkdir()
    disk = PowerDisk(path / "graveyard")
    disk.crash(nth)
    desk = desk_for(story, path, disk)

    def cut() -> None:
        disk.cut_power(desk.state, random, leaves_zeros=leaves_zeros)
        desk.power_was_cut = True

    await crash_and_go_on(desk, story, cut)
    told_once(desk, story)
