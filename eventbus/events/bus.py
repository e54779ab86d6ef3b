"""What the bus says of itself; nobody else can emit these."""

from datetime import datetime
from typing import Any

from eventbus.event import Event

__all__ = ["BusEnded", "BusOpened", "GapLeft", "LineErased", "Recovered", "StatsTaken"]


class BusOpened(Event, tag="bus:open"):
    """A writer began, or went on, in this segment."""

    writer: str
    host: str
    pid: int
    started: datetime
    """When this run of the writer began."""
    before: int
    """Records of this writer that stand before this one, in all its segments."""
    previous: str | None = None
    """The writer's segment before this one."""
    previous_end: int | None = None
    """Bytes of it that count; what stands after them was written again elsewhere or torn."""


class BusEnded(Event, tag="bus:close"):
    """A writer ended its run."""

    writer: str
    before: int
    """Records of this writer that stand before this one, in all its segments."""
    clean: bool = True
    """False when somebody else closed the segment after the writer had died."""
    dropped: dict[str, int] = {}
    """Events this run could not keep, by reason."""


class GapLeft(Event, tag="bus:gap"):
    """Events that could not be kept, or not be handed to one lane."""

    reason: str
    count: int
    lane: str | None = None
    """The lane that missed them; None when nobody has them."""
    bytes: int | None = None
    first_ts: datetime | None = None
    last_ts: datetime | None = None


class Recovered(Event, tag="bus:recover"):
    """The torn end of a dead writer's segment was cut off and kept aside."""

    segment: str
    reason: str
    cut_bytes: int
    digest: str | None = None
    """SHA-256 of what was cut."""


class LineErased(Event, tag="bus:erased"):
    """The tombstone of a record that was erased; it is as long as that was.

    The time and what is kept of the record are left out where there is no room.
    """

    leaf: str
    """SHA-256 of the line, in Base64."""
    was: str | None = None
    """The record's kind."""


class StatsTaken(Event, tag="bus:stats"):
    """The bus's counts at one moment."""

    accepted: int
    written: int
    waiting: int
    synced: int
    poison: int
    dropped: dict[str, int]
    lanes: dict[str, dict[str, Any]]
