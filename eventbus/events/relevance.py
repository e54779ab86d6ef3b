"""Which keys of a document a text is about: relevance:*."""

from eventbus.event import Event

__all__ = ["RelevanceCacheHit", "RelevanceScored"]


class RelevanceScored(Event, tag="relevance:score"):
    """A text was scored against the keys of a document."""

    keys: int | None = None
    """How many there were."""
    top: tuple[str, ...] = ()
    """The best of them, best first."""
    duration_ms: int | float | None = None


class RelevanceCacheHit(Event, tag="relevance:cache_hit"):
    """A text had been scored before."""

    keys: int | None = None
    top: tuple[str, ...] = ()
    duration_ms: int | float | None = None
