"""The one realistic event that every contestant records."""

from typing import Any

from eventbus.clock import utc_now
from eventbus.event import Event, new_id
from eventbus.scope import scope

__all__ = [
    "SCOPE",
    "AnythingCalled",
    "Called",
    "ToolCalled",
    "acting",
    "anything_called",
    "called",
    "facts",
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
