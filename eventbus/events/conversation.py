"""One conversation and its turns: conversation:*."""

from eventbus.event import Event

__all__ = ["ConversationEnded", "ConversationStarted", "TurnTaken"]


class ConversationStarted(Event, tag="conversation:start"):
    """A conversation began; the scope says which."""


class TurnTaken(Event, tag="conversation:turn"):
    """One exchange is over; the scope says which."""

    turns: int | None = None
    """How many there are by now."""
    duration_ms: int | float | None = None


class ConversationEnded(Event, tag="conversation:end"):
    """A conversation came to its end."""

    turns: int | None = None
    duration_ms: int | float | None = None
