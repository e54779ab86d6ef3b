"""Turns of the heartbeat and of the schedule: heartbeat:cycle, cron:cycle."""

import msgspec

from eventbus.event import Event

__all__ = ["Beat", "CronRan", "JobRun"]


class JobRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one job did in one turn."""

    name: str
    status: str = "success"
    """`success`, `error` or `skipped`."""
    duration_ms: int | float | None = None
    detail: str = ""
    """What was done, or what went wrong."""


class Beat(Event, tag="heartbeat:cycle"):
    """The heartbeat turned once."""

    jobs: tuple[JobRun, ...] = ()
    lateness_ms: int | float | None = None
    """How long after its time it turned."""


class CronRan(Event, tag="cron:cycle"):
    """Jobs that were due by the calendar have run."""

    jobs: tuple[JobRun, ...] = ()
    lateness_ms: int | float | None = None
    """How long after their time they ran."""
