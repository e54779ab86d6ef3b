"""`eventbus stats`: what is kept, counted."""

from collections.abc import Iterable
from datetime import datetime

import click
import msgspec

from eventbus.census import Census, take_census
from eventbus.frontends.cli.options import Where, json_option, since_option, where_options
from eventbus.frontends.cli.tables import counted, table
from eventbus.units import size_text

__all__ = ["command"]

ROWS_MOST = 20
"""Kinds and writers that are shown; --json and --all have every one."""

EXAMPLES = """\
\b
Examples:
  eventbus stats
  eventbus stats --since 7d
  eventbus stats --json | jq .kinds
"""


@click.command("stats", epilog=EXAMPLES, short_help="Count what is kept.")
@since_option
@click.option("--all", "all_rows", is_flag=True, help="Show every kind and writer.")
@json_option("Print one JSON object.")
@where_options
def command(where: Where, since: datetime | None, all_rows: bool, as_json: bool) -> None:
    """Count what is kept: events by kind, day and writer, sizes, and what lanes have to do.

    Everything is read from the files; nothing needs to be running.
    """
    census = take_census(where.state_there, since=since)
    if as_json:
        click.echo(msgspec.json.encode(census))
        return
    click.echo("\n\n".join(_parts(census, None if all_rows else ROWS_MOST)))


def _parts(census: Census, most: int | None) -> Iterable[str]:
    yield _summary(census)
    if census.kinds:
        yield _counts("kind", census.kinds, most)
        yield _counts("day (UTC)", census.days, None)
        by_count = dict(sorted(census.writers.items(), key=lambda item: -item[1]))
        yield _counts("writer", by_count, most)
    yield table(
        ("area", "size", "files"),
        [(name, size_text(area.bytes), area.files) for name, area in census.areas.items()],
    )
    if census.lanes:
        yield table(
            ("lane", "behind", "size", "dead"),
            [
                (name, lane.events, size_text(lane.bytes), lane.dead)
                for name, lane in census.lanes.items()
            ],
        )


def _summary(census: Census) -> str:
    lines = [f"{counted(census.events, 'event')} in {counted(census.segments, 'segment')}"]
    if census.first is not None and census.last is not None:
        lines.append(f"from {census.first:%Y-%m-%d %H:%M:%S}Z to {census.last:%Y-%m-%d %H:%M:%S}Z")
    if census.unreadable:
        lines.append(
            f"{counted(census.unreadable, 'line')} that no one can read: see 'eventbus verify'"
        )
    who = f"{census.resident} serves the lanes" if census.resident else "no 'eventbus up' runs here"
    return "\n".join([*lines, who])


def _counts(name: str, counts: dict[str, int], most: int | None) -> str:
    rows = list(counts.items())
    shown = table((name, "events"), rows[:most])
    left = len(rows) - len(rows[:most])
    return f"{shown}\n... and {left:,} more; --all shows them" if left else shown
