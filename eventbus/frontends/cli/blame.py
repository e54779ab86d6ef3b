"""`eventbus blame`: who changed a file, when, and in which tool call."""

from typing import Any

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.asking import PAGES_AS_JSON, Wish, asked, page_options, show_pages
from eventbus.frontends.cli.changed import as_recorded, change_table
from eventbus.frontends.cli.options import (
    Where,
    json_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.store.changes import changes_told, files_told, last_change
from eventbus.store.engine import Reader

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus blame src/app.py
  eventbus blame src/app.py --since today
  eventbus blame src                      the last change of each file in it
  eventbus blame src/app.py --json | jq '.items[] | {ts, actor, trace}'
"""


@click.command("blame", epilog=EXAMPLES, short_help="Show who changed a file, in which call.")
@click.argument("path")
@since_option
@until_option
@page_options(50)
@json_option(PAGES_AS_JSON)
@where_options
def command(where: Where, path: str, since: Any, until: Any, wish: Wish, as_json: bool) -> int:
    """Show who changed the file at PATH, the latest change first.

    Each change has the tool call that made it, with its input, session and
    user, and the size before and after. Nobody known is `unknown`; where it may
    have been one of several calls it is `ambiguous`. Of a directory it is the
    last change of each file in it. PATH may be one that is gone.
    """
    settings = where.settings()
    with asked(where) as store:
        recorded = as_recorded(store, settings, path)
        is_one = last_change(store, recorded) is not None and not _is_directory(store, recorded)

        def ask(**page: Any) -> Any:
            if is_one:
                return changes_told(store, path=recorded, since=since, until=until, **page)
            return files_told(store, below=recorded, **page)

        if not is_one and (since is not None or until is not None):
            raise click.UsageError("--since and --until are for one file; 'eventbus audit' has all")
        count = show_pages(
            wish.pages(ask),
            lambda items: change_table(items, with_path=not is_one),
            noun="change",
            as_json=as_json,
        )
    if not count and not as_json:
        click.echo(visible(f"of {recorded!r}; 'eventbus audit' lists what is recorded"), err=True)
    return exits.OK if count else exits.FINDING


def _is_directory(store: Reader, path: str) -> bool:
    last = last_change(store, path)
    return last is not None and last.op == "mkdir"
