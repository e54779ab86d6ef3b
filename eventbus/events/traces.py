"""Tool calls from start to finish: tool:*."""

from typing import Any, Literal

from eventbus.event import Event

__all__ = ["ToolFinished", "ToolStarted"]


class ToolStarted(Event, tag="tool:start"):
    """A tool call began."""

    trace: str
    """What its start and its finish share."""
    name: str
    input: Any = None
    """Its arguments, whatever JSON can hold."""
    message_id: str | None = None
    turn: int | None = None
    """None: the scope's turn."""


class ToolFinished(Event, tag="tool:finish"):
    """A tool call is over, however it went."""

    trace: str
    name: str | None = None
    outcome: Literal["success", "error", "cancelled", "abandoned"] = "success"
    output: Any = None
    """Its result, whatever JSON can hold."""
    error: str | None = None
    latency_ms: int | float | None = None
    tokens_used: int | None = None
    cache_tokens: int | None = None
    reasoning_tokens: int | None = None
