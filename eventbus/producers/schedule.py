"""When a job is due: every so often, daily, or by a cron line."""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import islice, takewhile
from typing import Protocol

import msgspec

from eventbus.errors import SettingsError

__all__ = [
    "OWN_JOBS",
    "CronLine",
    "Daily",
    "HeartbeatSettings",
    "JobSettings",
    "Schedule",
    "jobs_of",
    "read_schedule",
]

DAILY_CATCH_UP = 7
"""Missed days a daily job is run for, at the most, unless it says otherwise."""
CRON_CATCH_UP = 1
"""Missed moments a cron job is run for: the latest one alone."""
_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_FUNCTION = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class JobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A job, as the settings have it: what to run, and one of three ways to say when."""

    run: str | None = None
    """`package.module:function`; None for the heartbeat's own jobs."""
    every: float | None = None
    """Seconds between runs, from the start on, in each process."""
    daily: str | None = None
    """`HH:MM` in UTC; once a day for all processes on one state directory."""
    cron: str | None = None
    """A cron line in UTC; once for all processes on one state directory."""
    catch_up: int | None = None
    """Missed days or moments to run for at the most; None: 7 days, 1 moment."""
    off: bool = False


class HeartbeatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the heartbeat does, and how often."""

    every: float = 1.0
    """Seconds between ticks."""
    memory_most: str | int = "80%"
    """Memory of the process that tells `system:memory`: bytes, or a part of the machine's."""
    disk_least: str | int = "5%"
    """Free room on the disk that tells `system:disk`: bytes, or a part of the whole."""
    backups: int = 7
    """Backups of the store that are kept."""
    dump: bool = False
    """Whether a store on PostgreSQL is backed up here too, by pg_dump."""
    jobs: dict[str, JobSettings] = {}


OWN_JOBS = {
    "stats": JobSettings(every=60.0),
    "memory": JobSettings(every=30.0),
    "disk": JobSettings(every=30.0),
    "storage": JobSettings(daily="00:05", catch_up=1),
    "backup": JobSettings(daily="03:30", catch_up=1),
}
"""The heartbeat's own jobs, and when they run unless the settings say otherwise."""


class Schedule(Protocol):
    """The moments a job is due."""

    catch_up: int
    """Missed moments to run for, unless the job says otherwise."""

    def next(self, after: datetime) -> datetime | None:
        """The first moment after that one; None: never."""

    def between(self, after: datetime, until: datetime, *, most: int) -> list[datetime]:
        """The latest moments in (after, until], `most` of them, oldest first."""


class Daily:
    """A time of day, in UTC."""

    catch_up = DAILY_CATCH_UP

    def __init__(self, written: str) -> None:
        match = _CLOCK_TIME.fullmatch(written)
        if match is None or int(match[1]) > 23 or int(match[2]) > 59:
            raise SettingsError(f"not a time of day: {written!r}; write '03:30', in UTC")
        self._time = time(int(match[1]), int(match[2]))

    def next(self, after: datetime) -> datetime:
        today = self._on(after)
        return today if today > after else today + timedelta(days=1)

    def between(self, after: datetime, until: datetime, *, most: int) -> list[datetime]:
        latest = self.next(until) - timedelta(days=1)
        moments = (latest - timedelta(days=back) for back in range(most))
        return sorted(takewhile(lambda moment: moment > after, moments))

    def _on(self, day: datetime) -> datetime:
        return datetime.combine(day.date(), self._time, day.tzinfo)


class CronLine:
    """A cron line, in UTC."""

    catch_up = CRON_CATCH_UP

    def __init__(self, written: str) -> None:
        from cronsim import CronSim, CronSimError  # only who writes cron lines pays for it

        self._moments = CronSim
        self._line = written
        try:
            CronSim(written, datetime(2000, 1, 1))  # noqa: DTZ001 - only asked whether it is one
        except CronSimError as error:
            raise SettingsError(
                f"not a cron line: {written!r}: {str(error).lower()}; write minute, hour,"
                " day of month, month and day of week, as in '*/15 9-17 * * mon-fri'"
            ) from error

    def next(self, after: datetime) -> datetime | None:
        return next(iter(self._moments(self._line, after)), None)

    def between(self, after: datetime, until: datetime, *, most: int) -> list[datetime]:
        # Backwards, so that a year's absence costs no more than an hour's;
        # the start itself is left out, so begin a second later.
        start = until.replace(microsecond=0) + timedelta(seconds=1)
        backwards: Iterator[datetime] = self._moments(self._line, start, reverse=True)
        return sorted(islice(takewhile(lambda moment: moment > after, backwards), most))


def jobs_of(settings: HeartbeatSettings) -> dict[str, JobSettings]:
    """The jobs that run, ours and the settings'; what is wrong is named."""
    jobs = {**OWN_JOBS, **{name: _job(name, said) for name, said in settings.jobs.items()}}
    running = {name: job for name, job in jobs.items() if not job.off}
    for name, job in running.items():
        read_schedule(job, of=name)
    return running


def _job(name: str, said: JobSettings) -> JobSettings:
    own = OWN_JOBS.get(name)
    if own is not None:
        is_timed = said.every is not None or said.daily is not None or said.cron is not None
        return said if is_timed else msgspec.structs.replace(own, off=said.off)
    if said.run is None or not _FUNCTION.fullmatch(said.run):
        raise SettingsError(
            f"job {name!r} cannot run {said.run!r}; write run = 'package.module:function',"
            f" or one of our own: {', '.join(OWN_JOBS)}"
        )
    return said


def read_schedule(job: JobSettings, *, of: str) -> Schedule | float:
    """A job's schedule, or its seconds for `every`; what is wrong is named."""
    if not _JOB_NAME.fullmatch(of):
        raise SettingsError(
            f"a job cannot be named {of!r}; a name is letters, digits, '.', '_' and '-'"
        )
    said = [word for word in ("every", "daily", "cron") if getattr(job, word) is not None]
    if len(said) != 1:
        raise SettingsError(
            f"job {of!r} says {' and '.join(said) or 'not when it is due'};"
            " allowed is one of every, daily and cron"
        )
    if job.catch_up is not None and job.catch_up < 0:
        raise SettingsError(f"job {of!r}: catch_up is {job.catch_up}; it is a number from 0 on")
    if job.daily is not None:
        return Daily(job.daily)
    if job.cron is not None:
        return CronLine(job.cron)
    if not job.every or job.every < 0:
        raise SettingsError(f"job {of!r}: every is {job.every!r}; it is a time above 0")
    return float(job.every)
