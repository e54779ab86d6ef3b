"""Messages in and out of the agent's channels."""

from typing import Literal

from eventbus.events.channel import ChannelMessage
from eventbus.formats.as_text import as_text, text_if_said
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.values import preview

__all__ = ["channel_message"]

DIRECTIONS = ("in", "out")


def channel_message(
    direction: Literal["in", "out"],
    channel: str,
    user: str | None = None,
    text: str | None = None,
    *,
    bus: Bus | None = None,
) -> None:
    """Record a message: its length and its beginning, not the whole of it."""
    if direction not in DIRECTIONS:
        raise ValueError(f"a message cannot go {direction!r}; allowed: {', '.join(DIRECTIONS)}")
    text = text_if_said(text) or ""
    emitter(bus)(
        ChannelMessage(
            scope=scope_here(bus),
            direction=direction,
            channel=as_text(channel),
            user=text_if_said(user),
            length=len(text),
            preview=preview(text),
        )
    )
