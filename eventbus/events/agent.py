"""Agents that agents start: agent:spawn."""

from eventbus.event import Event

__all__ = ["AgentSpawned"]


class AgentSpawned(Event, tag="agent:spawn"):
    """An agent was started."""

    agent: str
    parent: str | None = None
    """The agent that started it; None: no agent did."""
    reason: str | None = None
