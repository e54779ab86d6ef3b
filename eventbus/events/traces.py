"""Tool calls from start to finish: tool:*."""

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from eventbus.event import Event

__all__ = ["ToolFinished", "ToolStarted", "ToolUpdated"]


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
    cwd: str | UnsetType | None = UNSET
    """The directory it works in, where that was said."""


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


class ToolUpdated(Event, tag="tool:update"):
    """More is known of a tool call; what is not named stays as it is."""

    trace: str
    message_id: str | UnsetType | None = UNSET
    output: Any | UnsetType = UNSET
    finished_at: datetime | UnsetType | None = UNSET
    latency_ms: int | float | UnsetType | None = UNSET
    tokens_used: int | UnsetType | None = UNSET
    cache_tokens: int | UnsetType | None = UNSET
    reasoning_tokens: int | UnsetType | None = UNSET
    error: str | UnsetType | None = UNSET
    outcome: Literal["success", "error", "cancelled", "abandoned"] | UnsetType | None = UNSET
