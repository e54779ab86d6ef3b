"""`eventbus tail`: the last events, and those that come."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click

from eventbus.activity import log_path
from eventbus.frontends.cli.entries import Wanted
from eventbus.frontends.cli.follow import FlatTail, JournalTail
from eventbus.frontends.cli.lines import forms, people_line, raw_line, shower
from eventbus.frontends.cli.options import (
    Where,
    kinds_option,
    session_option,
    source_option,
    where_options,
)
from eventbus.frontends.cli.terminal import has_colours
from eventbus.kinds import KindFilter

__all__ = ["command"]

T = TypeVar("T")

LOOK_EVERY_S = 0.1

EXAMPLES = """\
\b
Examples:
  eventbus tail
  eventbus tail --kind 'llm:*,tool:*' --session s1
  eventbus tail --kind '*:error' -n 50 --no-follow
  eventbus tail --raw | grep timeout
"""


@click.command("tail", epilog=EXAMPLES, short_help="Watch events as they come.")
@kinds_option
@source_option
@session_option
@click.option(
    "-n",
    "--lines",
    "number",
    type=click.IntRange(min=0),
    default=10,
    metavar="NUMBER",
    help="Begin with so many of the last.  [default: 10]",
)
@click.option("--follow/--no-follow", "-f", default=True, help="Wait for what comes.  [default]")
@click.option("--log", "from_log", is_flag=True, help="Read logs/activity.log, not the journal.")
@forms
@where_options
def command(
    where: Where,
    kinds: tuple[str, ...] | None,
    source: str | None,
    session: str | None,
    number: int,
    follow: bool,
    from_log: bool,
    as_json: bool,
    as_raw: bool,
) -> None:
    """Show the last events and wait for those that come, of every process here.

    They are read from the journal, so nothing else needs to be running.
    With --log, or where there is no journal, the flat log itself is followed,
    across its rotation; its lines know a session only by session_id=.
    """
    if from_log and as_json:
        raise click.UsageError("--json needs the journal; allowed with --log is --raw")
    state = where.settings().state
    wanted = Wanted(kinds=KindFilter(kinds), source=source, session=session)
    if not state.is_dir():
        if not follow:
            raise where.no_state(state)
        click.echo(f"eventbus: nothing is recorded in {str(state)!r} yet; waiting", err=True)
    if from_log or (not as_json and _has_only_a_log(state)):
        log = FlatTail(log_path(state), wanted)
        _show(log.last(number), log.news if follow else None, _log_form(as_raw))
    else:
        journal = JournalTail(state, wanted)
        form = shower(as_json=as_json, as_raw=as_raw)
        _show(journal.last(number), journal.news if follow else None, form)


def _has_only_a_log(state: Path) -> bool:
    return not (state / "journal").is_dir() and log_path(state).is_file()


def _log_form(as_raw: bool) -> Callable[[str], str]:
    if as_raw:
        return raw_line
    colours = has_colours()
    return lambda text: people_line(text, colours=colours)


def _show(
    last: Iterable[T], news: Callable[[], Iterable[T]] | None, form: Callable[[T], str]
) -> None:
    try:
        _print(last, form)
        while news is not None:
            _print(news(), form)
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:  # how one leaves it
        return


def _print(entries: Iterable[T], form: Callable[[T], str]) -> None:
    for entry in entries:
        sys.stdout.write(form(entry) + "\n")
    sys.stdout.flush()
