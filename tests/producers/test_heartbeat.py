import os
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.errors import SettingsError
from eventbus.event import Event
from eventbus.events import Beat, CronRan, ErrorRaised, JobRun
from eventbus.producers.heartbeat import Heartbeat
from eventbus.producers.job import Due
from eventbus.producers.ledger import Ledger
from eventbus.producers.schedule import OWN_JOBS, HeartbeatSettings, JobSettings
from eventbus.scope import current_scope

NO_OWN_JOBS = HeartbeatSettings(jobs={name: JobSettings(off=True) for name in OWN_JOBS})


class HandClock(Clock):
    """A clock that goes on when it is told to."""

    def __init__(self, *, now: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)) -> None:
        self.wall = now
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def go_on(self, **time: float) -> None:
        self.wall += timedelta(**time)
        self.seconds += timedelta(**time).total_seconds()


class KeptEvents:
    """A bus that keeps what it is given."""

    def __init__(self, state: Path | None = None) -> None:
        self.state = state
        self.events: list[Event] = []

    def emit_nowait(self, event: Event) -> None:
        self.events.append(event)

    emit_own = emit_nowait

    def statistics(self) -> Any:
        return SimpleNamespace(
            accepted=3, written=2, waiting=1, synced=2, poison=0, dropped={"full": 4}, lanes={}
        )

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def runs(self) -> list[JobRun]:
        return [
            run for event in self.events if isinstance(event, Beat | CronRan) for run in event.jobs
        ]


def heartbeat_over(
    bus: KeptEvents, clock: Clock, *, settings: HeartbeatSettings = NO_OWN_JOBS
) -> Heartbeat:
    return Heartbeat(bus, settings, clock=clock)


async def beat(heartbeat: Heartbeat) -> None:
    """One tick, and the end of all it started."""
    async with anyio.create_task_group() as tasks:
        heartbeat.tick(tasks)
    heartbeat.tell()


@pytest.mark.on_both_backends
async def test_a_job_runs_every_so_often_and_is_told() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    heartbeat.add("sweep", lambda: "3 files", every=10)

    for _ in range(5):
        clock.go_on(seconds=5)
        await beat(heartbeat)

    assert bus.runs() == [JobRun(name="sweep", duration_ms=0.0, detail="3 files")] * 2


@pytest.mark.on_both_backends
async def test_an_async_job_runs_on_the_apps_loop_and_a_sync_one_beside_it() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    threads: dict[str, threading.Thread] = {}

    @heartbeat.job(every=1)
    async def here() -> None:
        await anyio.sleep(0)
        threads["async"] = threading.current_thread()

    @heartbeat.job(every=1)
    def beside() -> None:
        threads["sync"] = threading.current_thread()

    clock.go_on(seconds=1)
    await beat(heartbeat)

    assert threads["async"] is threading.current_thread()
    assert threads["sync"] is not threading.current_thread()


async def test_a_tick_in_which_nothing_was_done_is_not_told() -> None:
    bus, clock = KeptEvents(), HandClock()

    await beat(heartbeat_over(bus, clock))

    assert bus.events == []


@pytest.mark.on_both_backends
async def test_a_job_that_fails_is_recorded_and_harms_no_other() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    heartbeat.add("broken", lambda: 1 / 0, every=1)
    heartbeat.add("fine", lambda: None, every=1)

    for _ in range(2):
        clock.go_on(seconds=1)
        await beat(heartbeat)

    said = sorted((run.name, run.status, run.detail) for run in bus.runs())
    assert (
        said
        == [("broken", "error", "ZeroDivisionError: division by zero")] * 2
        + [("fine", "success", "")] * 2
    )
    raised = bus.of(ErrorRaised)[0]
    assert (raised.type, raised.component, raised.context) == (
        "ZeroDivisionError",
        "heartbeat",
        "job broken",
    )
    assert "1 / 0" in raised.stack


@pytest.mark.on_both_backends
async def test_a_slow_job_delays_no_other_and_never_runs_twice_at_once() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    go_on = anyio.Event()
    runs = []

    @heartbeat.job(every=1)
    async def slow() -> None:
        runs.append("slow")
        await go_on.wait()

    @heartbeat.job(every=1)
    async def quick() -> None:
        runs.append("quick")

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            clock.go_on(seconds=1)
            heartbeat.tick(tasks)
            await anyio.wait_all_tasks_blocked()
        go_on.set()
    heartbeat.tell()

    assert sorted(runs) == ["quick", "quick", "quick", "slow"]
    told = [(run.name, run.status) for run in bus.runs() if run.name == "slow"]
    assert told == [("slow", "skipped"), ("slow", "success")]


@pytest.mark.on_both_backends
async def test_a_job_cut_off_by_the_end_is_told_so() -> None:
    bus = KeptEvents()
    heartbeat = Heartbeat(bus, NO_OWN_JOBS)
    started = anyio.Event()

    async def endless() -> None:
        started.set()
        await anyio.sleep_forever()

    heartbeat.use(HeartbeatSettings(every=0.01, jobs=NO_OWN_JOBS.jobs))
    heartbeat.add("endless", endless, every=0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heartbeat.run)
        await started.wait()
        tasks.cancel_scope.cancel()

    assert bus.runs()[-1].detail == "cut off by the end"


@pytest.mark.on_both_backends
async def test_a_hung_job_in_a_thread_does_not_hold_up_the_end() -> None:
    bus, release = KeptEvents(), threading.Event()
    heartbeat = Heartbeat(bus, HeartbeatSettings(every=0.01, jobs=NO_OWN_JOBS.jobs))
    started = threading.Event()

    def hung() -> None:
        started.set()
        release.wait()

    heartbeat.add("hung", hung, every=0.001)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat.run)
            while not started.is_set():
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    release.set()

    assert bus.runs()[-1].status == "error"


async def test_a_job_acts_for_its_component() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    heartbeat.add("who", lambda: current_scope().component, every=1)
    clock.go_on(seconds=1)

    await beat(heartbeat)

    assert bus.runs()[0].detail == "heartbeat"
    assert bus.events[0].scope.component == "heartbeat"


@pytest.mark.on_both_backends
async def test_how_late_the_loop_turned_is_told() -> None:
    bus = KeptEvents()
    heartbeat = Heartbeat(bus, HeartbeatSettings(every=0.01, jobs=NO_OWN_JOBS.jobs))
    told = anyio.Event()

    async def blocking() -> None:
        threading.Event().wait(0.1)  # what an app should not do on its loop
        told.set()

    heartbeat.add("blocking", blocking, every=0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heartbeat.run)
        await told.wait()
        while len(bus.of(Beat)) < 2:
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()

    assert max(told.lateness_ms for told in bus.of(Beat)) >= 50


# --- by the calendar --------------------------------------------------------


class Days:
    """A daily job that keeps the days it ran for."""

    def __init__(self) -> None:
        self.days: list[str] = []

    def __call__(self, due: Due) -> str:
        self.days.append(f"{due.day}{'*' if due.is_late else ''}")
        return "done"


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Awaitable[tuple[Days, KeptEvents, Heartbeat]]]:
    """A heartbeat with a daily job at 03:00, started at a day and hour of November."""

    async def start(
        day: int, hour: int, *, clock: HandClock | None = None, **options: Any
    ) -> tuple[Days, KeptEvents, Heartbeat]:
        days, bus = Days(), KeptEvents(tmp_path)
        clock = clock or HandClock()
        clock.wall = datetime(2026, 11, day, hour, tzinfo=UTC)
        heartbeat = heartbeat_over(bus, clock)
        heartbeat.add("nightly", days, **(options or {"daily": "03:00"}))
        await beat(heartbeat)
        return days, bus, heartbeat

    return start


Start = Callable[..., Awaitable[tuple[Days, KeptEvents, Heartbeat]]]


@pytest.mark.on_both_backends
async def test_a_daily_job_runs_once_at_its_time(started: Start) -> None:
    clock = HandClock()
    days, bus, heartbeat = await started(20, 1, clock=clock)

    for _ in range(6):
        clock.go_on(minutes=30)
        await beat(heartbeat)

    assert days.days == ["2026-11-20"]
    assert [run.detail for run in bus.runs()] == ["done"]


async def test_days_slept_through_are_caught_up_at_the_start(started: Start) -> None:
    await started(15, 1)

    days, bus, _ = await started(18, 9)

    assert days.days == ["2026-11-15*", "2026-11-16*", "2026-11-17*", "2026-11-18*"]
    assert bus.runs()[0].detail == "for 2026-11-15 03:00: done"


async def test_a_day_is_caught_up_once(started: Start) -> None:
    await started(15, 1)
    await started(16, 9)

    days, _, _ = await started(16, 10)

    assert days.days == []


async def test_days_slept_through_while_running_are_caught_up_as_well(started: Start) -> None:
    """A laptop that was closed."""
    clock = HandClock()
    days, _, heartbeat = await started(15, 1, clock=clock)

    clock.go_on(days=2, hours=3)
    await beat(heartbeat)

    assert days.days == ["2026-11-15", "2026-11-16*", "2026-11-17*"]


async def test_a_long_absence_is_caught_up_for_a_bounded_number_of_days(started: Start) -> None:
    await started(1, 1)

    days, _, _ = await started(28, 9)

    assert days.days == [f"2026-11-{day}*" for day in range(22, 29)]


async def test_a_job_that_catches_nothing_up_waits_for_its_time(started: Start) -> None:
    clock = HandClock()
    await started(15, 1, daily="03:00", catch_up=0)

    days, _, heartbeat = await started(18, 9, clock=clock, daily="03:00", catch_up=0)
    clock.go_on(hours=18)
    await beat(heartbeat)

    assert days.days == ["2026-11-19"]


async def test_the_first_start_of_all_has_missed_nothing(started: Start) -> None:
    days, _, _ = await started(20, 9)

    assert days.days == []


async def test_a_ledger_that_cannot_be_read_is_begun_again(started: Start, tmp_path: Path) -> None:
    await started(15, 1)
    (tmp_path / "run" / "heartbeat.json").write_bytes(b"\x00\x00{")

    days, _, _ = await started(18, 9)
    later, _, _ = await started(19, 9)

    assert days.days == []
    assert later.days == ["2026-11-19*"]


async def test_a_clock_that_jumps_ahead_and_back_stops_no_job(started: Start) -> None:
    clock = HandClock()
    days, _, heartbeat = await started(20, 1, clock=clock)
    clock.wall += timedelta(days=3650)
    await beat(heartbeat)
    clock.wall -= timedelta(days=3650)
    await beat(heartbeat)
    days.days.clear()

    for _ in range(3):
        clock.go_on(days=1)
        await beat(heartbeat)

    assert days.days == ["2026-11-20", "2026-11-21", "2026-11-22"]


async def test_a_cron_line_runs_a_job_and_is_told_as_such(started: Start) -> None:
    clock = HandClock()
    days, bus, heartbeat = await started(20, 1, clock=clock, cron="*/10 * * * *")

    for _ in range(20):
        clock.go_on(minutes=1)
        await beat(heartbeat)

    assert days.days == ["2026-11-20"] * 2
    assert [run.name for cycle in bus.of(CronRan) for run in cycle.jobs] == ["nightly"] * 2
    assert bus.of(CronRan)[0].scope.component == "cron"
    assert bus.of(Beat) == []


async def test_cron_moments_slept_through_are_run_for_once(started: Start) -> None:
    await started(15, 1, cron="0 * * * *")

    days, bus, _ = await started(18, 9, cron="0 * * * *")

    assert days.days == ["2026-11-18*"]
    assert bus.of(CronRan)[0].lateness_ms == 0


async def test_a_failed_daily_job_waits_for_its_next_day(started: Start, tmp_path: Path) -> None:
    clock = HandClock()
    _, bus, heartbeat = await started(20, 1, clock=clock)
    heartbeat.add("broken", lambda: 1 / 0, daily="03:00")
    await beat(heartbeat)

    for _ in range(8):
        clock.go_on(hours=4)
        await beat(heartbeat)

    assert [run.status for run in bus.runs() if run.name == "broken"] == ["error", "error"]


async def test_one_of_several_processes_runs_a_daily_job(tmp_path: Path) -> None:
    clock, ran = HandClock(now=datetime(2026, 11, 20, 1, tzinfo=UTC)), Days()
    beats = [heartbeat_over(KeptEvents(tmp_path), clock) for _ in range(3)]
    for heartbeat in beats:
        heartbeat.add("nightly", ran, daily="03:00")
        await beat(heartbeat)

    for _ in range(4):
        clock.go_on(hours=12)
        async with anyio.create_task_group() as tasks:
            for heartbeat in beats:
                heartbeat.tick(tasks)

    assert ran.days == ["2026-11-20", "2026-11-21"]


async def test_a_job_that_another_process_runs_is_left_to_it(tmp_path: Path) -> None:
    clock, ran = HandClock(now=datetime(2026, 11, 20, 1, tzinfo=UTC)), Days()
    heartbeat = heartbeat_over(KeptEvents(tmp_path), clock)
    heartbeat.add("nightly", ran, daily="03:00")
    await beat(heartbeat)
    clock.go_on(hours=3)
    claim = Ledger(tmp_path).claim("nightly")
    assert claim is not None

    await beat(heartbeat)
    assert ran.days == []
    claim.let_go()
    clock.go_on(seconds=6)
    await beat(heartbeat)

    assert ran.days == ["2026-11-20"]


async def test_a_day_whose_run_was_cut_off_is_run_again(tmp_path: Path) -> None:
    clock, bus = HandClock(now=datetime(2026, 11, 20, 1, tzinfo=UTC)), KeptEvents(tmp_path)
    heartbeat = heartbeat_over(bus, clock)
    heartbeat.add("endless", anyio.sleep_forever, daily="03:00")
    await beat(heartbeat)
    clock.go_on(hours=3)
    with anyio.move_on_after(0.05):
        await beat(heartbeat)

    again, ran = heartbeat_over(bus, clock), Days()
    again.add("endless", ran, daily="03:00")
    await beat(again)

    assert ran.days == ["2026-11-20*"]


class FullDisk(Disk):
    def replace(self, path: Path, content: bytes) -> None:
        raise OSError(28, os.strerror(28))


async def test_a_ledger_that_cannot_be_written_is_told_and_not_tried_at_once(
    tmp_path: Path,
) -> None:
    bus, clock = KeptEvents(tmp_path), HandClock()
    heartbeat = Heartbeat(bus, NO_OWN_JOBS, clock=clock, disk=FullDisk())
    heartbeat.add("nightly", Days(), daily="03:00")

    for _ in range(3):
        clock.go_on(seconds=1)
        await beat(heartbeat)

    assert [(run.status, run.detail) for run in bus.runs()] == [
        ("error", "OSError: [Errno 28] No space left on device")
    ]


async def test_a_memory_bus_has_daily_jobs_too() -> None:
    clock, ran = HandClock(now=datetime(2026, 11, 20, 1, tzinfo=UTC)), Days()
    heartbeat = heartbeat_over(KeptEvents(None), clock)
    heartbeat.add("nightly", ran, daily="03:00")
    await beat(heartbeat)

    for _ in range(3):
        clock.go_on(hours=12)
        await beat(heartbeat)

    assert ran.days == ["2026-11-20", "2026-11-21"]


# --- which jobs -------------------------------------------------------------


def test_a_name_is_given_to_one_job() -> None:
    heartbeat = heartbeat_over(KeptEvents(), HandClock())
    heartbeat.add("a", print, every=1)

    with pytest.raises(SettingsError, match="a job named 'a' runs already"):
        heartbeat.add("a", print, every=2)


async def test_a_job_that_was_removed_runs_no_more() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    heartbeat.add("a", lambda: None, every=1)

    assert heartbeat.remove("a") is True
    assert heartbeat.remove("a") is False
    clock.go_on(seconds=5)
    await beat(heartbeat)

    assert bus.runs() == []


async def test_other_settings_are_taken_up_while_it_runs() -> None:
    bus, clock = KeptEvents(), HandClock()
    heartbeat = heartbeat_over(bus, clock)
    heartbeat.add("mine", lambda: None, every=100)
    jobs = {**NO_OWN_JOBS.jobs, "pid": JobSettings(run="os:getpid", every=1)}

    heartbeat.use(HeartbeatSettings(every=0.5, jobs=jobs))
    clock.go_on(seconds=1)
    await beat(heartbeat)
    heartbeat.use(NO_OWN_JOBS)
    clock.go_on(seconds=1)
    await beat(heartbeat)

    assert [(run.name, run.detail) for run in bus.runs()] == [("pid", str(os.getpid()))]
    assert list(heartbeat.jobs) == ["mine"]


@pytest.mark.parametrize(
    ("run", "sentence"),
    [("nowhere:f", "cannot find the function 'nowhere:f'"), ("os:sep", "cannot run 'os:sep'")],
)
def test_settings_with_a_job_that_cannot_run_change_nothing(run: str, sentence: str) -> None:
    heartbeat = Heartbeat(KeptEvents(), HeartbeatSettings())

    with pytest.raises(SettingsError, match=sentence):
        heartbeat.use(HeartbeatSettings(jobs={"a": JobSettings(run=run, every=1)}))

    assert heartbeat.jobs.keys() == OWN_JOBS.keys()
