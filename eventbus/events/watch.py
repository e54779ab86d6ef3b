"""What the watcher says of its own watching: watch:*."""

from datetime import datetime

import msgspec

from eventbus.event import Event

__all__ = ["WatchBurst", "WatchGap"]


class WatchGap(Event, tag="watch:gap"):
    """For a while changes to files may have gone unseen."""

    reason: str
    from_: datetime | None = msgspec.field(default=None, name="from")
    """`from` on the wire; None: since before anybody watched."""
    to: datetime | None = None
    found: int | None = None
    """Changes that looking again has found."""


class WatchBurst(Event, tag="watch:burst"):
    """Many files changed at once; each is told as well, with this event's id."""

    changes: int
    written: int = 0
    deleted: int = 0
    made: int = 0
    """Directories."""
    size_bytes: int = 0
    """Of what was written."""
    where: dict[str, int] = {}
    """Changes by directory, of the directories with most."""
    duration_ms: float | None = None
    actor: str | None = None
    """The tool that made all of them; None: unknown, or several."""
    agent_name: str | None = None
    trace: str | None = None
