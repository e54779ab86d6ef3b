"""What tasks saved over the cloud: `eventbus usage --savings`."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import get_args

import click

from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.options import Where
from eventbus.frontends.cli.tables import table
from eventbus.frontends.cli.wording import json_text, money_columns, short
from eventbus.store.savings import Saved, SavedBy, savings

__all__ = ["show_savings"]


def show_savings(
    where: Where,
    by: str,
    start: date | None,
    end: date | None,
    *,
    model: str | None,
    session: str | None,
    as_json: bool,
) -> None:
    """Print what was saved by day, model or session."""
    if by not in get_args(SavedBy):
        raise click.UsageError(
            f"cannot show savings by {by!r}; allowed: {', '.join(get_args(SavedBy))}"
        )
    with asked(where) as store:
        entries = savings(
            store,
            by,  # type: ignore[arg-type]  # looked at above
            since=_midnight(start) if start is not None else None,
            until=_midnight(end + timedelta(days=1)) if end is not None else None,
            model=model,
            session_id=session,
        )
    click.echo(json_text(entries) if as_json else _shown(entries, by))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _shown(entries: Sequence[Saved], by: str) -> str:
    if not entries:
        return "no task is recorded that is asked for"
    costs, saved = money_columns(
        [each.cost_usd for each in entries], [each.saved_usd for each in entries]
    )
    shown = table(
        ("day (UTC)" if by == "day" else by, "tasks", "unknown", "cost", "saved"),
        [
            (short(each.key) if by == "session" else each.key, each.tasks, each.unknown, cost, less)
            for each, cost, less in zip(entries, costs, saved, strict=True)
        ],
        gives_way=(0,),
    )
    if any(each.unknown for each in entries):
        shown += "\nunknown: tasks of which nobody knows either cost; they add nothing to saved."
    return shown
