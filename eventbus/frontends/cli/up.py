"""`eventbus up`: the resident recorder of a state directory."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType

import anyio
import click

from eventbus.bus import Report
from eventbus.errors import SettingsError
from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.options import Where, where_options
from eventbus.frontends.cli.tables import counted, table
from eventbus.recorder import Recorder, package_version
from eventbus.settings import Settings
from eventbus.sink import find_sink
from eventbus.sources import FILE_NAME
from eventbus.units import duration_text, size_text, without_password

__all__ = ["command"]

LOOK_EVERY_S = 1.0
"""Between looks whether the settings file has changed."""

EXAMPLES = """\
\b
While it runs:
  Ctrl-C or SIGTERM    write what is left, say what was written, and end
  Ctrl-C again         end at once
  SIGHUP               read the settings again, as does changing the file
\b
Examples:
  eventbus up
  eventbus up --console
  eventbus up --state /srv/agent/.state --sinks jsonl,flat
"""


@click.command("up", epilog=EXAMPLES, short_help="Record, until Ctrl-C.")
@click.option("--sinks", metavar="NAMES", help="Which lanes run: jsonl,flat.  [default: all]")
@click.option("--console", is_flag=True, help="Print events here as well.")
@where_options
def command(where: Where, console: bool) -> int:
    """Record what every program on this state directory emits, until Ctrl-C.

    It serves the lanes for all of them, so that they only write the journal,
    runs the heartbeat, and watches files: by default all in this directory.
    There is one at a time for a state directory;
    programs work as well without it.
    """
    settings = where.settings()
    file_then = _stamp(settings)
    for notice in settings.notices:
        _say(notice)
    if settings.disabled:
        raise SettingsError("nothing would be recorded: EVENTBUS_DISABLED is set; unset it")
    # Jobs of the settings are found as `python -m` finds modules.
    sys.path.insert(0, str(settings.file.parent if settings.file is not None else Path.cwd()))
    return anyio.run(_record, where, settings, file_then, console)


Stamp = tuple[int, int, int] | None
"""What changes when somebody writes a file; None while there is none."""


async def _record(where: Where, settings: Settings, file_then: Stamp, console: bool) -> int:
    begun = time.monotonic()
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        recorder = Recorder(settings, resident=True, read_again=where.settings)
        async with recorder:
            if console:
                recorder.bus.attach(find_sink("console"), name="terminal", writers="all")
            click.echo(_greeting(recorder))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_follow_file, recorder, file_then)
                await _until_ended(signals, recorder)
                tasks.cancel_scope.cancel()
            _end_at_once_next_time()
            _say("writing what is left; Ctrl-C ends at once")
    report = recorder.report
    assert report is not None  # the block has ended
    click.echo(_farewell(report, time.monotonic() - begun))
    return exits.OK if report.is_complete else exits.FINDING


async def _until_ended(signals: AsyncIterator[signal.Signals], recorder: Recorder) -> None:
    async for number in signals:
        if number != signal.SIGHUP:
            return
        await _reload(recorder)


def _end_at_once_next_time() -> None:
    def end(number: int, frame: FrameType | None) -> None:
        os._exit(exits.INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


async def _follow_file(recorder: Recorder, then: Stamp) -> None:
    """Take up the settings file when it changes, or when there is one at last."""
    while True:
        await anyio.sleep(LOOK_EVERY_S)
        now = _stamp(recorder.settings)
        if now != then:
            then = now
            await _reload(recorder)


def _stamp(settings: Settings) -> Stamp:
    file = settings.file or Path.cwd() / FILE_NAME
    try:
        there = file.stat()
    except OSError:
        return None
    return there.st_mtime_ns, there.st_size, there.st_ino


async def _reload(recorder: Recorder) -> None:
    trouble = await recorder.reload()
    if trouble is None:
        _say(f"settings read again; lanes: {', '.join(recorder.settings.lanes)}")
    else:
        _say(f"kept the old settings: {trouble}")


def _greeting(recorder: Recorder) -> str:
    settings = recorder.settings
    kept = f"kept {settings.journal.keep_days:g} days"
    segments = f"segments of {size_text(settings.journal.segment_bytes)}, {kept}"
    beat = f"every {duration_text(settings.heartbeat.every)}: {', '.join(recorder.heartbeat.jobs)}"
    rows = {
        "settings": settings.file or "no eventbus.toml was found: the defaults",
        "journal": f"{_near(settings.state / 'journal')}/  {segments}",
        "logs": f"{_near(settings.state / 'logs')}/",
        "store": _store(settings),
        "lanes": ", ".join(settings.lanes) or "none",
        "heartbeat": beat,
        "files": _watched(settings),
    }
    head = f"eventbus {package_version()} records in {settings.state} (process {os.getpid()})"
    lines = [f"  {name:<10} {visible(str(value))}" for name, value in rows.items()]
    return "\n".join([head, *lines, "Watch it with 'eventbus tail'. Ctrl-C ends it."])


def _watched(settings: Settings) -> str:
    """Where files are watched."""
    if settings.watch.off:
        return "not watched"
    roots = (f"{_near(Path(root))}/" for root in settings.watch.roots)
    return f"{', '.join(roots)}  ask with 'eventbus blame PATH', 'eventbus audit'"


def _store(settings: Settings) -> str:
    """Where the tables are, for those who want to ask them."""
    if settings.store is not None:
        return without_password(settings.store)
    if not any(sink.use == "sqlite" for sink in settings.named_sinks):
        return "none: no lane lands in one"
    return (
        f"{_near(settings.state / 'store.db')}  ask it with 'eventbus usage', 'search', 'sessions'"
    )


def _near(path: Path) -> Path:
    """The path as one would write it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _farewell(report: Report, ran_s: float) -> str:
    head = f"ran {duration_text(ran_s)}, wrote {counted(report.written, 'event')} of its own"
    outcome = [f"{count:,} dropped: {visible(why)}" for why, count in report.dropped.items()]
    if not report.is_complete:
        outcome.append("not everything was written in time; lanes go on from there next time")
    rows = [
        (name, lane.delivered, lane.dead, lane.lag, lane.last_error or "")
        for name, lane in report.lanes.items()
    ]
    shown = [table(("lane", "written", "dead", "left", ""), rows)] if rows else []
    return "\n".join([head, *outcome, *shown])


def _say(sentence: str) -> None:
    click.echo(f"eventbus: {visible(sentence)}", err=True)
