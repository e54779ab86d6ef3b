"""What a bus says of itself: its counts, what a flush found, how it ended."""

from typing import Any

import msgspec

from eventbus.inbox import Inbox

__all__ = ["Flushed", "Report", "Statistics", "count", "report"]


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """The bus's counts; `accepted = written + waiting + poison + the sum of dropped`."""

    accepted: int
    written: int
    waiting: int
    poison: int
    """Kept in a marked fallback form, because they would not encode."""
    dropped: dict[str, int]
    """Not kept, by reason."""
    synced: int
    unsynced_bytes: int
    trouble: str | None
    """What the disk last said, while it refuses."""
    refusals: int
    """How often a write, a sync or a new segment had to be tried again."""
    lanes: dict[str, Any]
    """`LaneStatistics` by lane."""


class Flushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a flush found to be so."""

    reached: bool
    """True when the level was reached in the journal and every lane served here."""
    until: str
    lanes: dict[str, bool]
    """Lanes served here: True when everything emitted before is handed over."""

    def __bool__(self) -> bool:
        return self.reached


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a bus ended."""

    written: int
    poison: int
    dropped: dict[str, int]
    lanes: dict[str, Any]
    """`LaneStatistics` by lane, at the end; what lags resumes from its cursor."""
    is_complete: bool
    """True when everything emitted was written and every lane had done it all."""
    trouble: str | None = None


def count(
    inbox: Inbox,
    *,
    written: int,
    poison: int,
    synced: int,
    waiting: int,
    unkept: int,
    unsynced_bytes: int = 0,
    trouble: str | None = None,
    refusals: int = 0,
    lanes: dict[str, Any] | None = None,
) -> Statistics:
    dropped = inbox.dropped.totals()
    if unkept:
        dropped["disk"] = unkept
    return Statistics(
        accepted=written + poison + waiting + sum(dropped.values()),
        written=written,
        waiting=waiting,
        poison=poison,
        dropped=dropped,
        synced=synced,
        unsynced_bytes=unsynced_bytes,
        trouble=trouble,
        refusals=refusals,
        lanes=lanes or {},
    )


def report(last: Statistics, lanes: dict[str, Any], *, is_finished: bool) -> Report:
    behind = any(lane.is_served and lane.lag for lane in lanes.values())
    dropped = dict(last.dropped)
    if last.waiting:
        dropped["unwritten at the end"] = last.waiting
    return Report(
        written=last.written,
        poison=last.poison,
        dropped=dropped,
        lanes=lanes,
        is_complete=is_finished and not dropped and not behind,
        trouble=last.trouble,
    )
