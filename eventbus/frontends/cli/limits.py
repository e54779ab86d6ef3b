"""`eventbus limits`: how near everybody is to what may be spent."""

from collections.abc import Sequence

import click

from eventbus.frontends.cli import exits
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.wording import json_text, money
from eventbus.producers.standings import Standing, standings

__all__ = ["command"]

EVERYBODY = "(everybody)"
UNSAID = "(not said)"
COLOURS = {"reached": "red", "near": "yellow", "free": "green"}

EXAMPLES = """\
\b
Exit codes, with --check:
  0  nobody has reached a limit
  1  somebody has
\b
Examples:
  eventbus limits
  eventbus limits --user ann
  eventbus limits --check || echo "somebody is stopped"
  eventbus limits --json | jq '.[] | select(.state != "free")'
"""


@click.command("limits", epilog=EXAMPLES, short_help="Show who is near a cost limit.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--check", is_flag=True, help="Say by the exit code whether a limit is reached.")
@json_option("Print one JSON array: an object a limit.")
@where_options
def command(where: Where, user: str | None, check: bool, as_json: bool) -> int:
    """Show what was spent of each cost limit, those nearest to theirs first.

    Days and months are UTC. What is not in the store yet is read from the
    journal, so that the figures hold to the moment. Limits are set by
    [cost_limits] in eventbus.toml.
    """
    settings = where.settings()
    if settings.store is None and not settings.state.is_dir():
        raise where.no_state(settings.state)
    found = standings(settings.cost_limits, settings.state, settings.where_store)
    wanted = [each for each in found if user is None or each.user == user]
    if as_json:
        click.echo(json_text(wanted))
    else:
        click.echo(_shown(wanted, is_any_set=not settings.cost_limits.is_none))
    is_reached = any(each.state == "reached" for each in wanted)
    return exits.FINDING if check and is_reached else exits.OK


def _shown(found: Sequence[Standing], *, is_any_set: bool) -> str:
    if not is_any_set:
        return "no cost limit is set; [cost_limits] in eventbus.toml sets them"
    if not found:
        return "nobody whom a limit holds for has spent anything this month"
    spent, most = _amounts(found)
    has_unpriced = any(each.unpriced for each in found)
    return table(
        (
            "user",
            "window",
            "state",
            "spent",
            "limit",
            "part",
            *(["unpriced"] if has_unpriced else []),
            "resets (UTC)",
        ),
        [
            (
                EVERYBODY if each.user is None else each.user or UNSAID,
                each.window,
                Cell(each.state, fg=COLOURS[each.state], bold=each.state == "reached"),
                so_far,
                limit,
                f"{each.part:.0%}",
                *([each.unpriced] if has_unpriced else []),
                Cell(f"{each.resets_at:%Y-%m-%d}", dim=True),  # at midnight
            )
            for each, so_far, limit in zip(found, spent, most, strict=True)
        ],
        gives_way=(0,),
    )


def _amounts(found: Sequence[Standing]) -> tuple[list[str | None], list[str | None]]:
    """What is spent and what may be, each in its unit."""
    spent = money(each.spent if each.unit == "cost" else None for each in found)
    most = money(each.limit if each.unit == "cost" else None for each in found)
    tokens = [f"{each.spent:,.0f}" for each in found], [f"{each.limit:,.0f}" for each in found]
    return _either(spent, tokens[0]), _either(most, tokens[1])


def _either(dollars: Sequence[str | None], tokens: Sequence[str]) -> list[str | None]:
    return [
        f"{count} tokens" if amount is None else amount
        for amount, count in zip(dollars, tokens, strict=True)
    ]
