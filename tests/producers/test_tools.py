"""A tool call's trace begins once and ends once, whatever happens in between."""

import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus import EventBus, scope, tool
from eventbus.events import LogLine, ToolErrored, ToolFinished, ToolStarted
from eventbus.scope import current_cause
from eventbus.testing import FakeClock, Recorded, recorded
from tests.producers.traces import finished, outcome, started, the_only


@pytest.fixture(autouse=True)
def no_cause_is_left() -> Iterator[None]:
    yield
    assert current_cause() is None


# --- the block ---------------------------------------------------------------------


def test_a_call_that_goes_well_is_told_from_start_to_finish(record: Recorded) -> None:
    clock = FakeClock()

    with tool("read_file", {"path": "a.txt"}, message_id="m-1", clock=clock) as call:
        clock.advance(0.25)
        call.tokens(used=10, cache=3)
        call.tokens(used=5, reasoning=2)
        call.output({"lines": 3})

    start, finish = the_only(record)
    assert (start.trace, start.name, start.input) == (call.trace, "read_file", {"path": "a.txt"})
    assert start.message_id == "m-1"
    assert (finish.name, finish.outcome, finish.output) == ("read_file", "success", {"lines": 3})
    assert (finish.tokens_used, finish.cache_tokens, finish.reasoning_tokens) == (15, 3, 2)
    assert finish.latency_ms == 250
    assert finish.ts == clock.now()
    assert finish.cause == start.id


@pytest.mark.on_both_backends
async def test_the_block_may_be_async(record: Recorded) -> None:
    async with tool("fetch") as call:
        await anyio.sleep(0)
        call.output("page")

    assert the_only(record)[1].output == "page"


def test_an_exception_is_told_with_arguments_and_traceback(record: Recorded) -> None:
    with pytest.raises(KeyError), tool("lookup", {"key": "k"}):
        raise KeyError("k")

    start, finish = the_only(record)
    (error,) = record.of(ToolErrored)
    assert isinstance(error, ToolErrored)
    assert (finish.outcome, finish.error) == ("error", "KeyError: 'k'")
    assert (error.tool, error.args, error.type, error.message) == (
        "lookup",
        {"key": "k"},
        "KeyError",
        "'k'",
    )
    assert error.stack is not None
    assert 'raise KeyError("k")' in error.stack
    assert error.cause == start.id
    assert [event.kind for event in record.of(["tool:*", "error:*"])] == [
        "tool:start",
        "error:tool",
        "tool:finish",
    ]


def test_what_is_emitted_inside_has_the_call_as_its_cause(record: Recorded) -> None:
    with tool("outer") as outer:
        record.bus.emit_nowait(LogLine(event_type="a:b", message="in"))
        with tool("inner") as inner:
            record.bus.emit_nowait(LogLine(event_type="a:b", message="deep"))
        record.bus.emit_nowait(LogLine(event_type="a:b", message="in again"))
    record.bus.emit_nowait(LogLine(event_type="a:b", message="out"))

    assert [event.cause for event in record.of("a:b")] == [
        outer.trace,
        inner.trace,
        outer.trace,
        None,
    ]
    assert [event.cause for event in started(record)] == [None, outer.trace]


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_one_that_is_ended_from_outside_is_cancelled(
    record: Recorded, ends: type[BaseException]
) -> None:
    with pytest.raises(ends), tool("slow"):
        raise ends

    assert outcome(record) == "cancelled"
    assert record.of(ToolErrored) == []


def test_an_interrupt_from_the_keyboard_finishes_it(record: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt), tool("slow"):
        signal.raise_signal(signal.SIGINT)

    assert outcome(record) == "cancelled"


class Wrecked(BaseException):
    """Neither an `Exception` nor a cancellation."""


def test_an_exception_of_no_known_kind_is_an_error(record: Recorded) -> None:
    with pytest.raises(Wrecked), tool("odd"):
        raise Wrecked

    assert outcome(record) == "error"


@pytest.mark.on_both_backends
async def test_one_whose_task_is_cancelled_is_cancelled(record: Recorded) -> None:
    with anyio.CancelScope() as cancelling:
        async with tool("slow"):
            cancelling.cancel()
            await anyio.sleep(10)

    assert outcome(record) == "cancelled"


@pytest.mark.on_both_backends
async def test_a_group_is_an_error_if_one_in_it_is(record: Recorded) -> None:
    async def fail() -> None:
        raise ValueError("no")

    @tool
    async def group() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            tasks.start_soon(anyio.sleep, 10)

    with pytest.raises(ExceptionGroup):
        await group()

    assert outcome(record) == "error"


@pytest.mark.on_both_backends
async def test_calls_side_by_side_each_have_their_own_trace(record: Recorded) -> None:
    async def one(number: int) -> None:
        async with tool("one", number) as call:
            await anyio.sleep(0)
            with tool("inner", number):
                await anyio.sleep(0)
            call.output(number)

    async with tool("all") as around, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)

    finishes = {finish.trace: finish for finish in finished(record)}
    assert len(finishes) == len(finished(record)) == 41
    for start in started(record):
        if start.name == "one":
            assert finishes[start.trace].output == start.input
            assert start.cause == around.trace


def test_threads_each_have_their_own_trace(record: Recorded) -> None:
    def work() -> None:
        for _ in range(50):
            with tool("work"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(finish.trace for finish in finished(record)) == Counter(
        start.trace for start in started(record)
    )
    assert len(started(record)) == 200
    assert len(record.of("session:create")) == 1


def test_a_block_is_for_one_call(record: Recorded) -> None:
    call = tool("once")
    with call:
        pass

    with pytest.raises(RuntimeError, match="'once' has begun already"), call:
        pass

    assert outcome(record) == "success"


def test_a_block_needs_a_name() -> None:
    with pytest.raises(TypeError, match="needs a name"), tool():
        pass


def test_a_generator_closed_in_another_context_spoils_no_other_call(record: Recorded) -> None:
    def stream() -> Iterator[int]:
        with tool("stream"):
            yield 1

    steps = stream()
    next(steps)
    with tool("other") as other:
        steps.close()
        assert current_cause() == other.trace

    assert sorted(finish.outcome for finish in finished(record)) == ["cancelled", "success"]


# --- in whose name -----------------------------------------------------------------


def test_without_a_scope_it_belongs_to_the_processs_own_session(record: Recorded) -> None:
    with tool("one"):
        pass
    with tool("two"):
        pass

    (created,) = record.of("session:create")
    session = created.scope.session
    assert session is not None
    assert {(e.scope.session, e.scope.chat, e.scope.turn) for e in record.of("tool:*")} == {
        (session, session, 0)
    }


def test_within_a_scope_it_belongs_there(record: Recorded) -> None:
    with scope(session="s-1", chat="c-1", turn=3), tool("one"):
        pass
    with scope(session="s-1", component="brain"), tool("two"):
        pass

    assert record.of("session:create") == []
    scopes = [event.scope for event in started(record)]
    assert [(s.session, s.chat, s.turn, s.component) for s in scopes] == [
        ("s-1", "c-1", 3, None),
        ("s-1", "s-1", 0, "brain"),
    ]


def test_it_goes_to_the_bus_it_is_given(record: Recorded) -> None:
    with recorded() as other:
        with tool("here", bus=other.bus):
            pass

        assert len(started(other)) == len(finished(other)) == 1
        assert len(other.of("session:create")) == 1
    assert started(record) == []


# --- what is kept --------------------------------------------------------------------


class Shy:
    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


def test_values_that_cannot_be_shown_harm_nobody(record: Recorded) -> None:
    circle: list[Any] = []
    circle += [circle, circle]

    with tool("odd", {"shy": Shy(), "circle": circle, (1, 2): {3}}) as call:
        call.output(Shy())

    start, finish = the_only(record)
    assert start.input["shy"] == "<Shy: str() raises ValueError>"
    assert start.input["circle"] == ["<list: it holds itself>"] * 2
    assert finish.output == "<Shy: str() raises ValueError>"


def test_an_error_that_cannot_be_shown_harms_nobody(record: Recorded) -> None:
    class Mute(Exception):
        __str__ = Shy.__repr__

    with pytest.raises(Mute), tool("odd"):
        raise Mute

    assert the_only(record)[1].error == "Mute: <Mute: str() raises ValueError>"


def test_what_is_long_is_cut_and_says_so(record: Recorded) -> None:
    with tool("write", {"path": "a", "content": "x" * 100_000}) as call:
        call.output(list(range(100_000)))
    with tool("small", "y" * 500, keep_bytes=100):
        pass

    (write, small), (finish, _) = started(record), finished(record)
    assert write.input["path"] == "a"
    assert "100000 bytes, sha256" in write.input["content"]
    assert finish.output["cut"]["bytes"] == 588_891
    assert finish.output["start"].startswith("[0,1,2")
    assert small.input["cut"]["bytes"] == 502


def test_an_input_is_kept_as_it_was_at_the_start(record: Recorded) -> None:
    todo = ["one"]

    with tool("work", todo):
        todo.append("two")

    assert the_only(record)[0].input == ["one"]


# --- whatever happens --------------------------------------------------------------------


Plan = st.recursive(
    st.fixed_dictionaries(
        {
            "form": st.sampled_from(["block", "function", "stream"]),
            "steps": st.integers(0, 4),
            "raises": st.booleans(),
            "inside": st.just([]),
        }
    ),
    lambda plans: st.fixed_dictionaries(
        {
            "form": st.sampled_from(["block", "function", "stream"]),
            "steps": st.integers(0, 3),
            "raises": st.sampled_from([False, False, True]),
            "inside": st.lists(plans, max_size=3),
        }
    ),
    max_leaves=8,
)


TOLD = (ToolStarted, ToolFinished, ToolErrored)


class Kept:
    """A bus that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.emit_nowait = self.events.append


async def carry_out(plan: Any, bus: Kept) -> None:
    """A call of a tool, and those inside it side by side."""

    async def work() -> None:
        for _ in range(plan["steps"]):
            await anyio.sleep(0)
        async with anyio.create_task_group() as tasks:
            for each in plan["inside"]:
                tasks.start_soon(carry_out, each, bus)
        if plan["raises"]:
            raise ValueError("as planned")

    @tool(bus=bus)
    async def stream() -> AsyncIterator[int]:
        yield 1
        await work()
        yield 2

    if plan["form"] == "block":
        async with tool("block", bus=bus):
            await work()
    elif plan["form"] == "function":
        await tool("function", bus=bus)(work)()
    else:
        async with aclosing(stream()) as running:  # type: ignore[type-var]
            async for number in running:
                if number == 2 and plan["steps"] % 2:
                    break


async def carry_out_until(plan: Any, steps: int, bus: Kept) -> None:
    """Cancel all of it after so many turns of the loop."""

    async def cancel() -> None:
        for _ in range(steps):
            await anyio.sleep(0)
        tasks.cancel_scope.cancel()

    with suppress(BaseExceptionGroup):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            await carry_out(plan, bus)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(plan=Plan, steps=st.integers(0, 12))
def test_every_start_has_one_finish_whenever_it_is_cancelled(
    backend: str, plan: Any, steps: int
) -> None:
    bus = Kept()

    anyio.run(carry_out_until, plan, steps, bus, backend=backend)

    kinds = {cls: [event for event in bus.events if type(event) is cls] for cls in TOLD}
    starts = [event.trace for event in kinds[ToolStarted]]
    assert sorted(starts) == sorted(event.trace for event in kinds[ToolFinished])
    assert len(set(starts)) == len(starts)
    failed = [event for event in kinds[ToolFinished] if event.outcome == "error"]
    assert len(failed) == len(kinds[ToolErrored])
    assert current_cause() is None


def test_a_call_is_recorded_where_nobody_has_opened_a_bus(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eventbus import read_journal
    from eventbus.standby import standby

    monkeypatch.setenv("EVENTBUS_STATE", str(tmp_path))
    try:
        with tool("alone"):
            pass
    finally:
        standby.close()

    kinds = [event.kind for event in read_journal(tmp_path)]
    assert [kind for kind in kinds if kind.startswith(("session:", "tool:"))] == [
        "session:create",
        "tool:start",
        "tool:finish",
    ]


def test_a_call_on_a_bus_that_has_ended_harms_nobody() -> None:
    with EventBus(None) as bus:
        pass

    with tool("late", bus=bus) as call:
        call.output(1)

    assert bus.statistics().dropped["closed"] >= 2


def test_calls_run_in_another_thread_keep_their_cause(record: Recorded) -> None:
    def work() -> None:
        with tool("inner"):
            pass

    async def main() -> None:
        async with tool("outer"):
            await anyio.to_thread.run_sync(work)

    run: Callable[..., Any] = anyio.run
    run(main)

    outer, inner = started(record)
    assert inner.cause == outer.trace


@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("is_taken", [False, True])
def test_an_interrupt_while_it_is_told_leaves_no_call_open(at: int, is_taken: bool) -> None:
    """An event that was taken already may come again, and has the same id then."""
    bus, number = Kept(), 0

    def emit_nowait(event: Any) -> None:
        nonlocal number
        number += 1
        if number != at or is_taken:
            bus.events.append(event)
        if number == at:
            raise KeyboardInterrupt

    bus.emit_nowait = emit_nowait
    with scope(session="s"), suppress(KeyboardInterrupt, ValueError), tool("one", bus=bus):
        raise ValueError("no")

    ids = {event.id: event.kind for event in bus.events}
    kinds = Counter(ids.values())
    assert kinds["tool:start"] == kinds["tool:finish"] == 1
    assert kinds["error:tool"] == (at != 1)
    assert current_cause() is None


def test_a_call_that_is_over_is_not_told_again(record: Recorded) -> None:
    with tool("one") as call:
        pass
    call.__exit__(None, None, None)

    assert outcome(record) == "success"
