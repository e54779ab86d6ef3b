import errno
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import anyio
import msgspec
import pytest

from eventbus.bus import EventBus
from eventbus.clock import Clock
from eventbus.errors import SettingsError, StateUnusable
from eventbus.event import Event
from eventbus.events import (
    AppStarted,
    AppStopped,
    Beat,
    ErrorRaised,
    FileWritten,
    LogLine,
    ReloadFailed,
    WatchGap,
)
from eventbus.journal import JournalSettings
from eventbus.prices import price_of, use_prices
from eventbus.producers.schedule import HeartbeatSettings, JobSettings
from eventbus.producers.tools import tool
from eventbus.recorder import Recorder, package_version
from eventbus.replay import read_journal
from eventbus.residence import resident_of
from eventbus.settings import Settings, load_settings
from eventbus.sink import NamedSink
from eventbus.watching.baseline import Baseline
from eventbus.watching.contents import Contents, hash_of


def settings_in(directory: Path, toml: str = "") -> Settings:
    (directory / "eventbus.toml").write_text(toml)
    return load_settings(directory, environ={})


def events_of(state: Path, kind: type[Event]) -> list[Event]:
    return [event for event in read_journal(state) if isinstance(event, kind)]


async def until(condition: "object", *, seconds: float = 5.0) -> None:
    """Wait for something that shows only in files."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        await anyio.sleep(0.01)


@pytest.mark.on_both_backends
async def test_a_recorder_fills_the_logs_directory(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path)) as recorder:
        await recorder.bus.emit(LogLine(event_type="a:b", source="x", message="hello"))

    assert recorder.report is not None
    assert recorder.report.is_complete
    assert "|a:b|x|hello" in (tmp_path / ".state/logs/activity.log").read_text()
    assert "hello" in (tmp_path / ".state/logs/events.jsonl").read_text()


@pytest.mark.on_both_backends
async def test_its_start_and_end_are_events(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path)):
        pass

    [started] = events_of(tmp_path / ".state", AppStarted)
    [stopped] = events_of(tmp_path / ".state", AppStopped)
    assert isinstance(started, AppStarted)
    assert isinstance(stopped, AppStopped)
    assert (started.version, started.pid) == (package_version(), os.getpid())
    assert stopped.reason is None


@pytest.mark.on_both_backends
async def test_the_blocks_own_exception_leaves_unwrapped(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Recorder(settings_in(tmp_path)):
            raise ZeroDivisionError

    [stopped] = events_of(tmp_path / ".state", AppStopped)
    assert isinstance(stopped, AppStopped)
    assert stopped.reason == "ZeroDivisionError"


@pytest.mark.on_both_backends
async def test_a_cancelled_block_is_drained_all_the_same(tmp_path: Path) -> None:
    with anyio.move_on_after(5) as limit:
        async with Recorder(settings_in(tmp_path)) as recorder:
            recorder.bus.emit_nowait(LogLine(event_type="a:b", message="kept"))
            limit.cancel()
            await anyio.sleep_forever()

    assert [event.message for event in events_of(tmp_path / ".state", LogLine)] == ["kept"]  # type: ignore[attr-defined]


@pytest.mark.on_both_backends
async def test_the_heartbeat_runs_the_settings_jobs(tmp_path: Path) -> None:
    settings = settings_in(
        tmp_path,
        '[heartbeat]\nevery = "10ms"\n[heartbeat.jobs.pid]\nrun = "os:getpid"\nevery = "10ms"',
    )
    async with Recorder(settings) as recorder:
        async for event in recorder.bus.subscribe("heartbeat:cycle"):
            assert isinstance(event, Beat)
            if str(os.getpid()) in [run.detail for run in event.jobs]:
                break


class BrokenClock(Clock):
    def monotonic(self) -> float:
        raise RuntimeError("no clock")


async def test_a_heartbeat_that_fails_harms_nobody(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path)) as recorder:
        recorder.heartbeat._clock = BrokenClock()
        beating = recorder._beating
        assert beating is not None
        await beating.ended.wait()
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="kept"))

    [error] = events_of(tmp_path / ".state", ErrorRaised)
    assert isinstance(error, ErrorRaised)
    assert (error.type, error.message) == ("RuntimeError", "no clock")
    assert len(events_of(tmp_path / ".state", LogLine)) == 1


async def test_a_sink_that_is_not_there_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError, match=r"no setting 'sinks.audit.keep_dayz' \(eventbus.toml:"):
        async with Recorder(settings_in(tmp_path, "[sinks.audit]\nkeep_dayz = 3")):
            pass

    assert not (tmp_path / ".state").exists()


def test_a_recorder_can_be_made_where_no_loop_runs(tmp_path: Path) -> None:
    recorder = Recorder(settings_in(tmp_path))

    async def record() -> None:
        async with recorder:
            recorder.bus.emit_nowait(LogLine(event_type="a:b"))

    anyio.run(record)

    assert len(events_of(tmp_path / ".state", LogLine)) == 1


async def test_a_start_that_fails_half_way_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: Path) -> None:
        raise RuntimeError("broken half way")

    monkeypatch.setattr("eventbus.recorder.say_resident", broken)
    recorder = Recorder(settings_in(tmp_path), resident=True)

    with pytest.raises(RuntimeError, match="broken half way"):
        async with recorder:
            pass

    assert not recorder.bus.is_open
    assert resident_of(tmp_path / ".state") is None


# --- resident ------------------------------------------------------------------


async def test_a_second_resident_is_refused_and_told_who_is(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async with Recorder(settings, resident=True):
        with pytest.raises(StateUnusable, match=f"process {os.getpid()} does already"):
            async with Recorder(settings, resident=True):
                pass

    assert resident_of(settings.state) is None


async def test_a_resident_starts_though_the_disk_has_no_room_for_its_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("eventbus.recorder.say_resident", full)
    settings = settings_in(tmp_path)

    async with Recorder(settings, resident=True) as recorder:
        assert recorder.bus.is_resident
        assert str(resident_of(settings.state)) == "another process"


async def test_a_resident_serves_what_others_emit(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    log = tmp_path / ".state/logs/activity.log"

    async with Recorder(settings, resident=True):
        with EventBus(settings.state, serve="never") as hook:
            hook.emit_nowait(LogLine(event_type="a:b", message="from a hook"))
        await until(lambda: log.exists() and "from a hook" in log.read_text())


# --- other settings while it runs ------------------------------------------------


@pytest.mark.on_both_backends
async def test_a_lane_joins_while_it_runs_and_gets_what_was_before(tmp_path: Path) -> None:
    more = tmp_path / ".state/logs/more.jsonl"
    async with Recorder(settings_in(tmp_path), resident=True) as recorder:
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="before"))

        toml = '[sinks.more]\nuse = "jsonl"\npath = "more.jsonl"\nkinds = ["a:*"]'
        assert await recorder.reload(settings_in(tmp_path, toml)) is None
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="after"))
        await until(lambda: more.exists() and more.read_text().count("\n") == 2)


async def test_a_lane_leaves_while_it_runs(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path), resident=True) as recorder:
        await until((tmp_path / ".state/logs/events.jsonl").exists)
        assert await recorder.reload(settings_in(tmp_path, 'lanes = ["flat"]')) is None
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="hello"))

        assert list(recorder.bus.statistics().lanes) == ["flat"]

    assert "hello" in (tmp_path / ".state/logs/activity.log").read_text()
    assert "hello" not in (tmp_path / ".state/logs/events.jsonl").read_text()


async def test_a_lane_goes_on_from_its_place_with_other_settings(tmp_path: Path) -> None:
    logs = tmp_path / ".state/logs"
    async with Recorder(settings_in(tmp_path), resident=True) as recorder:
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="one"))
        await recorder.bus.flush()
        toml = "[sinks.jsonl]\nrotate_bytes = 1"
        for _ in range(3):
            assert await recorder.reload(settings_in(tmp_path, toml)) is None
            assert await recorder.reload(settings_in(tmp_path)) is None
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="two"))

    kept = "".join(path.read_text() for path in logs.glob("events*.jsonl"))
    assert kept.count('"message":"one"') == 1
    assert kept.count('"message":"two"') == 1


async def test_the_journal_and_the_heartbeat_change_while_it_runs(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path)) as recorder:
        toml = '[journal]\nkeep_days = 3\n[heartbeat]\nevery = "20ms"'
        assert await recorder.reload(settings_in(tmp_path, toml)) is None

        assert recorder.heartbeat.settings.every == 0.02
        writer = recorder.bus._writer
        assert writer is not None
        assert writer.journal is not None
        assert writer.journal.settings.keep_days == 3


@pytest.mark.on_both_backends
@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("stat = 1", "no setting 'stat'"),
        ("lanes = [", "cannot read"),
        ('lanes = ["jsnl"]', "no sink named 'jsnl'"),
        ('state = "elsewhere"', "end the recorder and start it again"),
        ('[heartbeat.jobs.a]\nrun = "nowhere:f"\nevery = 1', "cannot find the function"),
        ('[heartbeat.jobs.a]\nrun = "broken:f"\nevery = 1', "ZeroDivisionError"),
        ("[sinks.flat]\nrotate_bytes = -1", "sinks.flat.rotate_bytes"),
    ],
)
async def test_a_broken_edit_keeps_the_old_settings_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, sentence: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    settings = settings_in(tmp_path)
    read_again = lambda: load_settings(tmp_path, environ={})  # noqa: E731 - as `up` has it
    async with Recorder(settings, read_again=read_again) as recorder:
        (tmp_path / "eventbus.toml").write_text(toml)

        trouble = await recorder.reload()

        assert recorder.settings == settings
        assert recorder.heartbeat.settings == settings.heartbeat
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="still here"))

    assert trouble is not None
    assert sentence in trouble
    [failed] = events_of(tmp_path / ".state", ReloadFailed)
    assert isinstance(failed, ReloadFailed)
    assert (failed.message, failed.rolled_back) == (trouble, True)
    assert "still here" in (tmp_path / ".state/logs/activity.log").read_text()


async def test_lanes_that_cannot_all_join_leave_those_that_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        state=tmp_path / ".state",
        lanes=("flat", "jsonl"),
        heartbeat=HeartbeatSettings(jobs={"stats": JobSettings(off=True)}),
    )
    other = msgspec.structs.replace(
        settings,
        lanes=("audit", "flat"),
        sinks={"flat": NamedSink(use="flat", name="flat", settings={"keep_days": 1})},
        journal=JournalSettings(keep_days=1),
    )
    async with Recorder(settings, resident=True) as recorder:
        await until((tmp_path / ".state/logs/activity.log").exists)
        attach = recorder.bus.attach

        def attach_but_flat(sink: NamedSink) -> str:
            if sink.settings:
                raise OSError(28, "No space left on device")
            return attach(sink)

        monkeypatch.setattr(recorder.bus, "attach", attach_but_flat)
        trouble = await recorder.reload(other)

        assert trouble == "[Errno 28] No space left on device"
        assert sorted(recorder.bus.statistics().lanes) == ["flat", "jsonl"]
        recorder.bus.emit_nowait(LogLine(event_type="a:b", message="still here"))

    assert (tmp_path / ".state/logs/activity.log").read_text().count("still here") == 1


async def test_nothing_is_recorded_while_it_is_disabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTBUS_DISABLED", "1")

    async with Recorder(settings_in(tmp_path)) as recorder:
        recorder.bus.emit_nowait(LogLine(event_type="a:b"))

    assert not (tmp_path / ".state").exists()


async def test_its_prices_hold_in_this_process_and_a_reload_changes_them(tmp_path: Path) -> None:
    toml = "[prices.mine]\ninput = {}\noutput = 1"

    def rate() -> int:
        price = price_of("mine")
        return price.base.input_uncached if price is not None else -1

    try:
        async with Recorder(settings_in(tmp_path, toml.format(1))) as recorder:
            assert rate() == 1_000_000

            assert await recorder.reload(settings_in(tmp_path, toml.format(2))) is None
            assert rate() == 2_000_000
    finally:
        use_prices({})


# --- watching files ------------------------------------------------------------------


def told_files(state: Path) -> set[str]:
    """The files that were told, but for the settings, which a test has just written."""
    told = (event.path for event in read_journal(state) if isinstance(event, FileWritten))
    return {path for path in told if path != "eventbus.toml"}


async def test_a_resident_watches_the_directory_it_was_started_for(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    async with Recorder(settings_in(tmp_path), resident=True):
        (tmp_path / "a.txt").write_text("x")
        await until(lambda: told_files(state) == {"a.txt"})

    assert '"path":"a.txt"' in (state / "logs/audit.jsonl").read_text()


async def test_what_was_changed_right_before_the_end_is_told(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path), resident=True):
        (tmp_path / "a.txt").write_text("x")

    assert told_files(tmp_path / ".state") == {"a.txt"}


async def test_a_recorder_of_a_program_of_ones_own_watches_nothing(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path)):
        (tmp_path / "a.txt").write_text("x")

    assert told_files(tmp_path / ".state") == set()
    assert not (tmp_path / ".state/watch").exists()


async def test_other_rules_of_watching_are_taken_up(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    async with Recorder(settings_in(tmp_path), resident=True) as recorder:
        assert await recorder.reload(settings_in(tmp_path, '[watch]\nignore = ["*.log"]')) is None
        (tmp_path / "a.log").write_text("x")
        (tmp_path / "b.txt").write_text("x")
        await until(lambda: "b.txt" in told_files(state))
        assert await recorder.reload(settings_in(tmp_path, "[watch]\noff = true")) is None
        (tmp_path / "c.txt").write_text("x")

    assert "a.log" not in told_files(state)
    assert "c.txt" not in told_files(state)


async def test_wrong_rules_of_watching_change_nothing(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    async with Recorder(settings_in(tmp_path), resident=True) as recorder:
        (tmp_path / "in").mkdir()
        wrong = settings_in(tmp_path, f'lanes = ["jsonl"]\n[watch]\nroots = [".", "{tmp_path}/in"]')
        trouble = await recorder.reload(wrong)
        (tmp_path / "a.txt").write_text("x")
        await until(lambda: "a.txt" in told_files(state))

    assert trouble is not None
    assert "give directories that are not inside each other" in trouble
    assert recorder.settings.lanes != ("jsonl",)


async def test_what_sinks_write_outside_of_the_state_directory_is_not_told(tmp_path: Path) -> None:
    """Each line would tell of a change, and each change would make a line."""
    toml = f'[sinks.mine]\nuse = "jsonl"\npath = "{tmp_path}/out/mine-{{date}}.jsonl"'
    async with Recorder(settings_in(tmp_path, toml), resident=True):
        (tmp_path / "mine.py").write_text("x")
        await until(lambda: [*(tmp_path / "out").glob("mine-*.jsonl")])

    assert told_files(tmp_path / ".state") == {"mine.py"}


async def test_a_state_directory_in_the_way_of_the_root_is_no_trouble(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path, 'state = "."'), resident=True):
        pass

    assert events_of(tmp_path, WatchGap) == []


async def test_contents_are_kept_as_the_settings_say(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path, '[watch]\nkeep = "text"'), resident=True):
        (tmp_path / "a.txt").write_text("x")
        await until(lambda: told_files(tmp_path / ".state"))

    told = events_of(tmp_path / ".state", FileWritten)[-1]
    assert isinstance(told, FileWritten)
    assert told.hash is not None
    assert Contents(tmp_path / ".state").read(told.hash) == b"x"


async def test_what_was_there_before_is_kept_as_well(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("as it was")
    contents = Contents(tmp_path / ".state")
    async with Recorder(settings_in(tmp_path, '[watch]\nkeep = "text"'), resident=True):
        await until(lambda: contents.has(hash_of(b"as it was")))
        known = Baseline(tmp_path, contents)
        await until(lambda: known.find("old.txt", datetime.now(UTC)))


async def test_a_change_inside_a_tool_call_is_told_as_its_own(tmp_path: Path) -> None:
    async with Recorder(settings_in(tmp_path), resident=True) as recorder:
        async with tool("write_file", {"path": "a.txt"}, cwd=tmp_path, bus=recorder.bus):
            (tmp_path / "a.txt").write_text("x")
        await until(lambda: told_files(tmp_path / ".state"))

    told = events_of(tmp_path / ".state", FileWritten)[-1]
    assert isinstance(told, FileWritten)
    assert told.actor == "write_file"
