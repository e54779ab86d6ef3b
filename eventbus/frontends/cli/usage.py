"""`eventbus usage`: what model calls used and cost."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import get_args

import click

from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.options import (
    Where,
    component_option,
    days_options,
    json_option,
    session_option,
    where_options,
)
from eventbus.frontends.cli.savings import show_savings
from eventbus.frontends.cli.tables import fits, table
from eventbus.frontends.cli.wording import compact, hour, json_text, money, short
from eventbus.store.usage import Grouping, Totals, UsageAnswer, UsageEntry, usage

__all__ = ["command", "usage_table"]

UNSAID = "(not said)"
"""The key of what an event did not say."""
HEADS = {"day": "day (UTC)", "hour": "hour (UTC)"}
COUNTS = {
    "calls": "calls",
    "dispatches": "dispatches",
    "tokens_in": "tokens in",
    "cache_read": "cached",
    "cache_write": "written",
    "tokens_out": "tokens out",
}
MEANINGS = {
    "unpriced": "unpriced: nobody knows their price, so the cost is more than shown",
    "partial": "partial: the stream was cut short, and they used at least this",
    "estimated": "estimated: what they used is a guess",
}
"""Counts of what is not known, and what that means."""
WHERE_ANY = ("cache_write", *MEANINGS)
"""Counts that are shown where one is not 0."""

EXAMPLES = """\
\b
Examples:
  eventbus usage
  eventbus usage --by model --since 30d
  eventbus usage --by session --user ann --since today
  eventbus usage --by hour --since 2026-11-01 --until 2026-11-01
  eventbus usage --savings --by model
  eventbus usage --json | jq .totals.cost
"""


@click.command("usage", epilog=EXAMPLES, short_help="What model calls used and cost.")
@click.option(
    "--by",
    type=click.Choice(get_args(Grouping)),
    default="day",
    help="What the entries are.  [default: day]",
)
@click.option("--savings", is_flag=True, help="Show what tasks saved over the cloud.")
@days_options
@click.option("--user", metavar="NAME", help="Only of this user.")
@component_option
@click.option("--model", metavar="NAME", help="Only of this model.")
@session_option
@json_option("Print one JSON object: by, totals, entries. With --savings one JSON array.")
@where_options
def command(
    where: Where,
    by: Grouping,
    savings: bool,
    start: date | None,
    end: date | None,
    user: str | None,
    component: str | None,
    model: str | None,
    session: str | None,
    as_json: bool,
) -> None:
    """Show what model calls used and cost, by day or by whom.

    Days are whole, and in UTC. Of the tokens that went in, cached ones came
    out of a cache and written ones went into one. What nobody knows is
    counted, not taken for nothing: see the columns unpriced, partial and
    estimated, which are there when there is such a call.

    With --savings: what tasks cost wherever they ran, and how much less that
    was than in the cloud, by day, model or session.
    """
    if savings:
        if user is not None or component is not None:
            raise click.UsageError("a task has no user or component; say --model or --session")
        show_savings(where, by, start, end, model=model, session=session, as_json=as_json)
        return
    with asked(where) as store:
        answer = usage(
            store,
            by=by,
            start=start,
            end=end,
            user=user,
            component=component,
            model=model,
            session=session,
        )
    click.echo(json_text(answer) if as_json else usage_table(answer))


def usage_table(answer: UsageAnswer) -> str:
    """What was used, for people, with what is not known told."""
    if not answer.entries:
        return "no model call or dispatch is recorded that is asked for"
    unknown = [name for name in MEANINGS if getattr(answer.totals, name)]
    counts = [name for name in COUNTS if name not in WHERE_ANY or getattr(answer.totals, name)]
    meanings = [f"{getattr(answer.totals, name):,} {MEANINGS[name]}." for name in unknown]
    return "\n".join([_fitting(answer, counts, unknown), *meanings])


def _fitting(answer: UsageAnswer, counts: Sequence[str], unknown: Sequence[str]) -> str:
    """The table with all there is to say, or as much of it as the terminal is wide enough for."""
    whole = _table(answer, [*counts, *unknown])
    if fits(whole):
        return whole
    shorter = _table(answer, counts)
    return shorter if fits(shorter) else _table(answer, counts, write=compact, gives_way=(0,))


def _table(
    answer: UsageAnswer,
    names: Sequence[str],
    *,
    write: Callable[[int], object] = int,
    gives_way: Sequence[int] = (),
) -> str:
    *costs, cost = money(map(_cost, (*answer.entries, answer.totals)))

    def counts(totals: Totals) -> list[object]:
        return [write(getattr(totals, name)) for name in names]

    return table(
        (HEADS.get(answer.by, answer.by), *(COUNTS.get(name, name) for name in names), "cost"),
        [
            (_key(entry, answer.by), *counts(entry), spent)
            for entry, spent in zip(answer.entries, costs, strict=True)
        ],
        total=("total", *counts(answer.totals), cost),
        gives_way=gives_way,
    )


def _cost(totals: Totals) -> float | None:
    """None where all there is has no known price."""
    return totals.cost if totals.cost_nanos or not totals.unpriced else None


def _key(entry: UsageEntry, by: Grouping) -> str:
    if by == "hour":
        return hour(entry.key)
    key = short(entry.key) if by == "session" else entry.key
    return key or UNSAID
