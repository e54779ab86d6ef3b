"""The heartbeat: ticks, jobs that are due, days slept through, and what was done, told."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.abc import TaskGroup

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError
from eventbus.events.error import ErrorRaised
from eventbus.events.heartbeat import Beat, CronRan, JobRun
from eventbus.producers.job import Due, Job, JobFunction, find_function, in_thread
from eventbus.producers.ledger import Ledger, LedgerInMemory
from eventbus.producers.schedule import HeartbeatSettings, JobSettings, jobs_of
from eventbus.producers.vitals import Measured, own_functions
from eventbus.scope import scope

if TYPE_CHECKING:
    from eventbus.store.whereabouts import StoreAt

__all__ = ["Heartbeat"]

DETAIL_MOST = 500
"""Characters kept of what a job said."""
CLAIM_PAUSE_S = 5.0
"""Seconds between looks at a job that another process runs."""
TROUBLE_PAUSE_S = 60.0
"""Seconds until a job is tried again whose ledger could not be used."""
CLOCK_TRUST = timedelta(days=1)
"""A moment further ahead was noted by a clock that was wrong."""

DEFAULT = HeartbeatSettings()

F = TypeVar("F", bound=JobFunction)


class Heartbeat:
    """Runs jobs on the app's loop, one task each, and tells what they did."""

    def __init__(
        self,
        bus: Measured,
        settings: HeartbeatSettings = DEFAULT,
        *,
        stores: "Callable[[], Iterable[StoreAt]]" = tuple,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self._bus = bus
        self._stores = stores
        self._clock = clock
        self._disk = disk
        self._ledger = Ledger(bus.state, disk) if bus.state is not None else LedgerInMemory()
        self._started = self._latest_now = clock.now()
        self._lateness_s = 0.0
        self._told = _Told()
        self._told_cron = _Told()
        self._running: set[str] = set()
        self._in_the_way: set[str] = set()
        """Running jobs that were told to be in the way of their own next run."""
        self._from_settings: set[str] = set()
        self.jobs: dict[str, Job] = {}
        """The jobs that run, by name."""
        self.use(settings)

    # --- which jobs --------------------------------------------------------

    def use(self, settings: HeartbeatSettings) -> None:
        """Take up other settings; with wrong ones nothing changes."""
        own = own_functions(self._bus, settings, stores=self._stores, disk=self._disk)
        wanted = {
            name: Job(name, own[name] if name in own else find_function(job.run or ""), job)
            for name, job in jobs_of(settings).items()
        }
        self.settings = settings
        for name in self._from_settings - wanted.keys():
            self.jobs.pop(name, None)
        for job in wanted.values():
            self._put(job)
        self._from_settings = set(wanted)

    def add(
        self,
        name: str,
        function: JobFunction,
        *,
        every: float | None = None,
        daily: str | None = None,
        cron: str | None = None,
        catch_up: int | None = None,
    ) -> None:
        """Run a function every so many seconds, daily at `HH:MM`, or by a cron line.

        It takes nothing, or the `Due` it runs for; what it returns is told as
        the detail of its run. Daily and cron jobs run once for all processes
        on one state directory, in UTC.
        """
        if name in self.jobs:
            raise SettingsError(f"a job named {name!r} runs already; allowed is another name")
        every = float(every) if every is not None else None
        timing = JobSettings(every=every, daily=daily, cron=cron, catch_up=catch_up)
        self._put(Job(name, function, timing))

    def job(
        self,
        *,
        every: float | None = None,
        daily: str | None = None,
        cron: str | None = None,
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Run the decorated function as a job named after it."""

        def added(function: F) -> F:
            self.add(name or function.__name__, function, every=every, daily=daily, cron=cron)
            return function

        return added

    def remove(self, name: str) -> bool:
        """Stop running a job; a run that goes on comes to its end."""
        return self.jobs.pop(name, None) is not None

    def _put(self, job: Job) -> None:
        """Add a job, or change one; one whose timing stays keeps its place in it."""
        before = self.jobs.get(job.name)
        if before is not None and before.settings == job.settings:
            before.function = job.function
            return
        job.wake_s = self._clock.monotonic() + job.every_s
        self.jobs[job.name] = job

    # --- ticking -----------------------------------------------------------

    async def run(self) -> None:
        """Tick until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                await self._tick_for_ever(tasks)
        finally:
            self.tell()

    async def _tick_for_ever(self, tasks: TaskGroup) -> None:
        due_s = self._clock.monotonic()
        while True:
            now_s = self._clock.monotonic()
            due_s = max(due_s + self.settings.every, now_s)  # ticks missed are not made up for
            await anyio.sleep(due_s - now_s)
            self._lateness_s = max(self._lateness_s, self._clock.monotonic() - due_s)
            self.tick(tasks)

    def tick(self, tasks: TaskGroup) -> None:
        """Tell what was done since the last tick, and start what is due."""
        self.tell()
        now = self._clock.now()
        if now < self._latest_now:
            self._doubt_the_calendar()
        self._latest_now = now
        for job in list(self.jobs.values()):
            if self._is_due(job, now):
                self._start(job, tasks)

    def _doubt_the_calendar(self) -> None:
        """The wall clock went back: what is due next is asked again."""
        for job in self.jobs.values():
            job.checked = False

    def _is_due(self, job: Job, now: datetime) -> bool:
        if self._clock.monotonic() < job.wake_s:
            return False
        if job.schedule is None:
            return True
        return not job.checked or (job.due_at is not None and job.due_at <= now)

    def _start(self, job: Job, tasks: TaskGroup) -> None:
        if job.name in self._running:
            self._tell_in_the_way(job)
            return
        self._running.add(job.name)
        run = self._run_by_calendar if job.schedule is not None else self._run_every
        tasks.start_soon(run, job, name=f"job {job.name}")

    def _tell_in_the_way(self, job: Job) -> None:
        job.wake_s = self._clock.monotonic() + job.every_s
        if job.name not in self._in_the_way:
            self._in_the_way.add(job.name)
            self._tell_of(job).ran(job.name, "skipped", detail="still running")

    # --- running -----------------------------------------------------------

    async def _run_every(self, job: Job) -> None:
        job.wake_s = self._clock.monotonic() + job.every_s
        with self._one_run(job):
            await self._run_once(job, Due(job=job.name, at=self._clock.now()))

    async def _run_by_calendar(self, job: Job) -> None:
        """Run a job for each moment that is due, unless another process does."""
        with self._one_run(job):
            claim = await in_thread(lambda: self._ledger.claim(job.name), name="claim a job")
            if claim is None:
                job.wake_s = self._clock.monotonic() + CLAIM_PAUSE_S
                return
            try:
                for due in await in_thread(lambda: self._moments(job), name="read the ledger"):
                    status = await self._run_once(job, due)
                    note = partial(self._ledger.note, job.name, due.at, status)
                    await in_thread(note, name="write the ledger")
            finally:
                if not job.in_thread:  # else its lock goes when the process does
                    claim.let_go()

    @contextmanager
    def _one_run(self, job: Job) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told; a ledger's trouble stops no other job
            job.wake_s = self._clock.monotonic() + TROUBLE_PAUSE_S
            self._tell_of(job).ran(job.name, "error", detail=f"{type(error).__name__}: {error}")
        finally:
            self._running.discard(job.name)
            self._in_the_way.discard(job.name)

    def _moments(self, job: Job) -> list[Due]:
        """The moments a job is to be run for now; the next one is kept in mind."""
        assert job.schedule is not None
        now = self._clock.now()
        after = self._latest_run(job, now)
        if job.catch_up == 0:
            after = max(after, self._started)
        watched_from = job.due_at if job.checked else None
        job.due_at, job.checked = job.schedule.next(now), True
        moments = job.schedule.between(after, now, most=max(1, job.catch_up))
        # The first is on time if we were here when it came, even if another
        # process was the one to run those before it; more than one were slept through.
        return [
            Due(
                job=job.name,
                at=at,
                is_late=watched_from is None or at < watched_from or at != moments[0],
            )
            for at in moments
        ]

    def _latest_run(self, job: Job, now: datetime) -> datetime:
        """The latest moment it has been run for; if none is known, from now on."""
        latest = self._ledger.latest(job.name)
        if latest is not None and latest <= now + CLOCK_TRUST:
            return latest
        self._ledger.note(job.name, now)
        return now

    async def _run_once(self, job: Job, due: Due) -> str:
        """Run a job, and tell how it went."""
        begun_s = self._clock.monotonic()
        told = self._tell_of(job)
        told.lateness_s = max(told.lateness_s, (self._clock.now() - due.at).total_seconds())
        status, detail = "error", "cut off by the end"
        try:
            with scope(component=_component(job)):
                answer = await job.call(due)
            status, detail = "success", "" if answer is None else str(answer)
        except Exception as error:  # noqa: BLE001 - a job's failure is recorded, and is its own
            detail = f"{type(error).__name__}: {error}"
            self._record(job, error)
        finally:
            took_ms = round((self._clock.monotonic() - begun_s) * 1000, 3)
            told.ran(job.name, status, took_ms=took_ms, detail=_said_for(due, detail))
        return status

    # --- telling -----------------------------------------------------------

    def _tell_of(self, job: Job) -> "_Told":
        return self._told_cron if job.is_cron else self._told

    def _record(self, job: Job, error: Exception) -> None:
        self._bus.emit_nowait(
            ErrorRaised(
                type=type(error).__name__,
                message=str(error),
                stack="".join(traceback.format_exception(error)),
                component=_component(job),
                context=f"job {job.name}",
            )
        )

    def tell(self) -> None:
        """Emit what was done since the last time, if anything was."""
        if self._told.jobs:
            lateness_s, self._lateness_s = self._lateness_s, 0.0
            with scope(component="heartbeat"):
                self._bus.emit_nowait(Beat(jobs=self._told.take(), lateness_ms=_ms(lateness_s)))
        if self._told_cron.jobs:
            lateness_s = self._told_cron.lateness_s
            with scope(component="cron"):
                jobs = self._told_cron.take()
                self._bus.emit_nowait(CronRan(jobs=jobs, lateness_ms=_ms(lateness_s)))


class _Told:
    """Runs that have ended and are not told yet."""

    def __init__(self) -> None:
        self.jobs: list[JobRun] = []
        self.lateness_s = 0.0
        """How long after its time the latest of them began."""

    def ran(self, name: str, status: str, *, took_ms: float | None = None, detail: str) -> None:
        detail = detail[:DETAIL_MOST]
        self.jobs.append(JobRun(name=name, status=status, duration_ms=took_ms, detail=detail))

    def take(self) -> tuple[JobRun, ...]:
        jobs, self.jobs, self.lateness_s = tuple(self.jobs), [], 0.0
        return jobs


def _component(job: Job) -> str:
    return "cron" if job.is_cron else "heartbeat"


def _said_for(due: Due, detail: str) -> str:
    """What a job said, with the moment it stands for if that was missed."""
    if not due.is_late:
        return detail
    missed = f"for {due.at:%Y-%m-%d %H:%M}"
    return f"{missed}: {detail}" if detail else missed


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)
