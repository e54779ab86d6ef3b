"""What was done to sealed records on purpose: seal:*."""

from eventbus.event import Event

__all__ = ["LinesErased"]


class LinesErased(Event, tag="seal:erase"):
    """Records were replaced by tombstones, and deleted where they had rows."""

    events: int
    """How many of the journal or the store."""
    lines: int
    """Lines of segments and log files."""
    rows: int
    """Rows of the store."""
    where: tuple[str, ...] = ()
    """By what they were chosen, such as `user`; never the value."""
    by: str | None = None
    """Who declared it."""
    why: str | None = None
    still_in: tuple[str, ...] = ()
    """Files that still hold them, such as backups."""
