"""Kernel turns, tools included, and those a limit refused: dispatch:*."""

from datetime import datetime
from typing import Literal

import msgspec

from eventbus.event import Event

__all__ = ["DispatchError", "DispatchFinished", "DispatchRefused", "DispatchTool"]


class DispatchTool(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One tool call of a dispatch."""

    name: str
    duration_ms: int | float | None = None
    input_preview: str = ""
    """A short line for people; never the tool's output."""
    status: Literal["success", "error"] = "success"


class DispatchError(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a dispatch failed."""

    name: str
    message: str = ""
    stack: str | None = None
    tool: str | None = None
    """The tool it failed in, if in one."""
    turn: int | None = None


class DispatchFinished(Event, tag="dispatch:finish"):
    """One kernel turn is over, tools included."""

    sender_id: str | None = None
    """The user or channel that caused it; None: the scope's."""
    conversation_id: str | None = None
    """None: the scope's chat, else its session."""
    model: str | None = None
    agent_name: str | None = None
    """None: the scope's agent, else its component."""
    tokens_in: int | None = None
    """All input, cached or not."""
    tokens_out: int | None = None
    """All output, reasoning included."""
    cost: int | float | None = None
    """Dollars; None where a price is unknown."""
    duration_ms: int | float | None = None
    """Wall clock."""
    tools: tuple[DispatchTool, ...] = ()
    status: Literal["success", "error"] = "success"
    error: DispatchError | None = None
    batch: bool = False
    batch_id: str | None = None
    """What the dispatches of one batch share."""
    model_calls: int = 0
    """Model calls recorded inside; with any, these figures are theirs and add to no total."""


class DispatchRefused(Event, tag="dispatch:refuse"):
    """A dispatch that a cost limit did not let begin."""

    limit: int | float
    """Dollars that may be spent within the window."""
    limit_scope: str = "user"
    """Whom the limit holds for: `user` or `all`."""
    spent: int | float
    """Dollars spent within the window so far."""
    window: Literal["daily", "monthly"]
    resets_at: datetime | None = None
    sender_id: str | None = None
    """None: the scope's user or source."""
    model: str | None = None
    unit: Literal["cost", "token"] | msgspec.UnsetType = msgspec.UNSET
    """What is limited, where it is not cost: then `limit` and `spent` are tokens."""

    @property
    def message(self) -> str:
        """What the one who asked is told."""
        unit = "cost" if self.unit is msgspec.UNSET else self.unit
        return f"{self.window.capitalize()} {unit} limit reached."
