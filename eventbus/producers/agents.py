"""Agents that agents start."""

from eventbus.events.agent import AgentSpawned
from eventbus.producers.acting import Bus, emitter, scope_here

__all__ = ["agent_spawned"]


def agent_spawned(
    agent: str,
    parent: str | None = None,
    reason: str | None = None,
    *,
    bus: Bus | None = None,
) -> None:
    """Record that an agent was started; by the scope's agent, unless it is said who did."""
    scope = scope_here(bus)
    spawned = AgentSpawned(scope=scope, agent=agent, parent=parent or scope.agent, reason=reason)
    emitter(bus)(spawned)
