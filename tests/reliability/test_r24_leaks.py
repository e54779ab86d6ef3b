"""R24: nothing leaks, however often files rotate, lanes come and go and buses open and close.

Counted after a warm-up and again at the end: descriptors and threads are the
same, and so is memory, in blocks the interpreter holds and in pages.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus, JournalSettings
from eventbus.testing import FaultyDisk
from sinks.file import FileSink
from sinks.memory import MemorySink
from tests.letters import LetterSent, eventually
from tests.reliability.counts import runs, timeout_for

ROTATIONS = runs(ci=100, long=10_000)
EVENTS_EACH = 5_000
"""Events between two rotations: 0.5 million in all, 50 million in the long form."""
OPENINGS = runs(ci=50, long=2_000)
VISITS = runs(ci=100, long=5_000)
FAILURES = runs(ci=50, long=1_000)
WARM = 5
"""The first of every so many are not looked at: caches fill, modules are loaded."""
BLOCKS_MOST = 2_000 if ROTATIONS <= 100 else 10_000
"""Blocks that may come and go between two looks: caches of the interpreter's that fill up."""
LOOKS_MOST = 50
PAGES_MOST = 8 * 1024 * 1024
"""Bytes of memory in use that may come and go between two looks."""

Figure = Callable[[str, object], None]


class Held(msgspec.Struct, frozen=True):
    """What this process holds."""

    descriptors: list[str]
    threads: list[str]
    blocks: int
    pages: int
    """Bytes."""


def held() -> Held:
    gc.collect()
    return Held(
        descriptors=sorted(descriptors()),
        threads=sorted(thread.name for thread in threading.enumerate()),
        blocks=sys.getallocatedblocks(),
        pages=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    )


def held_at_rest() -> Held:
    """The same once it stays so: a lane that reads back has a file open until it is through."""
    looks = [held()]
    while len(looks) < LOOKS_MOST and not _is_steady(looks[-4:]):
        time.sleep(0.1)
        looks.append(held())
    return looks[-1]


def _is_steady(looks: list[Held]) -> bool:
    return len(looks) == 4 and len({len(each.descriptors) for each in looks}) == 1


def descriptors() -> Iterator[str]:
    """What each open descriptor is of, without what is different each time."""
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the one that listed them
            continue
        if "/pytest-of-" in name:  # an earlier test's, let go of late: nothing here is kept there
            continue
        yield name.partition(":")[0] if name.startswith(("socket:", "pipe:")) else name


def leaks(before: Held, after: Held) -> list[str]:
    """What there is more of, or less."""
    wrong = []
    if len(after.descriptors) != len(before.descriptors):
        wrong.append(f"descriptors: {before.descriptors} became {after.descriptors}")
    if after.threads != before.threads:
        wrong.append(f"threads: {before.threads} became {after.threads}")
    if after.blocks - before.blocks > BLOCKS_MOST:
        wrong.append(f"{after.blocks - before.blocks} blocks more")
    if after.pages - before.pages > PAGES_MOST:
        wrong.append(f"{after.pages - before.pages} bytes more")
    return wrong


def settled(before: Held) -> list[str]:
    """The leaks, once threads that are ending have ended."""
    eventually(lambda: not leaks(before, held()), within=2)
    return leaks(before, held())


def figure(before: Held, after: Held) -> str:
    more = len(after.descriptors) - len(before.descriptors)
    threads = len(after.threads) - len(before.threads)
    blocks = after.blocks - before.blocks
    return f"descriptors {more:+}, threads {threads:+}, blocks {blocks:+,}"


@pytest.mark.timeout(timeout_for(ROTATIONS, each=0.1))
def test_rotations_and_events_leave_nothing_behind(ram: Path, record_property: Figure) -> None:
    """R24: the journal and a log rotate and are pruned; what the process holds stays the same."""
    keeping = JournalSettings(segment_bytes=64 * 1024, keep_bytes=2 * 1024 * 1024)
    log = FileSink(path="letters.jsonl", rotate_bytes=64 * 1024)
    seen: set[str] = set()
    before = held()

    with EventBus(ram, sinks=[log, MemorySink(capacity=100)], journal=keeping) as bus:
        for turn in range(ROTATIONS):
            if turn == ROTATIONS // WARM:
                before = held_at_rest()
            for number in range(EVENTS_EACH):
                bus.emit_nowait(LetterSent(n=number))
            assert bus.flush_now(until="synced", timeout=60).reached
            seen.update(os.listdir(ram / "journal"))
            _delete_rotated(ram)
        seen_last = len(seen)
        seen.clear()
        assert eventually(lambda: not leaks(before, held()), within=2), leaks(before, held())
        after, rotated = held(), log.rotated

    counts = bus.statistics()
    assert counts.written == counts.accepted >= ROTATIONS * EVENTS_EACH
    assert seen_last >= ROTATIONS
    assert rotated >= ROTATIONS
    record_property(
        "figure",
        f"{seen_last - 2:,} segments, {rotated:,} rotated logs, {counts.written:,} events:"
        f" {figure(before, after)}",
    )


def _delete_rotated(state: Path) -> None:
    """As somebody who keeps a disk from filling would."""
    for path in (state / "logs").glob("letters-*"):
        path.unlink()


@pytest.mark.timeout(timeout_for(OPENINGS, each=0.2))
def test_buses_that_open_and_close_leave_nothing_behind(ram: Path, record_property: Figure) -> None:
    before = held()

    for turn in range(OPENINGS + WARM):
        if turn == WARM:
            before = held()
        with EventBus(ram, sinks=["jsonl", "flat", MemorySink(), FileSink(path="own.log")]) as bus:
            bus.emit_nowait(LetterSent(n=turn))
            assert bus.flush_now(timeout=20).lanes

    assert settled(before) == []
    record_property("figure", f"{OPENINGS} buses of 4 lanes: {figure(before, held())}")


@pytest.mark.timeout(timeout_for(VISITS, each=0.1))
def test_lanes_that_come_and_go_leave_nothing_behind(ram: Path, record_property: Figure) -> None:
    with EventBus(ram) as bus:
        before = held()
        for turn in range(VISITS + WARM):
            if turn == WARM:
                assert eventually(lambda: not visitors())
                before = held()
            name = bus.attach(FileSink(path=f"{turn}.jsonl"), name="visit", writers="all")
            subscription = bus.subscribe(LetterSent)
            bus.emit_nowait(LetterSent(n=turn))
            assert bus.flush_now(timeout=20).lanes
            subscription.cancel()
            assert bus.detach(name)

        assert eventually(lambda: not visitors())
        assert settled(before) == []
        record_property(
            "figure", f"{VISITS} lanes and {VISITS} subscriptions: {figure(before, held())}"
        )


def visitors() -> list[str]:
    """Threads of lanes that were told to leave and have not yet."""
    return [thread.name for thread in threading.enumerate() if thread.name.endswith("-visit")]


@pytest.mark.timeout(timeout_for(FAILURES, each=0.1))
def test_syncs_that_fail_leave_no_descriptor_behind(ram: Path, record_property: Figure) -> None:
    disk = FaultyDisk()
    with EventBus(ram, sinks=[MemorySink(capacity=10)], disk=disk) as bus:
        before = held()
        for turn in range(FAILURES + WARM):
            if turn == WARM:
                before = held()
            disk.fail("sync")
            bus.emit_nowait(LetterSent(n=turn))
            assert bus.flush_now(until="synced", timeout=20).reached
            disk.heal()
            disk.calls.clear()

        assert settled(before) == []
        record_property("figure", f"{FAILURES} failed syncs: {figure(before, held())}")
