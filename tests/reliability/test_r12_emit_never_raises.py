"""R12: emit never raises into the agent.

Whatever the values of an event are, whatever has become of the sinks and of
the app's loop, and wherever the call stands (a thread, a signal handler, a
finaliser, the interpreter's end): the call comes back. The other events of
the batch are written as they are, and what will not encode is kept in a form
that says so.
"""

import asyncio
import gc
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from eventbus import Event, EventBus, Scope, UnknownEvent, read_journal
from eventbus.events.bus import GapLeft
from tests.reliability.counts import Tell, runs
from tests.reliability.crash import ROOT
from tests.reliability.difficult import DeadSink, KeepingSink
from tests.reliability.numbered import Producer, bad_lines, numbered, read_numbers

SIGNALS = runs(ci=2_000, long=100_000)
FINALISED = runs(ci=5_000, long=200_000)
WHO = Producer(run=0, producer=0)


class Loose(Event, tag="proof:loose", frozen=True):
    """Takes anything, so it is encoded when it is emitted."""

    number: int
    value: Any = None


class Strict(Event, tag="proof:strict", frozen=True):
    """Says what it takes; nobody checks, and it is encoded by the writer."""

    number: int
    value: str = ""


class Flat(Event, tag="proof:flat", frozen=True):
    """Copied when it is emitted."""

    number: int
    value: dict[str, int] = {}


class Unspeakable:
    """Raises whenever it is looked at."""

    def __repr__(self) -> str:
        raise RuntimeError("do not look at me")


class Word(str):
    """Not quite a str."""


class Upside(dict[str, int]):
    """A dict that cannot be copied."""

    def copy(self) -> "Upside":
        raise RuntimeError("unique")


def _cycle() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    return ring


def _nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def _letters() -> Iterator[str]:
    yield "a"


POISON: dict[str, Any] = {
    "a lone surrogate": "a\ud800b",
    "a key with a lone surrogate": {"\udfff": 1},
    "a dict in itself": _cycle(),
    "an object whose repr raises": Unspeakable(),
    "an exception that cannot be shown": ValueError(Unspeakable()),
    "not a number": math.nan,
    "infinity": -math.inf,
    "an int of 5,000 digits": 10**5_000,
    "an int of 81 bits": 2**80,
    "100,000 lists in each other": _nested(100_000),
    "so deep and so long": [_nested(600), "x" * 2_000_000],
    "bytes that are no text": b"\xff\x00\n",
    "a view of bytes": memoryview(b"abc"),
    "a set": {1, 2, 3},
    "a set of what will not sort": {1, "a", None},
    "keys that are no text": {(1, 2): 3, None: 4},
    "a generator": _letters(),
    "a str subclass": Word("word"),
    "a dict that cannot be copied": Upside(a=1),
    "10 MB of text": "x" * 10_000_000,
    "text with newlines of every kind": 'a\nb\r\n\u2028\x85"}\n{"kind":"bus:close"}',
    "a function": _letters,
    "a class": Unspeakable,
    "a lock": threading.Lock(),
}
EVENT_CLASSES: list[Any] = [Loose, Strict, Flat]


class Quitting:
    """Ends the interpreter when it is looked at."""

    def __repr__(self) -> str:
        raise SystemExit(3)


def _number(event: Event) -> Any:
    if isinstance(event, UnknownEvent):
        return event.payload.get("number")
    return getattr(event, "number", None)


@pytest.mark.parametrize("make", EVENT_CLASSES)
@pytest.mark.parametrize("poison", POISON)
def test_no_value_makes_emit_raise_or_costs_its_company_their_place(
    tmp_path: Path, poison: str, make: Any, record_property: Tell
) -> None:
    """R12: emit never raises, whatever the value; batch-mates are written, the poison is kept."""
    sink = KeepingSink()

    with EventBus(tmp_path, sinks=[sink]) as bus:
        bus.emit_nowait(make(number=0))
        bus.emit_nowait(make(number=1, value=POISON[poison]))
        bus.emit_nowait(make(number=2))

    assert bus.report is not None
    assert bus.report.is_complete
    assert [_number(event) for event in read_journal(tmp_path)] == [0, 1, 2]
    assert [_number(event) for event in sink.events] == [0, 1, 2]
    assert list(bad_lines(tmp_path)) == []
    assert sink.misuse == set()
    kinds = f"{len(POISON)} kinds of value in {len(EVENT_CLASSES)} classes"
    record_property("figure", f"{kinds}: 0 exceptions, all of their company written")


@pytest.mark.parametrize("make", EVENT_CLASSES)
def test_what_will_not_encode_is_marked_and_counted(tmp_path: Path, make: Any) -> None:
    event = make(number=7, value="a\ud800b")

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(make(number=6))
        bus.emit_nowait(event)

    statistics = bus.statistics()
    _, kept = read_journal(tmp_path)
    assert (statistics.written, statistics.poison, statistics.waiting) == (1, 1, 0)
    assert (kept.id, kept.ts, kept.kind) == (event.id, event.ts, event.kind)
    line = next(
        line
        for segment in (tmp_path / "journal").glob("*.jsonl")
        for line in segment.read_bytes().split(b"\n")
        if event.id.encode() in line
    )
    record = msgspec.json.decode(line)
    assert "\\ud800" in record["value"]
    assert list(record["unencodable"]) == ["value"]


def test_the_writer_outlives_a_value_that_quits(tmp_path: Path) -> None:
    quitting: Any = Quitting()

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(Strict(number=0))
        bus.emit_nowait(Strict(number=1, value=quitting))
        bus.emit_nowait(Strict(number=2))
        assert bus.flush_now(timeout=10).reached
        bus.emit_nowait(Strict(number=3))

    assert [_number(event) for event in read_journal(tmp_path)] == [0, 1, 2, 3]
    assert bus.statistics().dropped == {}


@pytest.mark.parametrize("poison", POISON)
def test_a_bus_in_memory_hands_the_company_on_as_well(poison: str) -> None:
    class LineSink(KeepingSink):
        async def take(self, batch: Any) -> None:
            assert len(batch.lines) == len(batch)
            self.events += batch.events

    sinks = [KeepingSink(), LineSink()]

    with EventBus(None, sinks=sinks) as bus:
        for number, make in enumerate(EVENT_CLASSES):
            bus.emit_nowait(make(number=2 * number, value=POISON[poison]))
            bus.emit_nowait(make(number=2 * number + 1))

    for sink in sinks:
        assert [_number(event) for event in sink.events] == [0, 1, 2, 3, 4, 5]


HEADERS: dict[str, dict[str, Any]] = {
    "a scope with a lone surrogate": {"scope": Scope(session="\ud800")},
    "a scope that is none": {"scope": 3},
    "a scope of 3 MB": {"scope": Scope(session="x" * 3_000_000)},
    "a time that is text": {"ts": "yesterday"},
    "a time without its zone": {"ts": datetime(2026, 1, 2)},  # noqa: DTZ001
    "no time": {"ts": None},
    "an id that is a number": {"id": 7},
    "an id with a lone surrogate": {"id": "\ud800"},
    "an id of 3 MB": {"id": "x" * 3_000_000},
    "a cause that is an object": {"cause": Unspeakable()},
}


@pytest.mark.parametrize("make", EVENT_CLASSES)
@pytest.mark.parametrize("header", HEADERS)
def test_no_header_does_either(tmp_path: Path, header: str, make: Any) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(make(number=0))
        bus.emit_nowait(make(number=1, **HEADERS[header]))
        bus.emit_nowait(make(number=2))

    assert sorted(map(_number, read_journal(tmp_path))) == [0, 1, 2]
    longest = max(
        len(line)
        for segment in (tmp_path / "journal").glob("*.jsonl")
        for line in segment.read_bytes().split(b"\n")
    )
    assert longest < 1_100_000


@pytest.mark.parametrize("line", [b'{"kind":"a:b"}\n{"kind":"a:c"}', b'{"kind":"bus:close"}', b"x"])
def test_a_foreign_line_that_is_not_one_record_of_an_app_is_kept_as_text(
    tmp_path: Path, line: bytes
) -> None:
    event = UnknownEvent(line=line, named="bus:close")

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(event)

    (kept,) = read_journal(tmp_path)
    assert kept.id == event.id
    assert kept.kind == "unknown:unknown"
    assert list(bad_lines(tmp_path)) == []


@pytest.mark.parametrize("nothing", [None, "text", 3, Event, object(), Unspeakable(), {"a": 1}])
def test_what_is_no_event_is_counted_and_told(tmp_path: Path, nothing: Any) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(nothing)
        bus.emit_nowait(Loose(number=1))

    (gap,) = read_journal(tmp_path, kinds=GapLeft)
    assert (gap.reason, gap.count) == ("not an event", 1)  # type: ignore[attr-defined]
    assert len(list(read_journal(tmp_path, kinds=Loose))) == 1
    assert bus.statistics().dropped == {"not an event": 1}


async def test_await_emit_and_emit_many_do_not_raise_either(tmp_path: Path) -> None:
    values = list(POISON.values())

    async with EventBus(tmp_path) as bus:
        for number, value in enumerate(values):
            await bus.emit(Loose(number=number, value=value))
        await bus.emit(None)  # type: ignore[arg-type]
        await bus.emit_many(
            Strict(number=len(values) + number, value=value) for number, value in enumerate(values)
        )

    numbers = [_number(event) for event in read_journal(tmp_path, kinds=("proof:*", "unknown:*"))]
    assert numbers == list(range(2 * len(values)))


def test_dead_sinks_cost_nobody_anything(tmp_path: Path) -> None:
    living = KeepingSink()

    with EventBus(tmp_path, sinks=[DeadSink(), living, DeadSink()], grace=0.3) as bus:
        for number in range(1_000):
            bus.emit_nowait(numbered(*WHO, number))
        assert bus.flush_now(timeout=0.5).lanes == {
            "deadsink": False,
            "keepingsink": True,
            "deadsink-2": False,
        }

    assert read_numbers(tmp_path)[WHO] == list(range(1_000))
    assert len(living.events) == 1_000
    assert bus.statistics().lanes["deadsink"].last_error == "open: RuntimeError: cannot open"


def test_before_the_bus_opens_events_wait_and_after_it_closed_they_are_counted(
    tmp_path: Path,
) -> None:
    bus = EventBus(tmp_path)

    bus.emit_nowait(numbered(*WHO, 0))
    with bus:
        bus.emit_nowait(numbered(*WHO, 1))
    for number in range(2, 10):
        bus.emit_nowait(numbered(*WHO, number))

    statistics = bus.statistics()
    assert read_numbers(tmp_path)[WHO] == [0, 1]
    assert statistics.dropped == {"closed": 8}
    assert statistics.waiting == 0


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_a_loop_that_has_closed_is_not_missed(tmp_path: Path, run: Any) -> None:
    bus = EventBus(tmp_path)
    heard: list[Event] = []

    async def app() -> Any:
        bus.open()
        bus.on("proof:*")(heard.append)
        subscription = bus.subscribe()
        await bus.emit(numbered(*WHO, 0), until="written")
        if run is asyncio.run:
            lost = asyncio.ensure_future(bus.emit(numbered(*WHO, 1), until="synced"))
            await asyncio.sleep(0)
            del lost
        else:
            bus.emit_nowait(numbered(*WHO, 1))
        return subscription

    async def later() -> None:
        await bus.emit(numbered(*WHO, 102), until="written")

    if run is trio.run:
        trio.run(app)
        bus.emit_nowait(numbered(*WHO, 2))
        trio.run(later)
    else:
        asyncio.run(app())
        bus.emit_nowait(numbered(*WHO, 2))
        asyncio.run(later())
    bus.close(grace=0.5)

    assert read_numbers(tmp_path)[WHO] == [0, 1, 2, 102]


def test_every_thread_may_emit(tmp_path: Path) -> None:
    troubles: list[BaseException] = []

    def produce(producer: int) -> None:
        try:
            for number in range(2_000):
                bus.emit_nowait(numbered(0, producer, number))
                if number % 500 == 0:
                    bus.flush_now()
        except BaseException as error:
            troubles.append(error)

    with EventBus(tmp_path) as bus:
        threads = [threading.Thread(target=produce, args=(each,)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert troubles == []
    assert read_numbers(tmp_path) == {Producer(0, each): list(range(2_000)) for each in range(8)}


@pytest.mark.timeout(60, method="thread")  # the other method needs this very timer
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer here")
def test_a_signal_handler_may_emit_while_emit_runs(tmp_path: Path, record_property: Tell) -> None:
    """R12: a signal handler that emits while emit runs, thousands of times."""
    in_handler, is_inside = 0, False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal in_handler, is_inside
        if is_inside:  # a slow machine would go round in here for ever
            return
        is_inside = True
        bus.emit_nowait(numbered(0, 1, in_handler))
        in_handler += 1
        if in_handler % 100 == 0:
            bus.emit_nowait(Loose(number=0, value=_cycle()))
        is_inside = False

    in_body = 0
    with EventBus(tmp_path) as bus:
        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.000_1, 0.000_1)
        try:
            while in_handler < SIGNALS:
                bus.emit_nowait(numbered(0, 0, in_body))
                in_body += 1
                if in_body % 1_000 == 0:
                    bus.flush_now()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    found = read_numbers(tmp_path)
    assert bus.statistics().dropped == {}
    assert found[Producer(0, 0)] == list(range(in_body))
    assert found[Producer(0, 1)] == list(range(in_handler))
    record_property("figure", f"{in_handler:,} emits in a signal handler: 0 lost")


def test_a_finaliser_may_emit_while_the_collector_runs(
    tmp_path: Path, record_property: Tell
) -> None:
    """R12: `__del__` during a collection, on whatever thread it comes."""

    class Parting:
        def __init__(self, number: int) -> None:
            self.number = number
            self.ring = self  # only the collector finds it

        def __del__(self) -> None:
            bus.emit_nowait(Loose(number=self.number, value=[self.number]))

    threshold = gc.get_threshold()
    with EventBus(tmp_path, sinks=[KeepingSink()]) as bus:
        gc.set_threshold(20)
        try:
            for number in range(FINALISED):
                Parting(number)
                bus.emit_nowait(numbered(*WHO, number))
            gc.collect()
        finally:
            gc.set_threshold(*threshold)

    loose = sorted(event.number for event in read_journal(tmp_path, kinds=Loose))  # type: ignore[attr-defined]
    assert loose == list(range(FINALISED))
    record_property("figure", f"{FINALISED:,} emits in a finaliser: 0 lost")
    assert read_numbers(tmp_path)[WHO] == list(range(FINALISED))


LAST_WORDS = """
import atexit, sys, threading
from eventbus import EventBus
from tests.reliability.numbered import numbered

class Parting:
    def __del__(self):
        bus.emit_nowait(numbered(0, 9, 0))

atexit.register(lambda: bus.emit_nowait(numbered(0, 2, 0)))   # runs after the bus has ended
bus = EventBus(sys.argv[1]).__enter__()
atexit.register(lambda: bus.emit_nowait(numbered(0, 1, 0)))   # and this one before
kept = Parting()

def go_on():
    while True:
        bus.emit_nowait(numbered(0, 3, 0))

threading.Thread(target=go_on, daemon=True).start()
bus.emit_nowait(numbered(0, 0, 0))
"""


def test_at_exit_nothing_is_raised_and_what_came_before_is_kept(tmp_path: Path) -> None:
    for turn in range(runs(ci=5, long=200)):
        state = tmp_path / str(turn)

        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", LAST_WORDS, state],
            cwd=ROOT,
            capture_output=True,
            timeout=30,
            check=False,
        )

        assert (done.returncode, done.stderr) == (0, b"")
        found = read_numbers(state)
        assert found[Producer(0, 0)] == [0]
        assert found[Producer(0, 1)] == [0]


def test_a_full_inbox_drops_and_says_so(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)
    before = time.monotonic()

    for number in range(70_000):
        bus.emit_nowait(numbered(*WHO, number))
    with bus:
        pass

    (gap,) = read_journal(tmp_path, kinds="bus:gap")
    dropped = bus.statistics().dropped["full"]
    assert dropped > 0
    assert gap.count == dropped  # type: ignore[attr-defined]
    assert len(read_numbers(tmp_path)[WHO]) == 70_000 - dropped
    assert time.monotonic() - before < 20
