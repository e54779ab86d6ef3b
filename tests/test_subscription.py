"""The app's side: handlers and subscriptions, in asyncio, trio and plain threads."""

import asyncio
import functools
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventbus import Event, EventBus, scope
from eventbus.events.bus import GapLeft
from eventbus.events.error import ErrorRaised
from eventbus.kinds import Kinds
from eventbus.scope import current_cause
from sinks.memory import MemorySink
from tests.letters import PATIENCE, LetterNested, LetterSent, eventually, letters, numbers

# --- handlers ----------------------------------------------------------------------


@pytest.mark.on_both_backends
async def test_a_handler_is_called_for_each_event_in_order(tmp_path: Path) -> None:
    sync: list[int] = []
    asynchronous: list[int] = []

    async with EventBus(tmp_path) as bus:

        @bus.on("letter:send")
        def take(event: LetterSent) -> None:
            sync.append(event.n)

        @bus.on(LetterSent)
        async def take_later(event: LetterSent) -> None:
            await anyio.sleep(0)
            asynchronous.append(event.n)

        await bus.emit_many(letters(2_000))
        await bus.emit(LetterNested())
        assert (await bus.flush(timeout=PATIENCE)).reached

    assert sync == asynchronous == list(range(2_000))


@pytest.mark.on_both_backends
async def test_a_handler_runs_in_the_apps_own_thread(tmp_path: Path) -> None:
    threads = set()

    async with EventBus(tmp_path) as bus:
        bus.on("*")(lambda event: threads.add(threading.get_ident()))
        await bus.emit(LetterSent(n=1))
        await bus.flush(timeout=PATIENCE)

    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("is_async", [False, True])
def test_where_no_loop_runs_it_has_a_thread_of_its_own(tmp_path: Path, is_async: bool) -> None:
    seen: list[int] = []
    threads = set()

    def take(event: LetterSent) -> None:
        threads.add(threading.get_ident())
        seen.append(event.n)

    async def take_later(event: LetterSent) -> None:
        await asyncio.sleep(0)
        take(event)

    with EventBus(tmp_path) as bus:
        bus.on("letter:*")(take_later if is_async else take)
        for event in letters(500):
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached

    assert seen == list(range(500))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.on_both_backends
async def test_a_handler_named_before_the_bus_is_open_serves_too(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)
    seen: list[int] = []

    @bus.on(LetterSent)
    def take(event: LetterSent) -> None:
        seen.append(event.n)

    async with bus:
        await bus.emit(LetterSent(n=1))
        await bus.flush(timeout=PATIENCE)

    assert seen == [1]


@pytest.mark.parametrize("state", ["disk", None])
@pytest.mark.on_both_backends
async def test_an_error_in_a_handler_is_recorded_and_harms_nobody_else(
    tmp_path: Path, state: str | None
) -> None:
    good: list[int] = []
    errors = MemorySink()
    errors.kinds = "error:*"

    async with EventBus(tmp_path / state if state else None, sinks=[errors]) as bus:

        @bus.on(LetterSent)
        async def trip(event: LetterSent) -> None:
            if event.n == 1:
                raise LookupError("tripped over 1")

        bus.on(LetterSent)(lambda event: good.append(event.n))
        with scope(session="s1"):
            sent = letters(3)
        await bus.emit_many(sent)
        await bus.flush(timeout=PATIENCE)
        await bus.flush(timeout=PATIENCE)  # the error was emitted while the first one ran

    assert good == [0, 1, 2]
    (error,) = errors.events
    assert isinstance(error, ErrorRaised)
    assert (error.type, error.message) == ("LookupError", "tripped over 1")
    assert (error.component, error.context) == ("handler", "trip")
    assert error.cause == sent[1].id
    assert error.scope.session == "s1"
    assert "in trip" in (error.stack or "")


async def test_a_handler_of_errors_that_fails_does_not_go_round_for_ever(tmp_path: Path) -> None:
    calls: list[Event] = []

    async with EventBus(tmp_path) as bus:

        @bus.on("error:*")
        def fail(event: Event) -> None:
            calls.append(event)
            raise ValueError

        await bus.emit(ErrorRaised(type="Mine"))
        for _ in range(3):
            await bus.flush(timeout=PATIENCE)

    assert len(calls) == 2  # the app's own error, and the handler's about it


@pytest.mark.on_both_backends
async def test_what_a_handler_emits_names_its_cause(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.kinds = "letter:nest"

    async with EventBus(tmp_path, sinks=[sink]) as bus:

        @bus.on(LetterSent)
        async def answer(event: LetterSent) -> None:
            await bus.emit(LetterNested(tree={"n": event.n}))

        sent = letters(2)
        await bus.emit_many(sent)
        await bus.flush(timeout=PATIENCE)
        await bus.flush(timeout=PATIENCE)

    assert [event.cause for event in sink.events] == [event.id for event in sent]
    assert current_cause() is None


async def test_handlers_are_lanes_with_readable_names(tmp_path: Path) -> None:
    class Clerk:
        def file(self, event: Event) -> None: ...
        def __call__(self, event: Event) -> None: ...

    def put(event: Event) -> None: ...

    async with EventBus(tmp_path) as bus:
        for handler in (
            put,
            put,
            Clerk().file,
            Clerk(),
            functools.partial(put),
            lambda event: None,
        ):
            bus.on("*")(handler)
        names = set(bus.statistics().lanes)

    assert names == {"on-put", "on-put-2", "on-Clerk.file", "on-Clerk", "on-partial", "on-lambda"}


def test_the_decorator_gives_the_function_back(tmp_path: Path) -> None:
    def take(event: Event) -> None: ...

    assert EventBus(tmp_path).on("*")(take) is take


async def test_a_handler_whose_loop_has_ended_holds_nothing_up(tmp_path: Path) -> None:
    bus = EventBus(tmp_path, grace=PATIENCE)

    def live_shortly() -> None:
        async def main() -> None:
            bus.open()
            bus.on("*")(print)

        asyncio.run(main())

    await anyio.to_thread.run_sync(live_shortly)
    bus.emit_nowait(LetterSent(n=1))

    assert (await bus.flush(timeout=PATIENCE)).reached
    assert (await bus.aclose()).is_complete


@pytest.mark.on_both_backends
async def test_a_slow_handler_holds_up_neither_the_app_nor_other_lanes(tmp_path: Path) -> None:
    sink = MemorySink()
    goes = anyio.Event()

    async with EventBus(tmp_path, sinks=[sink]) as bus:

        @bus.on(LetterSent)
        async def wait(event: LetterSent) -> None:
            await goes.wait()

        await bus.emit_many(letters(20_000))
        await anyio.to_thread.run_sync(lambda: eventually(lambda: len(sink.events) == 20_000))
        assert numbers(sink) == list(range(20_000))
        goes.set()


# --- subscriptions --------------------------------------------------------------------


async def take(bus: EventBus, count: int, kinds: Kinds = None, **options: Any) -> list[Event]:
    """The first events of a subscription."""
    taken: list[Event] = []
    async with bus.subscribe(kinds, **options) as subscription:
        async for event in subscription:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


@pytest.mark.on_both_backends
async def test_a_subscription_gives_typed_events_as_they_come(tmp_path: Path) -> None:
    taken: list[Event] = []
    sent = letters(300)

    async def read() -> None:
        async for event in subscription:
            taken.append(event)
            if len(taken) == 300:
                return

    async with EventBus(tmp_path) as bus, anyio.create_task_group() as tasks:
        subscription = bus.subscribe("letter:*")
        tasks.start_soon(read)
        for event in sent:
            await bus.emit(event)
            await anyio.sleep(0)

    assert taken == sent


@pytest.mark.on_both_backends
async def test_it_gives_what_is_emitted_from_then_on_of_the_kinds_asked_for(
    tmp_path: Path,
) -> None:
    async with EventBus(tmp_path) as bus:
        await bus.emit(LetterSent(n=0))
        subscription = bus.subscribe((LetterSent, "never:*"))
        await bus.emit(LetterNested())
        await bus.emit(LetterSent(n=1))

        assert numbers([await anext(subscription)]) == [1]


@pytest.mark.on_both_backends
async def test_it_ends_with_the_bus_once_everything_is_read(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        subscription = bus.subscribe()
        await bus.emit_many(letters(100))

    assert numbers([event async for event in subscription]) == list(range(100))


@pytest.mark.parametrize("grace", [0, 1])
@pytest.mark.on_both_backends
async def test_whoever_waits_in_it_when_the_bus_ends_waits_no_longer(
    tmp_path: Path, grace: float
) -> None:
    ended = anyio.Event()

    async def read() -> None:
        async for _ in subscription:
            pass
        ended.set()

    async with anyio.create_task_group() as tasks:
        bus = EventBus(tmp_path).open()
        subscription = bus.subscribe()
        tasks.start_soon(read)
        await bus.aclose(grace)
        with anyio.fail_after(PATIENCE):
            await ended.wait()


@pytest.mark.on_both_backends
async def test_a_slow_reader_gets_the_latest_and_is_told_how_many_it_missed(
    tmp_path: Path,
) -> None:
    async with EventBus(tmp_path) as bus:
        subscription = bus.subscribe("letter:*", capacity=10)
        await bus.emit_many(letters(1_000))
        await bus.flush(timeout=PATIENCE)
        first = await anext(subscription)
        rest = [await anext(subscription) for _ in range(10)]
        await bus.emit(LetterSent(n=1_000))
        after = await anext(subscription)

    assert isinstance(first, GapLeft)
    assert (first.reason, first.count, first.lane) == ("slow subscriber", 990, subscription.name)
    assert numbers(rest) == list(range(990, 1_000))
    assert numbers([after]) == [1_000]


@pytest.mark.on_both_backends
async def test_what_is_read_and_what_is_missed_add_up(tmp_path: Path) -> None:
    read, missed = 0, 0

    async def count() -> None:
        nonlocal read, missed
        async for event in subscription:
            if isinstance(event, GapLeft):
                missed += event.count
            else:
                read += 1

    async with anyio.create_task_group() as tasks, EventBus(tmp_path) as bus:
        subscription = bus.subscribe("letter:*", capacity=7)
        tasks.start_soon(count)
        for _ in range(200):
            await bus.emit_many(letters(100))
            await anyio.sleep(0)

    assert read + missed == 20_000


@pytest.mark.on_both_backends
async def test_a_cancelled_reader_loses_nothing(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        subscription = bus.subscribe("letter:*")
        with anyio.move_on_after(0.01):
            await anext(subscription)
        await bus.emit_many(letters(3))

        assert numbers([await anext(subscription) for _ in range(3)]) == [0, 1, 2]


@pytest.mark.on_both_backends
async def test_leaving_its_block_ends_it_and_its_lane(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        async with bus.subscribe() as subscription:
            await bus.emit(LetterSent(n=1))
            await bus.flush(timeout=PATIENCE)
        await bus.emit(LetterSent(n=2))

        assert subscription.name not in bus.statistics().lanes
        assert numbers([event async for event in subscription]) == [1]


async def test_several_subscriptions_get_each_event_each(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus, asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(take(bus, 50, LetterSent)) for _ in range(5)]
        await asyncio.sleep(0)
        await bus.emit_many(letters(50))

    assert [numbers(task.result()) for task in reading] == [list(range(50))] * 5


async def test_it_can_be_read_in_another_loop_than_the_bus_was_opened_in(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        reading = asyncio.ensure_future(asyncio.to_thread(asyncio.run, take(bus, 3, LetterSent)))
        await asyncio.to_thread(eventually, lambda: bus.statistics().lanes)
        await bus.emit_many(letters(3))

        assert numbers(await reading) == [0, 1, 2]
