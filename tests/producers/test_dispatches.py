"""Dispatches as lines of `interactions-{date}.jsonl`, byte for byte."""

import asyncio
import threading
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest

from eventbus import CostLimitReached, EventBus, current_scope, dispatch, scope, tool
from eventbus.events import DispatchFinished, LogLine, ModelAnswered, Usage
from eventbus.formats import SHAPES
from eventbus.testing import FakeClock, Recorded


def line_of(record: Recorded) -> str:
    (event,) = record.of(DispatchFinished)
    line = SHAPES["interactions"].encode(event)
    assert line is not None
    return line.decode()


def finish_of(record: Recorded) -> DispatchFinished:
    (event,) = record.of(DispatchFinished)
    assert isinstance(event, DispatchFinished)
    return event


def answer(model: str = "m-1", cost: float | None = 0.1) -> ModelAnswered:
    return ModelAnswered(model=model, usage=Usage(input_uncached=100, output_visible=7), cost=cost)


# --- the line ------------------------------------------------------------------------


@pytest.mark.on_both_backends
async def test_the_line_of_a_dispatch_that_goes_well(record: Recorded) -> None:
    clock = FakeClock()

    async with dispatch(
        sender_id="telegram:ada",
        conversation_id="c-9",
        model="m-1",
        agent_name="planner",
        clock=clock,
    ) as turn:
        async with tool("shell", {"command": "ls -l"}, clock=clock):
            clock.advance(0.015)
        async with tool("write_file", {"path": "a.py", "content": "x" * 2048}, clock=clock):
            clock.advance(0.0045)
        turn.tokens(in_=1000, out=80)
        turn.tokens(in_=200)
        turn.cost(0.01)
        turn.cost(0.0025)
        clock.advance(2)

    assert line_of(record) == (
        '{"timestamp":"2026-01-01T12:00:02.019Z","senderId":"telegram:ada","conversationId":"c-9",'
        '"model":"m-1","agentName":"planner","tokensIn":1200,"tokensOut":80,"cost":0.0125,'
        '"durationMs":2019.5,"tools":['
        '{"name":"shell","durationMs":15.0,"inputPreview":"ls -l","status":"success"},'
        '{"name":"write_file","durationMs":4.5,"inputPreview":"write a.py 2.0 KiB",'
        '"status":"success"}],'
        '"status":"success","batch":false,"batchId":null}'
    )


@pytest.mark.on_both_backends
async def test_the_line_of_one_that_fails_in_a_tool(record: Recorded) -> None:
    clock = FakeClock()

    with pytest.raises(OSError, match="disk full"), scope(turn=3):
        async with (
            dispatch(
                sender_id="ada", conversation_id="c-9", model="m-1", batch_id="b-1", clock=clock
            ),
            tool("outer", clock=clock),
            tool("save", {"path": "a"}, clock=clock),
        ):
            raise OSError("disk full")

    line = line_of(record)
    before, _, after = line.partition('"stack":"')
    stack, _, after = after.partition('","tool"')
    assert before + after == (
        '{"timestamp":"2026-01-01T12:00:00.000Z","senderId":"ada","conversationId":"c-9",'
        '"model":"m-1","agentName":null,"tokensIn":null,"tokensOut":null,"cost":null,'
        '"durationMs":0.0,"tools":['
        '{"name":"outer","durationMs":0.0,"inputPreview":"","status":"error"},'
        '{"name":"save","durationMs":0.0,"inputPreview":"save a","status":"error"}],'
        '"status":"error","error":{"name":"OSError","message":"disk full",'
        ':"save","turn":3},"batch":true,"batchId":"b-1"}'
    )
    assert stack.startswith("Traceback")
    assert stack.endswith("OSError: disk full\\n")


def test_the_line_of_one_that_did_nothing(record: Recorded) -> None:
    clock = FakeClock()

    with scope(session="s-1", user="ada", component="brain"), dispatch(clock=clock):
        pass

    assert line_of(record) == (
        '{"timestamp":"2026-01-01T12:00:00.000Z","senderId":"ada","conversationId":"s-1",'
        '"model":null,"agentName":"brain","tokensIn":null,"tokensOut":null,"cost":null,'
        '"durationMs":0.0,"tools":[],"status":"success","batch":false,"batchId":null}'
    )


def test_a_long_stack_loses_its_middle(record: Recorded) -> None:
    def fall(levels: int) -> None:
        if levels:
            rise(levels - 1)
        raise ValueError("at the bottom")

    def rise(levels: int) -> None:
        fall(levels)

    with pytest.raises(ValueError, match="bottom"), dispatch():
        fall(200)

    error = finish_of(record).error
    assert error is not None
    assert error.stack is not None
    assert len(error.stack) < 16_100
    assert " characters …" in error.stack


def test_one_that_is_cancelled_did_not_succeed(record: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt), dispatch():
        raise KeyboardInterrupt

    finish = finish_of(record)
    assert finish.status == "error"
    assert finish.error is not None
    assert (finish.error.name, finish.error.tool) == ("KeyboardInterrupt", None)


async def test_an_error_is_of_the_tool_it_came_out_of_even_when_wrapped(record: Recorded) -> None:
    async def work() -> None:
        with tool("deep"):
            raise KeyError("k")

    async def fail() -> None:
        with tool("good"):
            pass
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work)
        except ExceptionGroup as error:
            raise RuntimeError("wrapped") from error

    with pytest.raises(RuntimeError):
        async with dispatch():
            await fail()

    error = finish_of(record).error
    assert error is not None
    assert (error.name, error.tool) == ("RuntimeError", "deep")


def test_an_error_of_its_own_is_of_no_tool(record: Recorded) -> None:
    def fail() -> None:
        with suppress(KeyError), tool("bad"):
            raise KeyError("k")
        raise ValueError("own")

    with pytest.raises(ValueError, match="own"), dispatch():
        fail()

    error = finish_of(record).error
    assert error is not None
    assert error.tool is None


def test_an_error_is_of_the_last_tool_and_not_of_one_before(record: Recorded) -> None:
    def fail() -> None:
        with suppress(KeyError), tool("first"):
            raise KeyError("k")
        with tool("second"):
            raise ValueError("last")

    with pytest.raises(ValueError, match="last"), dispatch():
        fail()

    error = finish_of(record).error
    assert error is not None
    assert error.tool == "second"


def test_one_that_is_over_is_not_told_again(record: Recorded) -> None:
    with dispatch() as turn:
        pass
    turn.__exit__(None, None, None)

    assert finish_of(record).status == "success"


# --- tools ---------------------------------------------------------------------------


@pytest.mark.on_both_backends
async def test_tools_of_child_tasks_and_threads_are_told_in_the_order_they_began(
    record: Recorded,
) -> None:
    def in_thread() -> None:
        with tool("thread"):
            pass

    async def child(name: str, before: anyio.Event, after: anyio.Event) -> None:
        await before.wait()
        async with tool(name):
            after.set()
            await anyio.sleep(0)

    first, second, third = anyio.Event(), anyio.Event(), anyio.Event()
    async with dispatch(), anyio.create_task_group() as tasks:
        tasks.start_soon(child, "two", second, third)
        tasks.start_soon(child, "one", first, second)
        first.set()
        await third.wait()
        await anyio.to_thread.run_sync(in_thread)
        carried = threading.Thread(target=scope.carry(in_thread))
        carried.start()
        carried.join()
    with tool("outside"):
        pass

    names = [call.name for call in finish_of(record).tools]
    assert names == ["one", "two", "thread", "thread"]
    assert {call.status for call in finish_of(record).tools} == {"success"}


async def test_a_tool_that_is_still_at_work_did_not_succeed_in_it(record: Recorded) -> None:
    async def slow() -> None:
        with tool("slow"):
            await asyncio.sleep(0.01)

    async with dispatch():
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
    await task

    (call,) = finish_of(record).tools
    assert (call.name, call.status, call.duration_ms) == ("slow", "error", None)


def test_a_great_many_tools_are_counted(record: Recorded) -> None:
    with dispatch():
        for _ in range(1_002):
            with tool("again"):
                pass

    tools = finish_of(record).tools
    assert len(tools) == 1_001
    assert (tools[-1].name, tools[-1].input_preview) == ("…", "2 more calls")


# --- model calls ------------------------------------------------------------------------


@pytest.mark.on_both_backends
async def test_with_model_calls_inside_the_figures_are_theirs(record: Recorded) -> None:
    async def child() -> None:
        await record.bus.emit(answer(cost=0.2))

    async with dispatch() as turn, anyio.create_task_group() as tasks:
        turn.tokens(in_=5, out=5)
        turn.cost(99)
        record.bus.emit_nowait(answer("m-7"))
        tasks.start_soon(child)
    await record.bus.emit(answer("later"))

    finish = finish_of(record)
    assert (finish.model_calls, finish.model) == (2, "m-7")
    assert (finish.tokens_in, finish.tokens_out, finish.cost) == (200, 14, 0.3)


@pytest.mark.parametrize(
    ("costs", "total"), [([0.1, None], None), ([], None), ([1, 2], 3), ([0.1] * 3, 0.3)]
)
def test_costs_add_up_unless_one_is_unknown(
    record: Recorded, costs: list[float | None], total: float | None
) -> None:
    with dispatch() as turn:
        for cost in costs:
            turn.cost(cost)
    with dispatch():
        for cost in costs:
            record.bus.emit_nowait(answer(cost=cost))

    assert [event.cost for event in record.of(DispatchFinished)] == [total, total]  # type: ignore[attr-defined]


def test_a_call_that_reported_nothing_has_no_tokens(record: Recorded) -> None:
    with dispatch() as turn:
        turn.tokens(in_=5)
        record.bus.emit_nowait(ModelAnswered(model="m-1"))

    finish = finish_of(record)
    assert (finish.model_calls, finish.tokens_in, finish.cost) == (1, None, None)


def test_what_happens_in_one_inside_another_is_told_by_both(record: Recorded) -> None:
    with dispatch(agent_name="outer"):
        with dispatch(agent_name="inner"), tool("deep"):
            record.bus.emit_nowait(answer())
        record.bus.emit_nowait(answer())

    inner, outer = record.of(DispatchFinished)
    assert (inner.model_calls, outer.model_calls) == (1, 2)  # type: ignore[attr-defined]
    assert len(inner.tools) == len(outer.tools) == 1  # type: ignore[attr-defined]


# --- in whose name ----------------------------------------------------------------------


def test_what_is_emitted_inside_is_in_the_senders_name(record: Recorded) -> None:
    with dispatch(sender_id="ada", conversation_id="c-1", agent_name="scout"):
        record.bus.emit_nowait(LogLine(event_type="a:b"))
    assert current_scope().user is None

    (event,) = record.of("a:b")
    assert (event.scope.user, event.scope.chat, event.scope.agent) == ("ada", "c-1", "scout")


def test_an_id_may_be_a_number(record: Recorded) -> None:
    with dispatch(sender_id=42, conversation_id=7):  # type: ignore[arg-type]
        record.bus.emit_nowait(LogLine(event_type="a:b"))

    assert (finish_of(record).sender_id, finish_of(record).conversation_id) == ("42", "7")
    assert record.of("a:b")[0].scope.user == "42"


@pytest.mark.parametrize("wrong", [{"in_": "12"}, {"out": 1.5}])
def test_what_is_no_number_of_tokens_is_refused_at_once(
    record: Recorded, wrong: dict[str, object]
) -> None:
    with dispatch() as turn, pytest.raises(TypeError):
        turn.tokens(**wrong)
    with dispatch() as turn, pytest.raises(ValueError, match="dear"):
        turn.cost("dear")  # type: ignore[arg-type]

    assert [event.status for event in record.of(DispatchFinished)] == ["success"] * 2  # type: ignore[attr-defined]


def test_a_model_call_that_makes_no_sense_spoils_no_dispatch(record: Recorded) -> None:
    with dispatch():
        record.bus.emit_nowait(ModelAnswered(model="m", usage=7, cost="x"))  # type: ignore[arg-type]

    finish = finish_of(record)
    assert (finish.model_calls, finish.tokens_in, finish.cost) == (1, None, None)


# --- limits ------------------------------------------------------------------------------


class Counted:
    """Lets so many begin."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.log: list[tuple[str, str | None]] = []

    def admit(self, user: str | None) -> "Let":
        self.log.append(("admit", user))
        if len(self.log) > self.most:
            raise CostLimitReached(limit=10, spent=12, window="daily")
        return Let(self.log, user)


class Let:
    def __init__(self, log: list[tuple[str, str | None]], user: str | None) -> None:
        self.log = log
        self.user = user

    def release(self) -> None:
        self.log.append(("release", self.user))


@pytest.mark.on_both_backends
async def test_a_limit_is_asked_before_and_told_after(record: Recorded) -> None:
    limits = Counted(1)

    async with dispatch(sender_id="ada", limits=limits):
        assert limits.log == [("admit", "ada")]

    assert limits.log == [("admit", "ada"), ("release", "ada")]


def test_one_that_is_refused_never_begins(record: Recorded) -> None:
    limits = Counted(0)

    with (
        pytest.raises(CostLimitReached, match="Daily cost limit reached"),
        scope(user="ada"),
        dispatch(limits=limits),
    ):
        pytest.fail("it began")

    assert limits.log == [("admit", None)]
    assert record.of("dispatch:*") == []
    assert current_scope().user is None


def test_a_dispatch_that_fails_gives_back_what_it_was_let_in_with(record: Recorded) -> None:
    limits = Counted(1)

    with pytest.raises(ValueError, match="no"), dispatch(limits=limits):
        raise ValueError("no")

    assert limits.log == [("admit", None), ("release", None)]


def test_a_block_is_for_one_dispatch(record: Recorded) -> None:
    turn = dispatch()
    with turn:
        pass

    with pytest.raises(RuntimeError, match="begun already"), turn:
        pass
    assert len(record.of(DispatchFinished)) == 1


async def test_it_goes_to_the_bus_it_is_given() -> None:
    from sinks.memory import MemorySink

    sink = MemorySink()
    async with EventBus(None, sinks=[sink]) as bus, dispatch(bus=bus):
        await bus.emit(answer())

    assert [event.model_calls for event in sink.of(DispatchFinished)] == [1]  # type: ignore[attr-defined]
