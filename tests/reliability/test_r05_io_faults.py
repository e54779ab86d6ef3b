"""R5: any call on a file may fail, and nothing that was acknowledged suffers.

A bus lives one short, busy life again and again: it opens beside what dead
writers left, emits, flushes, rolls, prunes, serves a local and a shared lane,
and closes. Each time another call of another kind fails: once, once though it
was done, from then on, with one errno or the other, or as a short write. The
bus may refuse to open, by name; it never raises into an emit, keeps its
deadline when it closes, and tells only what is so.
"""

import asyncio
import errno
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventbus.delivery
import eventbus.lanes
import eventbus.writer
from eventbus import EventBus, JournalSettings, NamedSink
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import NotKept, StateUnusable
from eventbus.event import encode
from eventbus.testing.disk import OPERATIONS, FaultyDisk
from tests.reliability.counts import runs, timeout_for
from tests.reliability.difficult import KeepingSink
from tests.reliability.numbered import Producer, bad_lines, numbered, read_numbers

CASES = runs(ci=2_200, long=40_000)
PROCESSES, AT_ONCE = 2, 8
"""Who lives the lives, and how many each at the same time: most of a life is waiting."""
GRACE = 0.15
SLACK = 1.0
PARTS, EVENTS_A_PART = 6, 15
WHO = Producer(run=1, producer=0)
ELDER = Producer(run=0, producer=0)
ELDER_EVENTS = 40
SETTINGS = JournalSettings(segment_bytes=4_000, sync_every=0.005, linger=0.0, keep_days=1)
ERRNOS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.ESTALE)


class Case(msgspec.Struct, frozen=True):
    """One fault."""

    operation: str
    nth: int
    error: int | None
    """None: a short write."""
    is_for_good: bool = False
    is_after: bool = False

    def set(self, disk: FaultyDisk) -> None:
        if self.error is None:
            disk.shorten(self.nth, for_good=self.is_for_good)
        else:
            disk.fail(
                self.operation,
                self.nth,
                error=self.error,
                for_good=self.is_for_good,
                after=self.is_after,
            )


class Life(msgspec.Struct):
    """What a bus was told to do, and what it said."""

    safe: int = -1
    """The last number told written or synced."""
    emitted: int = 0
    opened: bool = False
    raised: list[str] = []
    closing: float = 0.0
    wrong: list[str] = []
    dropped: dict[str, int] = {}
    local: list[int] = []
    """What the local sink was given."""


_shared: dict[str, KeepingSink] = {}


HURRIED: tuple[tuple[Any, str, object], ...] = (
    (eventbus.writer, "FIRST_PAUSE", 0.001),
    (eventbus.writer, "LONGEST_PAUSE", 0.01),
    (eventbus.delivery, "FIRST_PAUSE", 0.001),
    (eventbus.lanes, "YIELD_CHECK", 0.01),
    (eventbus.lanes, "RECOVERY_PAUSE", 0.01),
    (eventbus.lanes, "find_sink", lambda use, given: _shared[use]),
)
"""Shorter pauses between tries; shared sinks found in a dict."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module, name, value in HURRIED:
        monkeypatch.setattr(module, name, value)
    yield
    _shared.clear()


def _leave_wreckage(state: Path) -> None:
    """What elder writers left: old segments, a torn end, half a new segment."""
    with EventBus(state, serve="never", journal=SETTINGS) as bus:
        for number in range(ELDER_EVENTS):
            bus.emit_nowait(numbered(*ELDER, number))
            if number % 10 == 9:
                bus.flush_now(until="synced")
    segments = sorted((state / "journal").glob("*.jsonl"))
    stem = segments[-1].name.removesuffix(".jsonl")[:-8]
    (state / "journal" / f"{stem}0000dead.new").write_bytes(b"{")
    torn = state / "journal" / f"{stem}0000dead.jsonl"
    torn.write_bytes(segments[0].read_bytes().split(b"\n")[0] + b'\n{"kind":"proof:num')
    for segment in segments[:2]:
        os.utime(segment, (time.time() - 10 * 86_400,) * 2)


def _live(state: Path, disk: Disk, shared: str) -> Life:
    life = Life(raised=[], wrong=[], dropped={}, local=[])
    sink = KeepingSink()
    bus = EventBus(
        state,
        sinks=[sink, NamedSink(use=shared)],
        journal=SETTINGS,
        grace=GRACE,
        disk=disk,
    )
    for _ in range(2):
        try:
            bus.open()
            life.opened = True
            break
        except StateUnusable:
            continue
    try:
        _emit_some(bus, life)
    except Exception as error:
        life.raised.append(f"{type(error).__name__}: {error}")
    began = time.monotonic()
    report = bus.close()
    life.closing = time.monotonic() - began
    life.dropped = report.dropped
    life.wrong += _sums(bus)
    life.wrong += sink.misuse
    life.local = [event.number for event in sink.events if event.kind == "proof:number"]  # type: ignore[attr-defined]
    return life


def _emit_some(bus: EventBus, life: Life) -> None:
    for part in range(PARTS):
        for _ in range(EVENTS_A_PART):
            bus.emit_nowait(numbered(*WHO, life.emitted))
            life.emitted += 1
        until = "synced" if part % 2 else "written"
        if bus.flush_now(until=until, timeout=0.03).reached:  # type: ignore[arg-type]
            life.safe = life.emitted - 1
        life.wrong += _sums(bus)


def _sums(bus: EventBus) -> list[str]:
    statistics = bus.statistics()
    parts = statistics.written + statistics.waiting + statistics.poison
    if statistics.accepted != parts + sum(statistics.dropped.values()) or statistics.waiting < 0:
        return [f"the sums do not hold: {statistics}"]
    return []


def _judge(state: Path, life: Life, shared: str) -> list[str]:
    """What is wrong with a life, and with what it left once a sound disk has seen it."""
    wrong = [*life.wrong, *(f"emit raised {text}" for text in life.raised)]
    if life.closing > GRACE + SLACK:
        wrong.append(f"closing took {life.closing:.2f} s")
    _shared[shared].is_open = False
    _shared[shared].is_closed.clear()
    with EventBus(state, sinks=[NamedSink(use=shared)], journal=JournalSettings(), grace=5) as bus:
        pass
    if bus.report is None or not bus.report.is_complete:
        wrong.append(f"the next bus ended with {bus.report}")
    numbers = read_numbers(state).get(WHO, [])
    wrong += _wrong_numbers("the journal", numbers, life.safe)
    wrong += _wrong_numbers("the local sink", life.local, life.safe)
    least = life.emitted - sum(life.dropped.values())
    if not least <= len(numbers) <= life.emitted:
        wrong.append(f"{life.emitted} emitted, {life.dropped} dropped, {len(numbers)} kept")
    elders = read_numbers(state).get(ELDER, [])
    if elders != list(range(ELDER_EVENTS))[-len(elders) or ELDER_EVENTS :]:
        wrong.append(f"of the elder's events {elders} are left")
    given = {event.number for event in _shared[shared].events if _is_of(event, WHO)}  # type: ignore[attr-defined]
    if not given.issuperset(numbers):
        wrong.append(f"the shared sink lacks {sorted(set(numbers) - given)[:5]}")
    wrong += [f"not one record a line: {line[:60]!r}" for line in bad_lines(state)]
    return wrong


def _is_of(event: object, who: Producer) -> bool:
    return getattr(event, "run", None) == who.run


def _wrong_numbers(where: str, numbers: list[int], safe: int) -> Iterator[str]:
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    missing = set(range(safe + 1)).difference(numbers)
    if twice:
        yield f"{where} has {twice[:5]} twice"
    elif numbers != sorted(numbers):
        yield f"{where} is out of order"
    if missing:
        yield f"{where} lacks {sorted(missing)[:5]} of the {safe + 1} told safe"


def _try(case: Case | None, state: Path) -> list[str]:
    _leave_wreckage(state)
    shared = f"shared-{state.name}"
    _shared[shared] = KeepingSink()
    disk = FaultyDisk()
    if case is not None:
        case.set(disk)
    life = _live(state, disk, shared)
    return _judge(state, life, shared)


def _calls(state: Path) -> Counter[str]:
    """How often each operation is called in a life without faults."""
    _leave_wreckage(state)
    _shared["calm"] = KeepingSink()
    disk = FaultyDisk()
    life = _live(state, disk, "calm")
    assert life.safe == life.emitted - 1
    assert _judge(state, life, "calm") == []
    return Counter(disk.calls)


def _cases(calls: Counter[str], rng: random.Random) -> Iterator[Case]:
    """Every call of a life, failing in every way we know; then at random."""
    for operation in OPERATIONS:
        for nth in range(1, calls[operation] + 2):
            yield Case(operation, nth, errno.EIO)
            yield Case(operation, nth, errno.ENOSPC, is_for_good=True)
            yield Case(operation, nth, errno.EIO, is_after=True)
    for nth in range(1, calls["write"] + calls["writev"] + 1):
        yield Case("short write", nth, None)
    yield Case("short write", 1, None, is_for_good=True)
    for error in ERRNOS:
        for operation in (*OPERATIONS, "*"):
            yield Case(operation, 1 + rng.randrange(4), error, is_for_good=True)
    while True:
        operation = rng.choice((*OPERATIONS, "*"))
        nth = rng.randrange(1, (calls.total() if operation == "*" else calls[operation]) + 2)
        for_good, after = rng.random() < 0.3, rng.random() < 0.2
        yield Case(operation, nth, rng.choice(ERRNOS), for_good, after)


class Complaints(logging.Handler):
    """What asyncio says went wrong in a loop of ours."""

    def __init__(self) -> None:
        super().__init__("ERROR")
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def _try_share(ram: Path, calls: Counter[str], share: int) -> dict[str, list[str]]:
    """Try every so manyth case, in a process of its own; what went wrong, by case."""
    for module, name, value in HURRIED:
        setattr(module, name, value)
    complaints = Complaints()
    logging.getLogger("asyncio").addHandler(complaints)
    cases = enumerate(islice(_cases(calls, random.Random(5)), CASES))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = {
            f"{number}: {case}": pool.submit(_try, case, ram / str(number))
            for number, case in islice(cases, share, None, PROCESSES)
        }
        wrong = {case: lived.result() for case, lived in tried.items()}
    wrong["asyncio"] = complaints.told
    return {what: found for what, found in wrong.items() if found}


@pytest.mark.timeout(timeout_for(CASES, each=0.06))
def test_whatever_call_fails_nothing_acknowledged_is_lost_or_doubled(
    ram: Path, hurried: None, record_property: Callable[[str, object], None]
) -> None:
    """R5: failing the Nth I/O call, once or for good, any errno, short writes too, is survived."""
    calls = _calls(ram / "calm")

    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        shares = [pool.submit(_try_share, ram, calls, share) for share in range(PROCESSES)]
        wrong = {case: found for share in shares for case, found in share.result().items()}

    assert wrong == {}
    assert len(list(ram.iterdir())) == CASES + 1, "not every case was tried"
    assert set(OPERATIONS) - set(calls) <= {
        "pwrite",
        "unlock",
        "free_bytes",
        "link",
        "stat",
        "is_locked",
        "scan",
        "set_mode",
        "set_owner",
        "touch",
    }
    record_property("figure", f"{CASES} faults: 0 acknowledged lost, 0 twice")


def test_a_life_without_faults_is_without_fault(ram: Path, hurried: None) -> None:
    calls = _calls(ram / "calm")

    assert calls["writev"] > 3
    assert calls["sync"] > 3
    assert calls["rename"] > 3
    assert SYSTEM_DISK.names(ram / "nowhere") == []


async def test_nobody_is_told_that_is_kept_which_is_not(tmp_path: Path) -> None:
    disk = FaultyDisk()
    bus = EventBus(tmp_path, disk=disk, serve="never").open()
    disk.fail("writev", error=errno.ENOSPC, for_good=True)

    waiting = [
        asyncio.ensure_future(bus.emit(numbered(*WHO, number), until=until))
        for number, until in enumerate(("written", "synced", "written", "synced"))
    ]
    flushing = [asyncio.ensure_future(bus.flush(until=until)) for until in ("written", "synced")]
    await asyncio.sleep(0.05)
    await bus.aclose(grace=0.1)

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotKept] * 4
    assert [flushed.reached for flushed in await asyncio.gather(*flushing)] == [False, False]
    assert read_numbers(tmp_path) == {}
    assert bus.statistics().dropped == {"disk": 4}


def test_a_disk_that_never_syncs_is_not_filled_with_copies(tmp_path: Path) -> None:
    disk = FaultyDisk()

    with EventBus(tmp_path, disk=disk, serve="never", grace=0.2) as bus:
        disk.fail("sync", for_good=True)
        for number in range(2_000):
            bus.emit_nowait(numbered(*WHO, number))
            if number % 20 == 0:
                assert not bus.flush_now(until="synced", timeout=0.002).reached

    size = sum(path.stat().st_size for path in (tmp_path / "journal").glob("*.jsonl"))
    once = sum(len(encode(numbered(*WHO, number))) + 1 for number in range(2_000))
    assert read_numbers(tmp_path)[WHO] == list(range(2_000))
    assert size < 8 * once
