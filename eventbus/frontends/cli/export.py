"""`eventbus export`: events out of the store as text, or an ingested file as it was."""

import sys
from collections.abc import Iterator
from datetime import datetime

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.options import (
    Where,
    kinds_option,
    session_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.store.export import FORMS, export_events, export_ingested

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus export --since 2026-11-01 > november.log
  eventbus export --format csv --kind 'tool:*' > tools.csv
  eventbus export --json --session s1 | jq .message
  eventbus export --ingested old/activity.log | cmp - old/activity.log
"""


@click.command("export", epilog=EXAMPLES, short_help="Write events as text, CSV or JSON lines.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    help="What to write.  [default: flat]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl: JSON lines.")
@kinds_option
@since_option
@until_option
@session_option
@click.option(
    "--ingested",
    metavar="FILE",
    help="An ingested file byte for byte, by its path or its fingerprint.",
)
@click.option(
    "--formulas", is_flag=True, help="In CSV leave cells as they are that a spreadsheet would run."
)
@where_options
def command(
    where: Where,
    form: str | None,
    as_json: bool,
    kinds: tuple[str, ...] | None,
    since: datetime | None,
    until: datetime | None,
    session: str | None,
    ingested: str | None,
    formulas: bool,
) -> None:
    """Write events out of the store to stdout, oldest first: as a flat log, CSV or JSON lines.

    With --ingested a file that was ingested is given back byte for byte. On a
    terminal control characters are written out; into a file or a pipe goes
    what was recorded.
    """
    if as_json and form not in (None, "jsonl"):
        raise click.UsageError(f"--json is --format jsonl, and not {form!r}")
    if ingested is not None and (form or as_json or kinds or since or until or session):
        raise click.UsageError("--ingested gives a whole file; it takes no other wish")
    with asked(where) as store:
        if ingested is not None:
            parts = export_ingested(store, ingested)
        else:
            parts = export_events(
                store,
                "jsonl" if as_json else form or "flat",
                kinds=kinds,
                since=since,
                until=until,
                session=session,
                is_guarded=not formulas,
            )
        _write(parts)


def _write(parts: Iterator[bytes]) -> None:
    sys.stdout.flush()
    if not sys.stdout.isatty():
        for part in parts:
            sys.stdout.buffer.write(part)
        return
    for part in parts:
        for line in part.decode("utf-8", "backslashreplace").splitlines():
            click.echo(visible(line))
