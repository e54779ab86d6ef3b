"""Holes in what the watcher saw: watch:gap."""

from datetime import datetime

import msgspec

from eventbus.event import Event

__all__ = ["WatchGap"]


class WatchGap(Event, tag="watch:gap"):
    """For a while changes to files may have gone unseen."""

    reason: str
    from_: datetime | None = msgspec.field(default=None, name="from")
    """`from` on the wire; None: since before anybody watched."""
    to: datetime | None = None
    found: int | None = None
    """Changes that looking again has found."""
