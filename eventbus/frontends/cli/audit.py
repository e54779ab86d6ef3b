"""`eventbus audit`: changes to files, whoever made them."""

import re
from datetime import datetime
from functools import partial
from typing import Any

import click

from eventbus.frontends.cli.asking import PAGES_AS_JSON, Wish, asked, page_options, show_pages
from eventbus.frontends.cli.changed import as_recorded, change_table
from eventbus.frontends.cli.options import (
    Where,
    json_option,
    session_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.settings import Settings
from eventbus.store.changes import changes_told, last_change
from eventbus.store.engine import Reader

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus audit --since today
  eventbus audit --path src --actor unknown       behind the agent's back
  eventbus audit --path '*.py' --session s1
  eventbus audit --actor shell --since 2h --json | jq '.items[] | .path'
"""


@click.command("audit", epilog=EXAMPLES, short_help="List changes to files.")
@click.option(
    "--path",
    metavar="PATH",
    help="Only of this file, of all in this directory, or like '*.py'; '*' stands for '/' too.",
)
@click.option(
    "--actor", metavar="NAME", help="Only by this tool; `unknown` or `ambiguous` as well."
)
@session_option
@since_option
@until_option
@page_options(50)
@json_option(PAGES_AS_JSON)
@where_options
def command(
    where: Where,
    path: str | None,
    actor: str | None,
    session: str | None,
    since: datetime | None,
    until: datetime | None,
    wish: Wish,
    as_json: bool,
) -> None:
    """List changes to the files that are watched, the latest first.

    Every change is there, whoever made it; 'eventbus blame' has those of one
    file. `audit.jsonl` in the log directory has the same as lines.
    """
    with asked(where) as store:
        ask = partial(
            changes_told,
            store,
            **_paths(store, where.settings(), path),
            actor=actor,
            session_id=session,
            since=since,
            until=until,
        )
        show_pages(
            wish.pages(ask),
            partial(change_table, with_path=True),
            noun="change",
            as_json=as_json,
        )


def _paths(store: Reader, settings: Settings, written: str | None) -> dict[str, Any]:
    """Which paths are meant."""
    if written is None:
        return {}
    if re.search(r"[*?\[]", written) and last_change(store, written) is None:
        return {"like": written}
    path = as_recorded(store, settings, written)
    last = last_change(store, path)
    is_file = last is not None and last.op != "mkdir"
    return {"path": path} if is_file else {"below": path}
