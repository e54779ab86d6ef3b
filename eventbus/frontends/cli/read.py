"""`eventbus read`: events from the journal."""

import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import click

from eventbus.frontends.cli.entries import Entry, Wanted, journal_entries
from eventbus.frontends.cli.lines import forms, shower
from eventbus.frontends.cli.options import (
    Where,
    kinds_option,
    session_option,
    since_option,
    source_option,
    until_option,
    where_options,
)
from eventbus.kinds import KindFilter

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus read --since 1h
  eventbus read --kind 'tool:*,error:*' --since today
  eventbus read --session s1 --json | jq .kind
  eventbus read --since 2026-11-01 --until 2026-11-02 --limit 100
"""


@click.command("read", epilog=EXAMPLES, short_help="Read events from the journal.")
@kinds_option
@since_option
@until_option
@source_option
@session_option
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), metavar="NUMBER", help="So many at the most."
)
@forms
@where_options
def command(
    where: Where,
    kinds: tuple[str, ...] | None,
    since: datetime | None,
    until: datetime | None,
    source: str | None,
    session: str | None,
    limit: int | None,
    as_json: bool,
    as_raw: bool,
) -> None:
    """Read events from the journal, oldest first, of all writers merged by time.

    Records that the bus keeps for itself are shown when asked for by
    --kind 'bus:*'. With --json each event is printed as it was written.
    """
    wanted = Wanted(
        kinds=KindFilter(kinds), source=source, session=session, since=since, until=until
    )
    show = shower(as_json=as_json, as_raw=as_raw)
    entries = journal_entries(where.state_there, since)
    for entry in islice(_wanted(entries, wanted), limit):
        sys.stdout.write(show(entry) + "\n")


def _wanted(entries: Iterator[Entry], wanted: Wanted) -> Iterator[Entry]:
    return (entry for entry in entries if wanted.takes(entry))
