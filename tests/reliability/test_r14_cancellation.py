"""R14: a task of the app's may be cancelled at any await.

Tasks wait for a level, for a flush, for the next event of a subscription or
for the end of the bus, and are cancelled in the middle of it: by asyncio
itself, by a scope of anyio's, by trio. What was acknowledged before is there;
nothing is there twice; no event of a subscription is lost with the wait for
it; and a bus whose closing was cancelled is closed all the same.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest

import eventbus.inbox
import eventbus.intake
from eventbus import EventBus
from eventbus.errors import NotKept
from eventbus.subscription import Subscription
from tests.reliability.counts import runs, timeout_for
from tests.reliability.disks import HungDisk
from tests.reliability.numbered import Producer, numbered, read_numbers

CANCELS = runs(ci=2_000, long=200_000)
CLOSINGS = runs(ci=60, long=5_000)
WORKERS = 5
CROWD = 20
"""Events waiting at which `await emit` suspends here, so that it does."""
LONGEST_WAIT = 0.004
STYLES: tuple["Style", ...] = ("asyncio, by itself", "asyncio, by anyio", "trio")

Style = Literal["asyncio, by itself", "asyncio, by anyio", "trio"]
Call = Callable[[], Awaitable[Any]]


class Cancelled:
    """What a call comes to that was cancelled."""


async def _cancelled_sometime(call: Call, style: Style, rng: random.Random) -> Any:
    """Call, and cancel a moment later; what it said if it was quicker."""
    moment = rng.choice((0.0, 0.0, rng.random() * LONGEST_WAIT))
    turns = rng.randrange(4)
    if style == "asyncio, by itself":
        return await _cancelled_by_asyncio(call, moment, turns)
    with anyio.CancelScope() as around:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(_cancel_later, scope, moment, turns)
                outcome = await call()
                group.cancel_scope.cancel()
                return outcome
    assert not around.cancel_called
    return Cancelled


async def _cancel_later(scope: anyio.CancelScope, moment: float, turns: int) -> None:
    await _let_pass(moment, turns)
    scope.cancel()


async def _cancelled_by_asyncio(call: Call, moment: float, turns: int) -> Any:
    task = asyncio.ensure_future(call())
    await _let_pass(moment, turns + 1)  # one that has not begun is not called at all
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return Cancelled


async def _let_pass(moment: float, turns: int) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    if moment:
        await anyio.sleep(moment)


class Worker:
    """One task's events, and what it was told of them."""

    def __init__(self, producer: int, bus: EventBus, style: Style, cancels: int) -> None:
        self.who = Producer(0, producer)
        self.cancels = cancels
        self.emitted = 0
        self.returned: list[int] = []
        """Numbers of emits that came back."""
        self.acknowledged: set[int] = set()
        self.was_cancelled = 0
        self.heard: list[int] = []
        self._bus = bus
        self._style = style
        self._rng = random.Random(producer)
        self._subscription: Subscription | None = None

    async def work(self) -> None:
        calls = (self._emit, self._emit, self._emit_many, self._flush, self._listen)
        async with self._bus.subscribe("proof:number", capacity=1_000_000) as self._subscription:
            while self.was_cancelled < self.cancels:
                call = self._rng.choice(calls)
                outcome = await _cancelled_sometime(call, self._style, self._rng)
                self.was_cancelled += outcome is Cancelled
            await self._bus.flush(until="written")
            await self._hear_the_rest()

    async def _emit(self) -> None:
        number = self._next()
        until = self._rng.choice(("buffered", "written", "synced"))
        await self._bus.emit(numbered(*self.who, number), until=until)
        self.returned.append(number)
        if until != "buffered":
            self.acknowledged.add(number)

    async def _emit_many(self) -> None:
        numbers = [self._next() for _ in range(self._rng.randrange(1, 60))]
        events = [numbered(*self.who, number) for number in numbers]
        await self._bus.emit_many(events, until="written")
        self.acknowledged.update(numbers)

    async def _flush(self) -> None:
        sure = len(self.returned)
        flushed = await self._bus.flush(until=self._rng.choice(("written", "synced")))
        if flushed.reached:
            self.acknowledged.update(self.returned[:sure])

    async def _listen(self) -> None:
        assert self._subscription is not None
        async for event in self._subscription:
            self._hear(event)

    async def _hear_the_rest(self) -> None:
        assert self._subscription is not None
        self._subscription.cancel()
        async for event in self._subscription:
            self._hear(event)

    def _hear(self, event: Any) -> None:
        if event.producer == self.who.producer:
            self.heard.append(event.number)

    def _next(self) -> int:
        self.emitted += 1
        return self.emitted - 1


def _run(style: Style, main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend="trio" if style == "trio" else "asyncio")


@pytest.mark.timeout(timeout_for(CANCELS, each=0.01))
@pytest.mark.parametrize("style", STYLES)
def test_what_was_acknowledged_is_there_whoever_is_cancelled(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    style: Style,
    record_property: Callable[[str, object], None],
) -> None:
    """R14: cancellation at any await: nothing acknowledged is lost, nothing is there twice."""
    monkeypatch.setattr(eventbus.inbox, "AWAIT_ROOM", CROWD)
    monkeypatch.setattr(eventbus.intake, "AWAIT_ROOM", CROWD)
    workers: list[Worker] = []

    async def main() -> None:
        async with EventBus(tmp_path) as bus, anyio.create_task_group() as group:
            share = CANCELS // WORKERS
            workers.extend(Worker(number, bus, style, share) for number in range(WORKERS))
            for worker in workers:
                group.start_soon(worker.work)

    _run(style, main)

    found = read_numbers(tmp_path)
    for worker in workers:
        numbers = found.get(worker.who, [])
        assert worker.acknowledged <= set(numbers)
        assert all(before < after for before, after in pairwise(numbers))
        assert worker.heard == numbers
    cancels = sum(worker.was_cancelled for worker in workers)
    record_property("figure", f"{cancels} cancels: 0 acknowledged lost, 0 twice")


@pytest.mark.timeout(timeout_for(CLOSINGS, each=0.3))
@pytest.mark.parametrize("style", STYLES)
def test_a_bus_whose_closing_was_cancelled_is_closed(tmp_path: Path, style: Style) -> None:
    rng = random.Random(14)

    async def main() -> None:
        for turn in range(CLOSINGS):
            bus = EventBus(tmp_path / str(turn), serve="never").open()
            for number in range(200):
                bus.emit_nowait(numbered(turn, 0, number))
            await _cancelled_sometime(bus.aclose, style, rng)
            assert bus.report is not None
            assert bus.report.is_complete

    _run(style, main)

    for turn in range(CLOSINGS):
        assert read_numbers(tmp_path / str(turn))[Producer(turn, 0)] == list(range(200))


@pytest.mark.parametrize("style", STYLES)
def test_a_body_that_is_cancelled_leaves_its_bus_closed(tmp_path: Path, style: Style) -> None:
    buses: list[EventBus] = []

    async def body() -> None:
        async with EventBus(tmp_path, serve="never") as bus:
            buses.append(bus)
            for number in range(100):
                bus.emit_nowait(numbered(0, 0, number))
            await anyio.sleep_forever()

    async def main() -> None:
        assert await _cancelled_sometime(body, style, random.Random(3)) is Cancelled

    _run(style, main)

    (bus,) = buses
    assert bus.report is not None
    assert bus.report.is_complete
    assert read_numbers(tmp_path)[Producer(0, 0)] == list(range(100))


@pytest.mark.parametrize("style", STYLES)
def test_who_waits_when_the_bus_ends_is_told(tmp_path: Path, style: Style) -> None:
    told: list[object] = []

    async def emit(bus: EventBus, number: int) -> None:
        try:
            await bus.emit(numbered(0, 0, number), until="synced")
            told.append(number)
        except NotKept:
            told.append(None)

    async def main() -> None:
        bus = EventBus(tmp_path, serve="never").open()
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(emit, bus, number)
            await anyio.lowlevel.checkpoint()
            await bus.aclose()

    _run(style, main)

    assert len(told) == 50
    kept = read_numbers(tmp_path).get(Producer(0, 0), [])
    assert {number for number in told if number is not None} <= set(kept)


@pytest.mark.parametrize("style", STYLES)
def test_who_waits_when_the_bus_gives_up_a_hung_disk_is_told(tmp_path: Path, style: Style) -> None:
    disk = HungDisk()
    told: list[str] = []

    async def wait(bus: EventBus, until: Literal["buffered", "written", "synced"]) -> None:
        try:
            await bus.emit(numbered(0, 0, 0), until=until)
            told.append(f"{until}: let go")
        except NotKept:
            told.append(f"{until}: not kept")

    async def flush(bus: EventBus) -> None:
        told.append(f"flush: {(await bus.flush()).reached}")

    async def main() -> None:
        bus = EventBus(tmp_path, disk=disk, serve="never").open()
        disk.hang()
        async with anyio.create_task_group() as group:
            group.start_soon(wait, bus, "synced")
            await anyio.sleep(0.05)  # it is in the writer's hands
            for number in range(CROWD):
                bus.emit_nowait(numbered(0, 0, number))
            for until in ("buffered", "written", "synced"):
                group.start_soon(wait, bus, until)
            group.start_soon(flush, bus)
            await anyio.sleep(0.05)
            with anyio.fail_after(5):
                await bus.aclose(grace=0.1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eventbus.inbox, "AWAIT_ROOM", CROWD)
        patch.setattr(eventbus.intake, "AWAIT_ROOM", CROWD)
        _run(style, main)
    disk.go()

    assert sorted(told) == [
        *("buffered: let go", "flush: False"),
        *("synced: not kept", "synced: not kept", "written: not kept"),
    ]


@pytest.mark.parametrize("until", ["written", "synced"])
def test_at_each_turn_of_the_loop_in_particular(tmp_path: Path, until: Any) -> None:
    """The same, cancelled after exactly so many turns of the loop."""

    async def main() -> None:
        async with EventBus(tmp_path, serve="never") as bus:
            for turns in range(40):
                task = asyncio.ensure_future(bus.emit(numbered(0, 0, turns), until=until))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])

    asyncio.run(main())

    assert read_numbers(tmp_path)[Producer(0, 0)] == list(range(1, 40))
