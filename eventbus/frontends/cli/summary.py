"""`eventbus summary`: what happened since when, in few words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

import click

from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.colours import kind_cell
from eventbus.frontends.cli.options import (
    Where,
    json_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.frontends.cli.tables import Cell, counted, table
from eventbus.frontends.cli.wording import hour, json_text, minute, money, short
from eventbus.store.summary import KEYS_MOST, By, Counted, SpentBy, Summary, summary

__all__ = ["command"]

UNSAID = "(not said)"
"""The key of what an event did not say."""
HEADS = {"day": "day (UTC)", "hour": "hour (UTC)"}
DAY = timedelta(days=1)

EXAMPLES = """\
\b
Examples:
  eventbus summary
  eventbus summary --since today --by component
  eventbus summary --since 7d --by day
  eventbus summary --json | jq .errors
"""


@click.command("summary", epilog=EXAMPLES, short_help="Say in few words what happened.")
@click.option(
    "--by", type=click.Choice(get_args(By)), default="kind", help="What counts.  [default: kind]"
)
@since_option
@until_option
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, KEYS_MOST),
    default=20,
    metavar="NUMBER",
    help="Rows of a table at the most.  [default: 20]",
)
@json_option("Print one JSON object: events, counts, errors, cost, spent.")
@where_options
def command(
    where: Where,
    by: By,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Say what happened since when, by default in the last 24 hours.

    Events are counted by kind or by whatever is asked for; below stand the
    errors, the most frequent first, and what each component spent.
    """
    with asked(where) as store:
        told = summary(
            store, since=since or datetime.now(UTC) - DAY, until=until, by=by, limit=limit
        )
    click.echo(json_text(told) if as_json else "\n\n".join(_parts(told)))


def _parts(told: Summary) -> Iterator[str]:
    since = f"since {minute(told.since)}"
    if told.until is not None:
        since = f"from {minute(told.since)} to {minute(told.until)}"
    yield f"{counted(told.events, 'event')} {since} UTC"
    if told.counts:
        yield _counts(told)
    if told.errors:
        yield _errors(told)
    if told.spent:
        yield _spent(told)


def _counts(told: Summary) -> str:
    rows = [(_key(each, told.by), each.events) for each in told.counts]
    shown = table((HEADS.get(told.by, told.by), "events"), rows)
    if not told.left_out:
        return shown
    return f"{shown}\n... and {told.left_out:,} more; -n shows up to {KEYS_MOST}"


def _key(each: Counted, by: By) -> object:
    if by == "kind":
        return kind_cell(each.key)
    if by == "hour":
        return hour(each.key)
    return (short(each.key) if by == "session" else each.key) or UNSAID


def _errors(told: Summary) -> str:
    return table(
        ("component", "error", "count", "last (UTC)", "latest message"),
        [
            (
                each.component,
                Cell(each.type, fg="red"),
                each.count,
                Cell(minute(each.last), dim=True),
                each.message,
            )
            for each in told.errors
        ],
        gives_way=(0, 1, -1),
    )


def _spent(told: Summary) -> str:
    has_periods = any(each.period is not None for each in told.spent)
    *costs, cost = money([*map(_cost, told.spent), told.cost])
    periods = [_period(each.period) for each in told.spent]
    return table(
        (*([HEADS[told.by]] if has_periods else []), "component", "calls", "unpriced", "spent"),
        [
            (*period, each.component or UNSAID, each.calls, each.unpriced, spent)
            for period, each, spent in zip(periods, told.spent, costs, strict=True)
        ],
        total=("total", *([""] if has_periods else []), "", "", cost),
    )


def _period(written: str | None) -> list[str]:
    if written is None:
        return []
    return [hour(written) if "T" in written else written]


def _cost(spent: SpentBy) -> float | None:
    """None where no call has a known price."""
    return spent.cost if spent.cost or not spent.unpriced else None
