"""Functions of every kind as tools: their arguments go in, what they return comes out."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import pytest

from eventbus import tool
from eventbus.scope import current_cause
from eventbus.testing import Recorded
from tests.producers.traces import finished, outcome, started, the_only


@pytest.fixture(autouse=True)
def no_cause_is_left() -> Iterator[None]:
    yield
    assert current_cause() is None


def test_a_functions_arguments_go_in_and_what_it_returns_comes_out(record: Recorded) -> None:
    @tool
    def add(one: int, other: int = 2) -> int:
        """Add."""
        return one + other

    assert add(1) == 3

    start, finish = the_only(record)
    assert (start.name, start.input, finish.output) == ("add", {"one": 1, "other": 2}, 3)
    assert (add.__name__, add.__doc__) == ("add", "Add.")


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "input"),
    [
        (lambda a, b=2: None, (1,), {}, {"a": 1, "b": 2}),
        (lambda a, b=2: None, (), {"b": 3, "a": 1}, {"a": 1, "b": 3}),
        (lambda *paths, deep=False: None, ("x", "y"), {}, {"paths": ["x", "y"], "deep": False}),
        (
            lambda a, /, *, b, **more: None,
            (1,),
            {"b": 2, "c": 3},
            {"a": 1, "b": 2, "more": {"c": 3}},
        ),
        (partial(lambda a, b: None, 1), (2,), {}, {"b": 2}),
        (lambda: None, (), {}, {}),
    ],
)
def test_arguments_are_bound_as_the_signature_says(
    record: Recorded, function: Any, args: Any, kwargs: Any, input: Any
) -> None:
    tool("f")(function)(*args, **kwargs)

    assert the_only(record)[0].input == input


@pytest.mark.parametrize(
    ("args", "kwargs", "input"),
    [
        ((1, 2, 3), {}, {"args": [1, 2, 3]}),
        ((), {"c": 1}, {"c": 1}),
        ((1,), {"a": 2}, {"args": [1], "a": 2}),
    ],
)
def test_arguments_that_do_not_fit_fail_as_they_would_have(
    record: Recorded, args: Any, kwargs: Any, input: Any
) -> None:
    @tool
    def f(a: int, b: int = 0) -> None: ...

    with pytest.raises(TypeError, match="f\\(\\)"):
        f(*args, **kwargs)

    start, finish = the_only(record)
    assert finish.outcome == "error"
    assert start.input in (input, {"a": 1, "b": 0})


def test_a_methods_own_object_is_left_out(record: Recorded) -> None:
    class Tools:
        @tool("plain")
        def plain(self, a: int) -> str:
            return f"plain {a}"

        @tool
        @classmethod
        def of_class(cls, a: int) -> str:
            return f"{cls.__name__} {a}"

        @classmethod
        @tool
        def of_class_too(cls, a: int, *, b: int = 0) -> str:
            return f"{cls.__name__} {a}"

        @tool
        @staticmethod
        def static(a: int) -> str:
            return f"static {a}"

    tools = Tools()
    said = [tools.plain(1), tools.of_class(2), tools.of_class_too(3), tools.static(4)]

    assert said == ["plain 1", "Tools 2", "Tools 3", "static 4"]
    assert [(event.name, event.input) for event in started(record)] == [
        ("plain", {"a": 1}),
        ("of_class", {"a": 2}),
        ("of_class_too", {"a": 3, "b": 0}),
        ("static", {"a": 4}),
    ]
    assert [event.output for event in finished(record)] == said


@pytest.mark.on_both_backends
async def test_a_coroutine_is_recorded_while_it_runs(record: Recorded) -> None:
    @tool("fetch")
    async def fetch(url: str) -> str:
        await anyio.sleep(0)
        return f"page of {url}"

    waiting = fetch("x")
    assert started(record) == []
    assert await waiting == "page of x"

    start, finish = the_only(record)
    assert (start.input, finish.output) == ({"url": "x"}, "page of x")


@pytest.mark.on_both_backends
async def test_a_coroutine_that_raises_or_is_cancelled_is_finished(record: Recorded) -> None:
    @tool
    async def fetch(seconds: float) -> None:
        if not seconds:
            raise OSError("no route")
        await anyio.sleep(seconds)

    with pytest.raises(OSError, match="no route"):
        await fetch(0)
    with anyio.move_on_after(0.01):
        await fetch(10)

    assert [event.outcome for event in finished(record)] == ["error", "cancelled"]


async def test_a_coroutine_closed_by_hand_is_finished(record: Recorded) -> None:
    @tool
    async def wait() -> None:
        await asyncio.sleep(10)

    waiting = wait()
    waiting.send(None)
    waiting.close()

    assert outcome(record) == "cancelled"


def test_a_generator_is_recorded_from_its_first_step_to_its_last(record: Recorded) -> None:
    @tool
    def steps(count: int) -> Iterator[Any]:
        first = yield 0
        second = yield 1
        return [first, second, count]

    running = steps(2)
    assert started(record) == []
    assert next(running) == 0
    assert current_cause() is None
    assert running.send("a") == 1  # type: ignore[attr-defined]
    with pytest.raises(StopIteration) as end:
        running.send("b")  # type: ignore[attr-defined]

    assert end.value.value == ["a", "b", 2]
    assert the_only(record)[1].output == ["a", "b", 2]


def test_what_is_thrown_into_a_generator_belongs_to_it(record: Recorded) -> None:
    @tool
    def patient() -> Iterator[str]:
        try:
            yield "first"
        except KeyError:
            yield "caught"

    running = patient()
    next(running)

    assert running.throw(KeyError("k")) == "caught"  # type: ignore[attr-defined]
    assert list(running) == []
    assert outcome(record) == "success"


@pytest.mark.parametrize("end", ["close", "forget"])
def test_a_generator_left_early_is_cancelled(record: Recorded, end: str) -> None:
    cleaned = []

    @tool
    def steps() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(current_cause())

    running = steps()
    next(running)
    if end == "close":
        running.close()  # type: ignore[attr-defined]
    del running
    gc.collect()

    start, finish = the_only(record)
    assert finish.outcome == "cancelled"
    assert cleaned == [start.trace]


@pytest.mark.on_both_backends
async def test_an_async_generator_is_recorded_to_its_end(record: Recorded) -> None:
    @tool
    async def stream(count: int) -> AsyncIterator[int]:
        for number in range(count):
            await anyio.sleep(0)
            yield number

    seen = []
    async for number in stream(3):
        assert current_cause() is None
        seen.append(number)

    assert seen == [0, 1, 2]
    start, finish = the_only(record)
    assert (start.input, finish.outcome) == ({"count": 3}, "success")


@pytest.mark.on_both_backends
async def test_an_async_generator_closed_early_is_cancelled(record: Recorded) -> None:
    cleaned = []

    @tool
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    async with aclosing(stream()) as running:  # type: ignore[type-var]
        async for _ in running:
            break

    assert cleaned == [True]
    assert outcome(record) == "cancelled"


async def test_an_async_generator_nobody_closes_is_cancelled_when_it_goes(
    record: Recorded,
) -> None:
    @tool
    async def stream() -> AsyncIterator[int]:
        yield 1
        yield 2

    async for _ in stream():
        break
    gc.collect()
    await asyncio.sleep(0.01)

    assert outcome(record) == "cancelled"


@pytest.mark.on_both_backends
async def test_what_is_sent_and_thrown_into_an_async_generator_arrives(record: Recorded) -> None:
    @tool
    async def echo() -> Any:
        said = "nothing"
        while True:
            try:
                said = yield said
            except KeyError:
                said = "caught"

    running = echo()
    assert await running.asend(None) == "nothing"
    assert await running.asend("hello") == "hello"
    assert await running.athrow(KeyError("k")) == "caught"
    with pytest.raises(ValueError, match="no"):
        await running.athrow(ValueError("no"))

    assert outcome(record) == "error"
