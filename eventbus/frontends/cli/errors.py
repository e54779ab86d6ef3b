"""`eventbus errors`: what went wrong, how often, and where."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli.asking import (
    Wish,
    asked,
    page_options,
    show_pages,
)
from eventbus.frontends.cli.options import (
    Where,
    component_option,
    json_option,
    session_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.terminal import painted, terminal_width
from eventbus.frontends.cli.wording import json_text, minute, moment
from eventbus.store.errors import ErrorKept, ErrorsAlike, errors, errors_by
from eventbus.store.pages import PAGE_MOST

__all__ = ["command"]


WITH_FIRST = 100
"""Columns of a terminal that has room for the first time as well."""

EXAMPLES = """\
\b
Examples:
  eventbus errors
  eventbus errors --since today --traceback
  eventbus errors --list --component worker
  eventbus errors --type TimeoutError --traceback -n 1
  eventbus errors --json | jq '.[] | {type, count}'
"""


@click.command("errors", epilog=EXAMPLES, short_help="Show what went wrong, and how often.")
@since_option
@until_option
@component_option
@click.option("--type", "type_name", metavar="NAME", help="List those of this type.")
@session_option
@click.option("--list", "as_list", is_flag=True, help="List single ones, newest first.")
@click.option("--traceback", is_flag=True, help="Show tracebacks; of a group, its last one.")
@page_options(50)
@json_option("Print one JSON array of groups; of a list a JSON document a page, on a line.")
@where_options
def command(
    where: Where,
    since: datetime | None,
    until: datetime | None,
    component: str | None,
    type_name: str | None,
    session: str | None,
    as_list: bool,
    traceback: bool,
    wish: Wish,
    as_json: bool,
) -> None:
    """Show what went wrong by component and type, the most frequent first, or one by one.

    Errors come from tools, models, workers, reloads and whatever nobody
    caught. --type and --session list single ones, as --list does.
    """
    with asked(where) as store:
        if not (as_list or type_name or session or wish.cursor):
            most = PAGE_MOST if wish.all_pages else wish.limit
            groups = errors_by(store, since=since, until=until, component=component, limit=most)
            click.echo(json_text(groups) if as_json else _grouped(groups, traceback=traceback))
            return
        show_pages(
            wish.pages(
                lambda **page: errors(
                    store,
                    since=since,
                    until=until,
                    component=component,
                    type=type_name,
                    session_id=session,
                    **page,
                )
            ),
            partial(_listed, traceback=traceback),
            noun="error",
            as_json=as_json,
        )


def _grouped(groups: Sequence[ErrorsAlike], *, traceback: bool) -> str:
    if not groups:
        return "no errors"
    has_first = (terminal_width() or WITH_FIRST) >= WITH_FIRST
    shown = table(
        (
            "component",
            "type",
            "count",
            *(["first (UTC)"] if has_first else []),
            "last (UTC)",
            "latest message",
        ),
        [
            (
                each.component,
                Cell(each.type, fg="red"),
                each.count,
                *([Cell(minute(each.first), dim=True)] if has_first else []),
                Cell(minute(each.last), dim=True),
                each.message,
            )
            for each in groups
        ],
        gives_way=(0, 1, -1),
    )
    return "\n".join([shown, *(_tracebacks(groups) if traceback else [])])


def _listed(items: Sequence[ErrorKept], *, traceback: bool) -> str:
    shown = table(
        ("time (UTC)", "component", "type", "tool", "message"),
        [
            (
                Cell(moment(each.ts), dim=True),
                each.component,
                Cell(each.type, fg="red"),
                each.tool,
                each.message,
            )
            for each in items
        ],
        gives_way=(1, 2, 3, 4),
    )
    return "\n".join([shown, *(_tracebacks(items) if traceback else [])])


def _tracebacks(items: Iterable[ErrorKept | ErrorsAlike]) -> Iterable[str]:
    for each in items:
        if each.stack is not None:
            where = visible(f"{each.component or '-'} {each.type}")
            yield f"\n{painted(where, fg='red')}"
            for line in each.stack.splitlines():
                yield f"  {visible(line)}"
