"""Every topic of the store, and the tables as this version wants them."""

from eventbus.store import cursors, events, search, sessions, traces, usage
from eventbus.store.topic import Topic

__all__ = ["TOPICS"]

TOPICS: tuple[Topic, ...] = (
    cursors.TOPIC,
    events.TOPIC,
    usage.TOPIC,
    search.TOPIC,
    sessions.TOPIC,
    traces.TOPIC,
)
"""In the order in which a batch lands."""
