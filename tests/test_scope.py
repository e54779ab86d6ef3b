"""Who is acting: set for a block, inherited by what is started inside."""

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest

from eventbus.bus import EventBus
from eventbus.event import Event
from eventbus.events import ModelAnswered
from eventbus.scope import (
    Scope,
    because_of,
    current_cause,
    current_scope,
    current_witness,
    scope,
    witnessed_by,
)


class NoteTaken(Event):
    pass


@pytest.fixture(autouse=True)
def nobody_acts() -> Iterator[None]:
    yield
    assert current_scope() == Scope()
    assert current_cause() is None
    assert current_witness() is None


def test_outside_of_any_block_nobody_acts() -> None:
    assert current_scope() == Scope()


def test_a_block_sets_who_is_acting_and_ends() -> None:
    with scope(session="s", turn=1) as now:
        assert current_scope() is now
        assert now == Scope(session="s", turn=1)

    assert current_scope() == Scope()


def test_a_block_inside_inherits_what_it_does_not_name() -> None:
    with scope(session="s", component="brain", turn=1):
        with scope(component="worker", user="ada"):
            assert current_scope() == Scope(session="s", component="worker", turn=1, user="ada")

        assert current_scope() == Scope(session="s", component="brain", turn=1)


def test_none_is_not_naming_it() -> None:
    with scope(session="s"), scope(session=None):
        assert current_scope().session == "s"


def test_turn_nought_and_an_empty_name_are_named() -> None:
    with scope(turn=3, source="cli"), scope(turn=0, source=""):
        assert current_scope() == Scope(turn=0, source="")


def test_an_exception_ends_the_block_and_goes_on() -> None:
    with pytest.raises(LookupError), scope(session="s"):
        raise LookupError

    assert current_scope() == Scope()


def test_events_of_one_block_share_its_scope() -> None:
    with scope(session="s"):
        first, second = NoteTaken(), NoteTaken()

    assert first.scope is second.scope


def test_one_block_can_be_entered_again() -> None:
    block = scope(session="s")

    with block:
        with block, scope(turn=1):
            assert current_scope() == Scope(session="s", turn=1)
        assert current_scope() == Scope(session="s")


def test_a_misspelt_word_is_refused() -> None:
    with pytest.raises(TypeError, match="sesion"):
        scope(sesion="s")  # type: ignore[call-arg]


def test_a_block_is_given_by_name_only() -> None:
    with pytest.raises(TypeError):
        scope("s")  # type: ignore[misc]


# tasks


@pytest.mark.on_both_backends
async def test_a_task_inherits_the_scope_it_was_started_in() -> None:
    seen: list[Scope] = []

    async def task() -> None:
        await anyio.sleep(0)
        seen.append(current_scope())

    with scope(session="s"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task)

    assert seen == [Scope(session="s")]


async def test_a_task_that_outlives_the_block_keeps_its_scope() -> None:
    async def task() -> Scope:
        await asyncio.sleep(0.01)
        return NoteTaken().scope

    with scope(session="s"):
        running = asyncio.create_task(task())

    assert await running == Scope(session="s")


@pytest.mark.on_both_backends
async def test_tasks_side_by_side_do_not_see_each_other() -> None:
    seen: dict[int, set[int | None]] = {}

    async def task(turn: int) -> None:
        async with scope(turn=turn):
            for _ in range(5):
                await anyio.sleep(0)
                seen.setdefault(turn, set()).add(current_scope().turn)

    async with anyio.create_task_group() as tasks:
        for turn in range(20):
            tasks.start_soon(task, turn)

    assert seen == {turn: {turn} for turn in range(20)}


@pytest.mark.on_both_backends
async def test_cancellation_ends_the_block() -> None:
    after: list[Scope] = []

    async def task() -> None:
        try:
            with scope(session="s"):
                await anyio.sleep_forever()
        finally:
            after.append(current_scope())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task)
        await anyio.sleep(0)
        tasks.cancel_scope.cancel()

    assert after == [Scope()]


async def test_one_block_may_be_shared_by_tasks() -> None:
    """`BRAIN = scope(component="brain")` at the top of a module invites to it."""
    block = scope(component="brain")
    after: dict[int, Scope] = {}

    async def task(turn: int, nap: float) -> None:
        with scope(turn=turn):
            with block:
                await asyncio.sleep(nap)
            after[turn] = current_scope()

    await asyncio.gather(task(1, 0.01), task(2, 0.02))

    assert after == {1: Scope(turn=1), 2: Scope(turn=2)}


# threads


async def test_a_thread_started_through_asyncio_inherits_the_scope() -> None:
    with scope(session="s"):
        assert await asyncio.to_thread(current_scope) == Scope(session="s")


@pytest.mark.on_both_backends
async def test_a_thread_started_through_anyio_inherits_the_scope() -> None:
    with scope(session="s"):
        assert await anyio.to_thread.run_sync(current_scope) == Scope(session="s")


def test_a_bare_thread_inherits_it_through_a_copied_context() -> None:
    seen: list[Scope] = []

    with scope(session="s"):
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: seen.append(current_scope()),))
        thread.start()
        thread.join()

    assert seen == [Scope(session="s")]


def test_a_thread_of_a_pool_keeps_nothing_of_the_last_call() -> None:
    def act() -> None:
        with scope(session="s"):
            pass

    with ThreadPoolExecutor(1) as pool:
        pool.submit(act).result()
        assert pool.submit(current_scope).result() == Scope()


# generators


async def told() -> AsyncIterator[Scope]:
    with scope(session="inner"):
        while True:
            yield current_scope()


async def test_an_async_generator_may_be_closed_from_another_task() -> None:
    generator = told()
    with scope(user="ada"):
        assert await anext(generator) == Scope(session="inner", user="ada")

        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]

        # Closed elsewhere, it could only be ended there: the block around ends it here.
    assert current_scope() == Scope()


def test_an_abandoned_generator_is_ended_without_a_word() -> None:
    """Its block ends in whatever context the collector runs in."""

    async def begin() -> None:
        generator = told()
        await anext(generator)

    asyncio.run(begin())
    gc.collect()

    assert current_scope() == Scope()


async def test_a_generator_run_to_its_end_leaves_the_scope_as_it_was() -> None:
    async def three() -> AsyncIterator[Scope]:
        for turn in range(3):
            with scope(turn=turn):
                yield current_scope()

    with scope(session="s"):
        turns = [now.turn async for now in three()]

        assert turns == [0, 1, 2]
        assert current_scope() == Scope(session="s")


# the cause


def test_events_made_inside_name_the_cause() -> None:
    first = NoteTaken()

    with because_of(first.id):
        second = NoteTaken()
        with because_of(second.id):
            third = NoteTaken()
        fourth = NoteTaken()

    assert [first.cause, second.cause, third.cause, fourth.cause] == [
        None,
        first.id,
        second.id,
        first.id,
    ]


def test_a_cause_can_be_lifted() -> None:
    with because_of("a"), because_of(None):
        assert NoteTaken().cause is None


async def test_a_task_inherits_the_cause() -> None:
    async def task() -> str | None:
        return NoteTaken().cause

    with because_of("a"):
        running = asyncio.create_task(task())

    assert await running == "a"


def test_a_function_carried_to_a_bare_thread_keeps_the_scope() -> None:
    seen: list[str | None] = []

    def look() -> None:
        seen.append(current_scope().session)

    with scope(session="s1"):
        thread = threading.Thread(target=scope.carry(look))
    thread.start()
    thread.join()

    assert seen == ["s1"]
    assert current_scope().session is None


async def test_a_witness_is_told_of_the_model_calls_of_every_task_inside() -> None:
    seen: list[str] = []

    async with EventBus(None) as bus:
        await bus.emit(ModelAnswered(model="before"))
        with witnessed_by(lambda event: seen.append(event.model)):
            bus.emit_nowait(ModelAnswered(model="here"))
            await asyncio.create_task(bus.emit(ModelAnswered(model="task")))
            await anyio.to_thread.run_sync(bus.emit_nowait, ModelAnswered(model="thread"))
            await bus.emit(NoteTaken())
            carried = scope.carry(lambda: bus.emit_nowait(ModelAnswered(model="carried")))
        await bus.emit(ModelAnswered(model="after"))
        thread = threading.Thread(target=carried)
        thread.start()
        thread.join()

    assert seen == ["here", "task", "thread", "carried"]
