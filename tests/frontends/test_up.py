"""`eventbus up`, as people run it: a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eventbus.bus import EventBus
from eventbus.events import FileWritten, LogLine, ReloadFailed
from eventbus.frontends.cli import exits
from eventbus.replay import read_journal
from tests.frontends.console import ROOT, Here, read_until, running

READY = "Ctrl-C ends it"

EMIT = """
import sys
from eventbus import EventBus
from eventbus.events import LogLine
with EventBus(".state", sinks=["jsonl", "flat"]) as bus:
    for number in range(200):
        bus.emit_nowait(LogLine(event_type="agent:step", source="brain", message=str(number)))
"""


def until(condition: Callable[[], bool], *, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def holds(path: Path, text: str) -> Callable[[], bool]:
    return lambda: path.exists() and text in path.read_text()


def test_it_says_where_everything_is_records_for_others_and_reports(tmp_path: Path) -> None:
    log = tmp_path / ".state/logs/activity.log"
    with running("up", cwd=tmp_path, until=READY) as up:
        emitting = subprocess.run(
            [sys.executable, "-c", EMIT], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=20
        )
        assert emitting.returncode == 0
        until(holds(log, "|agent:step|brain|199"))
        up.send_signal(signal.SIGINT)
        out, err = up.communicate(timeout=10)

    assert up.returncode == exits.OK
    assert "wrote " in out
    assert "Traceback" not in err
    lines = log.read_text().splitlines()
    assert [line for line in lines if "|agent:step|" in line] == sorted(
        (line for line in lines if "|agent:step|" in line), key=lambda line: int(line.split("|")[3])
    )
    assert sum("|agent:step|" in line for line in lines) == 200
    assert sum("|app:shutdown|" in line for line in lines) == 1


def test_it_watches_files_and_not_what_it_prints_itself(tmp_path: Path) -> None:
    """Each line would be a change, and each change would be a line."""
    state = tmp_path / ".state"
    with (tmp_path / "printed.txt").open("w") as printed:
        up = subprocess.Popen(
            [sys.executable, "-m", "eventbus", "up", "--console"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            stdout=printed,
            stderr=printed,
        )
        try:
            until(holds(tmp_path / "printed.txt", READY))
            (tmp_path / "a.txt").write_text("x")
            until(holds(tmp_path / "printed.txt", "file:write"))
        finally:
            up.terminate()
            up.wait(10)

    assert "files      ./  ask with" in (tmp_path / "printed.txt").read_text()
    told = [event.path for event in read_journal(state) if isinstance(event, FileWritten)]
    assert told == ["a.txt"]


def test_it_ends_by_sigterm_as_well(tmp_path: Path) -> None:
    with running("up", cwd=tmp_path, until=READY) as up:
        up.terminate()

        assert up.wait(10) == exits.OK


def test_a_second_one_is_told_who_runs_already(tmp_path: Path) -> None:
    with running("up", cwd=tmp_path, until=READY) as up:
        second = subprocess.run(
            [sys.executable, "-m", "eventbus", "up"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=10,
        )

    assert second.returncode == exits.STATE_UNUSABLE
    assert f"process {up.pid} does already" in second.stderr
    assert second.stderr.count("\n") == 1


def test_a_change_of_the_file_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "eventbus.toml").write_text('lanes = ["flat"]')
    more = tmp_path / ".state/logs/more.jsonl"
    with running("up", cwd=tmp_path, until=READY):
        (tmp_path / "eventbus.toml").write_text(
            'lanes = ["flat", "more"]\n[sinks.more]\nuse = "jsonl"\npath = "more.jsonl"'
        )
        until(holds(more, "app:start"))


def test_a_file_that_was_not_there_is_taken_up(tmp_path: Path) -> None:
    more = tmp_path / ".state/logs/more.jsonl"
    with running("up", cwd=tmp_path, until=READY):
        (tmp_path / "eventbus.toml").write_text('[sinks.more]\nuse = "jsonl"\npath = "more.jsonl"')
        until(holds(more, "app:start"))


def test_a_signal_reads_the_settings_again_and_a_broken_edit_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "eventbus.toml").write_text('lanes = ["flat", "errors"]')
    with running("up", cwd=tmp_path, until=READY) as up:
        (tmp_path / "eventbus.toml").write_text("lanes = [")
        up.send_signal(signal.SIGHUP)
        until(holds(tmp_path / ".state/logs/errors.jsonl", "cannot read"))
        up.send_signal(signal.SIGINT)
        _, err = up.communicate(timeout=10)

    failed = [e for e in read_journal(tmp_path / ".state") if isinstance(e, ReloadFailed)]
    assert failed[0].rolled_back
    assert "kept the old settings: cannot read" in err
    assert up.returncode == exits.OK


def test_events_are_printed_on_request(tmp_path: Path) -> None:
    with running("up", "--console", "--sinks", "null", cwd=tmp_path, until=READY) as up:
        with EventBus(tmp_path / ".state", serve="never") as hook:
            hook.emit_nowait(LogLine(event_type="agent:step", message="seen \x1b[2J"))
        shown = read_until(up, lambda line: "seen" in line, of_errors=True)

    assert "agent:step" in shown[-1]
    assert "\x1b[2J" not in shown[-1]


def test_a_killed_one_leaves_the_place_to_the_next(tmp_path: Path) -> None:
    with running("up", cwd=tmp_path, until=READY) as first:
        first.kill()
        first.wait()

        with running("up", cwd=tmp_path, until=READY) as second:
            second.terminate()

            assert second.wait(10) == exits.OK


HUNG = """
import pathlib, threading
from eventbus.sink import Sink

class Hung(Sink):
    async def write(self, batch):
        pathlib.Path("hanging").touch()
        threading.Event().wait()
"""


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    """A sink that hangs would hold it for as long as its grace."""
    (tmp_path / "hung.py").write_text(HUNG)
    made = tmp_path / "hung-1.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: hung\nVersion: 1\n")
    (made / "entry_points.txt").write_text("[eventbus.sinks]\nhung = hung:Hung\n")
    path = f"{tmp_path}:{ROOT}"
    with running("up", "--sinks", "hung", cwd=tmp_path, until=READY, PYTHONPATH=path) as up:
        until((tmp_path / "hanging").exists)
        up.send_signal(signal.SIGINT)
        assert up.stderr is not None
        assert "Ctrl-C ends at once" in up.stderr.readline()
        begun = time.monotonic()
        up.send_signal(signal.SIGINT)

        assert up.wait(3) == exits.INTERRUPTED
        assert time.monotonic() - begun < 1


def test_it_refuses_to_run_while_recording_is_disabled(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTBUS_DISABLED", "1")

    told = here("up")

    assert told.code == exits.WRONG_USE
    assert told.err == ("eventbus: nothing would be recorded: EVENTBUS_DISABLED is set; unset it\n")


def test_a_job_of_the_settings_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("def report():\n    return 'all is well'\n")
    (tmp_path / "eventbus.toml").write_text(
        '[heartbeat]\nevery = "50ms"\n[heartbeat.jobs.report]\nrun = "work:report"\nevery = "50ms"'
    )
    with running("up", cwd=tmp_path, until=READY):
        until(holds(tmp_path / ".state/logs/activity.log", "all is well"))
