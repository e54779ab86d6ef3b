"""What goes in and out of a channel: channel:message."""

from typing import Literal

from eventbus.event import Event

__all__ = ["ChannelMessage"]


class ChannelMessage(Event, tag="channel:message"):
    """A message came in from a user or went out to one."""

    direction: Literal["in", "out"]
    channel: str
    user: str | None = None
    length: int | None = None
    """Characters of the whole message."""
    preview: str | None = None
    """Its beginning, for people."""
