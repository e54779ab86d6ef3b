"""`eventbus search`: events that hold words."""

from collections.abc import Sequence
from datetime import datetime

import click

from eventbus.frontends.cli import exits
from eventbus.frontends.cli.asking import PAGES_AS_JSON, Wish, asked, page_options, show_pages
from eventbus.frontends.cli.colours import kind_cell
from eventbus.frontends.cli.options import (
    Where,
    component_option,
    json_option,
    kinds_option,
    session_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.wording import moment
from eventbus.store.search import Found, search

__all__ = ["command"]


EXAMPLES = """\
\b
How words are read:
  disk full       both words, anywhere
  '"disk full"'   one behind the other
  time*           words that begin so
\b
Exit codes:
  0  something was found
  1  nothing was
\b
Examples:
  eventbus search timeout
  eventbus search disk full --kind 'error:*' --since 7d
  eventbus search --component worker --since today
  eventbus search 'time*' --all --json | jq '.items[].message'
"""


@click.command("search", epilog=EXAMPLES, short_help="Find events by words, newest first.")
@click.argument("words", nargs=-1, metavar="[TEXT]...")
@kinds_option
@since_option
@until_option
@session_option
@component_option
@page_options(20)
@json_option(PAGES_AS_JSON)
@where_options
def command(
    where: Where,
    words: tuple[str, ...],
    kinds: tuple[str, ...] | None,
    since: datetime | None,
    until: datetime | None,
    session: str | None,
    component: str | None,
    wish: Wish,
    as_json: bool,
) -> int:
    """Find events by words and by what they are, newest first.

    Words are looked for in the kind, the source and the message, whether
    upper or lower case; any text may be asked for. With no words, all events
    that fit are listed.
    """
    with asked(where) as store:
        found = show_pages(
            wish.pages(
                lambda **page: search(
                    store,
                    " ".join(words),
                    kinds=kinds,
                    since=since,
                    until=until,
                    session=session,
                    component=component,
                    **page,
                )
            ),
            _table,
            noun="event",
            as_json=as_json,
        )
    return exits.OK if found else exits.FINDING


def _table(items: Sequence[Found]) -> str:
    return table(
        ("time (UTC)", "kind", "source", "message"),
        [
            (
                Cell(moment(found.ts), dim=True),
                kind_cell(found.kind),
                found.source,
                Cell(found.snippet, has_mark=True),
            )
            for found in items
        ],
        gives_way=(1, 2, 3),
    )
