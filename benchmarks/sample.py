"""The one realistic event that every contestant records, and a mix as an agent makes it."""

from datetime import datetime
from typing import Any

from eventbus.clock import utc_now
from eventbus.event import Event, new_id
from eventbus.events.conversation import TurnTaken
from eventbus.events.file import FileWritten
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.events.log import LogLine
from eventbus.events.traces import ToolFinished, ToolStarted
from eventbus.scope import Scope, scope

__all__ = [
    "SCOPE",
    "AnythingCalled",
    "Called",
    "ToolCalled",
    "acting",
    "answered_at",
    "anything_called",
    "called",
    "facts",
    "mixed",
    "mixed_at",
    "tool_called",
]

SCOPE = {"session": "s1", "component": "brain"}
"""Who acts in every event."""


class ToolCalled(Event, tag="bench:call"):
    """A tool call: about 260 bytes of JSON with a small dict."""

    call_id: int
    tool: str
    ok: bool
    duration_ms: float
    arguments: dict[str, str | int]


class AnythingCalled(Event, tag="bench:anything"):
    """The same, its dict declared to hold anything: its depth is not known."""

    call_id: int
    tool: str
    ok: bool
    duration_ms: float
    arguments: dict[str, Any]


def anything_called(number: int) -> AnythingCalled:
    """Construct one of those."""
    return AnythingCalled(
        call_id=number,
        tool="read",
        ok=True,
        duration_ms=12.5,
        arguments={"path": "src/app.py", "line": number},
    )


class Called(Event, tag="bench:plain"):
    """A tool call whose fields cannot change, so nothing needs copying."""

    call_id: int
    tool: str
    ok: bool
    duration_ms: float


def called(number: int) -> Called:
    """Construct one of those."""
    return Called(call_id=number, tool="read", ok=True, duration_ms=12.5)


def tool_called(number: int) -> ToolCalled:
    """Construct the event, its id, time and scope included."""
    return ToolCalled(
        call_id=number,
        tool="read",
        ok=True,
        duration_ms=12.5,
        arguments={"path": "src/app.py", "line": number},
    )


def facts(number: int) -> dict[str, Any]:
    """The same event as a plain dict, for those who record dicts."""
    return {
        "kind": "bench:call",
        "id": new_id(),
        "ts": utc_now(),
        "scope": SCOPE,
        "cause": None,
        "call_id": number,
        "tool": "read",
        "ok": True,
        "duration_ms": 12.5,
        "arguments": {"path": "src/app.py", "line": number},
    }


def acting() -> scope:
    """The scope block that every contestant of ours runs in."""
    return scope(session=SCOPE["session"], component=SCOPE["component"])


# --- a mix ---------------------------------------------------------------------------

USERS, MODELS, COMPONENTS = 20, 6, ("brain", "worker", "heartbeat", "cron")


def mixed(number: int) -> Event:
    """One of a mix: model calls, tool calls, files, turns and lines of a log."""
    return mixed_at(number, utc_now(), session=number // 2_000, word="report")


def mixed_at(number: int, at: datetime, *, session: int, word: str) -> Event:
    """The same at a moment, in a session; its log line has a word of one's own."""
    acts = Scope(
        session=f"session-{session}",
        chat=f"chat-{session}",
        component=COMPONENTS[number % len(COMPONENTS)],
        user=f"user-{number % USERS}",
    )
    said: dict[str, Any] = {"ts": at, "scope": acts}
    trace = f"trace-{number // 10}"
    match number % 10:
        case 0 | 5:
            return answered_at(number, at, acts=acts)
        case 1:
            arguments = {"path": f"src/module_{number % 97}.py", "line": number}
            return ToolStarted(trace=trace, name="read_file", input=arguments, **said)
        case 2:
            return ToolFinished(
                trace=trace, name="read_file", output="120 lines", latency_ms=12.5, **said
            )
        case 3:
            return FileWritten(path=f"src/module_{number % 97}.py", size_bytes=number, **said)
        case 4:
            return TurnTaken(turns=number // 10, duration_ms=900.0, **said)
        case _:
            message = f"the {word} of step {number} is done"
            return LogLine(event_type="step:done", source="agent", message=message, **said)


def answered_at(number: int, at: datetime, *, acts: Scope | None = None) -> ModelAnswered:
    """A model's answer at a moment."""
    acts = acts or Scope(
        component=COMPONENTS[number % len(COMPONENTS)], user=f"user-{number % USERS}"
    )
    return ModelAnswered(
        model=f"model-{number % MODELS}",
        provider="anthropic",
        usage=Usage(input_uncached=900, cache_read=8_000, output_visible=350, reasoning=50),
        cost=0.012_345,
        price="prices/1",
        latency_ms=850.5,
        ts=at,
        scope=acts,
    )
