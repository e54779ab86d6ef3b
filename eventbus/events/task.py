"""The agent's units of work and where they were sent: task:*, routing:*."""

from typing import Literal

import msgspec

from eventbus.event import Event

__all__ = ["Alternative", "RouteChosen", "TaskFinished", "TaskRated"]


class TaskFinished(Event, tag="task:finish"):
    """A unit of work is done, in the cloud or here."""

    task: str
    """The task's own id."""
    source: Literal["mcp-tool", "proxy-intercept", "manual"]
    model: str
    routing: Literal["cloud", "local"]
    routing_reason: str | None = None
    """`keyword:commit_msg`, `token_count<500`, `user_override` or another."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    latency_ms: int | float | None = None
    cost_usd: int | float | None = None
    """None where the price is unknown."""
    cloud_cost_equivalent: int | float | None = None
    """Dollars the same would have cost in the cloud."""
    quality_rating: Literal[0, 1] | None = None
    """None: not rated."""
    prompt_length: int | None = None
    """Characters."""
    response_length: int | None = None
    """Characters."""


class TaskRated(Event, tag="task:rate"):
    """Somebody said how good a task's result was."""

    task: str
    quality_rating: Literal[0, 1] | None
    """None takes a rating back."""


class Alternative(msgspec.Struct, frozen=True, gc=False):
    """A model that was not chosen."""

    model: str
    reason_rejected: str = ""


class RouteChosen(Event, tag="routing:decision"):
    """It was decided which model a task goes to."""

    task: str
    reason: str
    alternatives_considered: tuple[Alternative, ...] = ()
    classifier_version: str | None = None
    """`rules-v1`, `ml-v1` or another."""
