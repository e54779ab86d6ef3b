"""`eventbus backup`: a copy of the store, made while events go on landing."""

import click

from eventbus.errors import StoreUnusable
from eventbus.events.backup import BackupFinished
from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.bars import progress_bar
from eventbus.frontends.cli.emitting import emitting
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.stores import lane_option, stores, the_store
from eventbus.frontends.cli.wording import json_text, took
from eventbus.store.backups import back_up_store
from eventbus.units import size_text

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus backup
  eventbus backup --keep 30
  eventbus backup --json | jq .path
"""


@click.command("backup", epilog=EXAMPLES, short_help="Make a backup of the store.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Backups that are left afterwards.  [default: as the settings say]",
)
@lane_option
@json_option("Print one JSON object: how it went.")
@where_options
def command(where: Where, keep: int | None, lane: str | None, as_json: bool) -> int:
    """Make a backup of the store into backups/ of the state directory, and check it.

    Events go on landing meanwhile. A store on PostgreSQL is dumped by
    pg_dump. 'eventbus up' makes one a day by itself.
    """
    settings = where.settings()
    store = the_store(stores(where, settings), lane)
    with progress_bar("backup") as tell:
        made = back_up_store(
            store,
            settings.state,
            keep=keep if keep is not None else settings.heartbeat.backups,
            progress=tell,
        )
    if made is None:
        raise StoreUnusable(f"no store at {store.path}; there is nothing to back up")
    if not settings.disabled:
        with emitting(where, session=None) as bus:
            bus.emit_nowait(made)
    click.echo(json_text(made) if as_json else visible(_said(made)))
    return exits.OK if made.error is None else exits.STATE_UNUSABLE


def _said(made: BackupFinished) -> str:
    if made.error is not None:
        return f"no backup was made: {made.error}"
    size = size_text(made.bytes or 0)
    return f"made {made.path}: {size} in {took(made.duration_ms)}, integrity {made.integrity}"
