"""Every topic of the store, and the tables as this version wants them."""

from eventbus.store import (
    changes,
    cursors,
    dispatches,
    errors,
    events,
    ingested,
    messages,
    openings,
    search,
    sessions,
    snapshots,
    spawns,
    tasks,
    traces,
    usage,
)
from eventbus.store.topic import Topic

__all__ = ["TOPICS"]

TOPICS: tuple[Topic, ...] = (
    cursors.TOPIC,
    events.TOPIC,
    ingested.TOPIC,
    usage.TOPIC,
    search.TOPIC,
    sessions.TOPIC,
    openings.TOPIC,
    tasks.TOPIC,
    traces.TOPIC,
    snapshots.TOPIC,
    changes.TOPIC,
    errors.TOPIC,
    dispatches.TOPIC,
    messages.TOPIC,
    spawns.TOPIC,
)
"""In the order in which a batch lands."""
