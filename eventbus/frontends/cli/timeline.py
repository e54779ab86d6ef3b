"""`eventbus timeline`: what happened in a session, in order."""

from collections.abc import Sequence
from functools import partial

import click

from eventbus.frontends.cli.asking import (
    PAGES_AS_JSON,
    Wish,
    asked,
    page_options,
    show_pages,
    whole_id,
)
from eventbus.frontends.cli.colours import kind_cell
from eventbus.frontends.cli.options import Where, json_option, read_kinds, where_options
from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.wording import clock
from eventbus.store.engine import Reader
from eventbus.store.pages import Page
from eventbus.store.sessions import session, sessions
from eventbus.store.timeline import SHOWN, Entry, timeline, timeline_around

__all__ = ["command"]


EXAMPLES = """\
\b
Examples:
  eventbus timeline s1
  eventbus timeline 019ab3…9c1c9d --kind 'tool:*,error:tool'
  eventbus timeline --around 019ab3f2-7c10-7cc3-98c4-dc0c0c9c1c9d -n 20
  eventbus timeline s1 --all --json | jq '.items[].title'
"""


@click.command("timeline", epilog=EXAMPLES, short_help="Show what happened in a session.")
@click.argument("id", required=False, metavar="[SESSION]")
@click.option("--around", metavar="EVENT", help="The page with this event in its middle.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    callback=read_kinds,
    help="Only these: llm:response, tool:*, or '*' for every one. Several by commas or options.",
)
@page_options(50, both_ways=True)
@json_option(PAGES_AS_JSON)
@where_options
def command(
    where: Where,
    id: str | None,
    around: str | None,
    kinds: tuple[str, ...] | None,
    wish: Wish,
    as_json: bool,
) -> None:
    """Show what happened in a session, oldest first: turns, tools, model calls, files, errors.

    Pages go both ways, by --next and --previous. Other kinds than those that
    tell a story are shown when asked for: --kind '*' shows every one.
    """
    if (id is None) == (around is None):
        raise click.UsageError("say either which SESSION, or --around which EVENT")
    wanted = _wanted(kinds)
    with asked(where) as store:
        if around is not None:
            ask = partial(_around, store, around, wanted)
        else:
            ask = partial(timeline, store, _session_of(store, id or ""), kinds=wanted)
        show_pages(
            wish.pages(ask),
            _table,
            noun="event",
            as_json=as_json,
            both_ways=True,
        )


def _wanted(kinds: tuple[str, ...] | None) -> tuple[str, ...]:
    for kind in kinds or ():
        if kind.startswith("*:") and kind != "*:*":
            raise click.UsageError(f"a timeline has no {kind!r}; it takes kinds, 'topic:*' and '*'")
    return SHOWN if kinds is None else tuple(kind.replace("*:*", "*") for kind in kinds)


def _session_of(store: Reader, written: str) -> str:
    id = whole_id(written, partial(sessions, store), lambda each: each.id, noun="session")
    if session(store, id) is None:
        raise click.ClickException(
            f"no session {written!r} in the store; 'eventbus sessions' lists them"
        )
    return id


def _around(
    store: Reader, event: str, kinds: tuple[str, ...], *, limit: int, cursor: str | None
) -> Page[Entry]:
    if cursor is not None:
        raise click.UsageError("--around is one page; --next and --previous take a SESSION")
    page = timeline_around(store, event, kinds=kinds, limit=limit)
    if page is None:
        raise click.ClickException(f"no event {event!r} of a session in the store")
    return page


def _table(items: Sequence[Entry]) -> str:
    head, moments = clock([each.ts for each in items])
    return table(
        (head, "kind", "component", "what"),
        [
            (
                Cell(moment, dim=True),
                kind_cell(each.kind),
                each.component,
                each.title,
            )
            for moment, each in zip(moments, items, strict=True)
        ],
        gives_way=(1, 2, 3),
    )
