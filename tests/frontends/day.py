"""A small day of two people and their agents, emitted and landed: what the commands show."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from eventbus.bus import EventBus
from eventbus.event import Event
from eventbus.events import (
    Alternative,
    ChannelMessage,
    DispatchFinished,
    FileWritten,
    LogLine,
    ModelAnswered,
    ModelFailed,
    RouteChosen,
    SessionCreated,
    SessionEnded,
    SnapshotSaved,
    TaskFinished,
    ToolErrored,
    ToolFinished,
    ToolStarted,
    TurnTaken,
    Usage,
    WorkerFailed,
)
from eventbus.scope import Scope
from eventbus.sink import NamedSink

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When the second day's work begins."""
HOSTILE = "a\x1b[2Jb\nc\u202ed\x9b"
"""A name that would clear the screen, break the line and turn the reading direction."""
LONG_SESSION = "019ab3f2-7c10-7cc3-98c4-dc0c0c9c1c9d"
ANN = Scope(session=LONG_SESSION, chat="chat-1", turn=1, component="brain", user="ann")
BOB = Scope(session="s-bob", chat="chat-2", turn=4, component="worker", user="bob")
NOBODY = Scope(session="s-odd", component=HOSTILE, user=HOSTILE)
STACK = (
    'Traceback (most recent call last):\n  File "tools.py", line 3, in fetch\n'
    "    raise TimeoutError('no answer in 30 s')\nTimeoutError: no answer in 30 s\n"
)


def at(seconds: float, *, day: int = 20) -> datetime:
    """So long after noon of a day."""
    return NOON.replace(day=day) + timedelta(seconds=seconds)


def make_day(state: Path, sink: str | NamedSink = "sqlite") -> Path:
    """Record the day in a state directory and land it in its store, or another."""
    with EventBus(state, sinks=[sink]) as bus:
        for event in _with_ids(events()):
            bus.emit_nowait(event)
    return state


def _with_ids(events: Iterator[Event]) -> Iterator[Event]:
    for number, event in enumerate(events, 1):
        yield msgspec.structs.replace(event, id=f"019ab3f2-0000-7000-8000-{number:012x}")


def events() -> Iterator[Event]:
    """What happened."""
    yield from _bobs_day_before()
    yield from _anns_chat()
    yield from _what_went_wrong()
    yield from _strangers()


def _bobs_day_before() -> Iterator[Event]:
    yield SessionCreated(cli_tool="claude-code", persona="coder", ts=at(0, day=19), scope=BOB)
    yield ModelAnswered(
        model="local-7b",
        usage=Usage(input_uncached=900, output_visible=120),
        state="estimated",
        ts=at(1, day=19),
        scope=BOB,
    )
    yield TaskFinished(
        task="task-1",
        source="manual",
        model="local-7b",
        routing="local",
        routing_reason="keyword:commit_msg",
        tokens_in=900,
        tokens_out=120,
        latency_ms=810,
        cost_usd=0.0,
        cloud_cost_equivalent=0.0045,
        ts=at(2, day=19),
        scope=BOB,
    )
    yield RouteChosen(
        task="task-1",
        reason="keyword:commit_msg",
        alternatives_considered=(Alternative(model="claude-sonnet-4-5", reason_rejected="dear"),),
        classifier_version="rules-v1",
        ts=at(2, day=19),
        scope=BOB,
    )
    yield SessionEnded(reason="done", ts=at(60, day=19), scope=BOB)


def _anns_chat() -> Iterator[Event]:
    yield SessionCreated(cli_tool="mcp", persona="planner", ts=at(0), scope=ANN)
    yield ChannelMessage(
        direction="in",
        channel="slack",
        user="ann",
        length=22,
        preview="look up the weather",
        ts=at(1),
        scope=ANN,
    )
    yield ToolStarted(
        trace="trace-1", name="search_web", input={"q": "weather"}, ts=at(2), scope=ANN
    )
    yield ToolStarted(
        trace="trace-2", name="read_file", input={"path": "a.md"}, ts=at(2.5), scope=ANN
    )
    yield ToolFinished(
        trace="trace-2", name="read_file", output="text", latency_ms=250, ts=at(2.75), scope=ANN
    )
    yield ToolFinished(
        trace="trace-1",
        name="search_web",
        output="sun",
        latency_ms=1000,
        tokens_used=40,
        ts=at(3),
        scope=ANN,
    )
    yield ModelAnswered(
        model="claude-sonnet-4-5",
        provider="anthropic",
        usage=Usage(input_uncached=1000, cache_read=9000, cache_write_5m=500, output_visible=300),
        cost=0.012375,
        price="claude-sonnet-4-5",
        latency_ms=2100,
        ts=at(4),
        scope=ANN,
    )
    yield DispatchFinished(
        sender_id="ann",
        model="claude-sonnet-4-5",
        tokens_in=10_500,
        tokens_out=300,
        cost=0.012375,
        duration_ms=4000,
        model_calls=1,
        ts=at(5),
        scope=ANN,
    )
    yield FileWritten(path="notes/weather.md", size_bytes=120, actor="ann", ts=at(6), scope=ANN)
    yield TurnTaken(turns=1, duration_ms=5000, ts=at(7), scope=ANN)
    yield SnapshotSaved(
        chat_id="chat-1", turn_number=1, state={"plan": ["umbrella"]}, ts=at(8), scope=ANN
    )
    yield TaskFinished(
        task=f"task-{LONG_SESSION}",
        source="mcp-tool",
        model="claude-sonnet-4-5",
        routing="cloud",
        routing_reason="user_override",
        tokens_in=10_500,
        tokens_out=300,
        latency_ms=2100,
        cost_usd=0.012375,
        cloud_cost_equivalent=0.012375,
        ts=at(9),
        scope=ANN,
    )


def _what_went_wrong() -> Iterator[Event]:
    yield ToolStarted(trace="trace-3", name="fetch", input={"url": "x"}, ts=at(20), scope=ANN)
    yield ToolErrored(
        type="TimeoutError",
        message="no answer in 30 s",
        stack=STACK,
        tool="fetch",
        args={"url": "x"},
        ts=at(50),
        scope=ANN,
    )
    yield ToolFinished(
        trace="trace-3",
        name="fetch",
        outcome="error",
        error="TimeoutError: no answer in 30 s",
        latency_ms=30_000,
        ts=at(50),
        scope=ANN,
    )
    yield ToolErrored(
        type="TimeoutError", message="no answer in 5 s", tool="fetch", ts=at(55), scope=ANN
    )
    yield ModelFailed(
        model="claude-sonnet-4-5", error="overloaded", status=529, ts=at(56), scope=ANN
    )
    yield WorkerFailed(task="index", error="disk full", ts=at(57), scope=BOB)
    yield ToolStarted(trace="trace-4", name="deploy", ts=at(58), scope=ANN)


def _strangers() -> Iterator[Event]:
    yield ModelAnswered(
        model=HOSTILE,
        usage=Usage(input_uncached=10, output_visible=1),
        state="partial",
        ts=at(100),
        scope=NOBODY,
    )
    yield ToolErrored(
        type=HOSTILE, message=HOSTILE, stack=HOSTILE, tool=HOSTILE, ts=at(101), scope=NOBODY
    )
    yield ToolStarted(trace="trace-5", name=HOSTILE, ts=at(102), scope=NOBODY)
    yield LogLine(
        event_type="disk:watch", source=HOSTILE, message="timeout of the disk", ts=at(103)
    )
