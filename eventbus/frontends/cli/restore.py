"""`eventbus restore`: a backup in the store's place."""

from pathlib import Path

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli.confirming import confirm, yes_option
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.stores import lane_option, the_file
from eventbus.frontends.cli.tables import table
from eventbus.frontends.cli.wording import json_text, moment
from eventbus.store.backup import BACKUPS, BackupFile, Restored, list_backups, restore
from eventbus.units import size_text

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus restore --list
  eventbus restore                          the latest that is good
  eventbus restore store-20261120T033000.db
  eventbus restore /mnt/elsewhere/store.db --yes
"""


@click.command("restore", epilog=EXAMPLES, short_help="Put a backup in the store's place.")
@click.argument("backup", required=False, metavar="[BACKUP]")
@click.option("--list", "as_list", is_flag=True, help="List the backups, and change nothing.")
@yes_option
@lane_option
@json_option("Print one JSON object; with --list a JSON array.")
@where_options
def command(
    where: Where,
    backup: str | None,
    as_list: bool,
    is_sure: bool,
    lane: str | None,
    as_json: bool,
) -> None:
    """Put a backup in the store's place, by default the latest that is good.

    The store that is there is set aside, not deleted. What the journal has
    after the backup lands by itself when something next records here: 'eventbus
    up', say. While a process serves the store nothing is changed.
    """
    settings = where.settings()
    store = the_file(where, settings, lane, wish="restore")
    directory = settings.state / BACKUPS
    if as_list:
        found = list_backups(directory) if directory.is_dir() else []
        click.echo(json_text(found) if as_json else _listed(found))
        return
    assert store.path is not None  # it is a file
    if store.path.exists():
        which = backup or "the latest backup that is good"
        confirm(f"this puts {which} in the place of {store.path}", is_sure=is_sure)
    named = None if backup is None else _path_of(backup, directory)
    restored = restore(settings.state, named, path=store.path, lane=store.lane)
    click.echo(json_text(restored) if as_json else _said(restored))


def _path_of(written: str, directory: Path) -> Path:
    """A path as it is written, else the name of a file among the backups."""
    path = Path(written)
    if path.exists() or len(path.parts) > 1:
        return path
    return directory / written


def _listed(found: list[BackupFile]) -> str:
    if not found:
        return "no backups; 'eventbus backup' makes one"
    rows = [(each.path.name, size_text(each.bytes), moment(each.at)) for each in found]
    return table(("backup", "size", "made (UTC)"), rows)


def _said(restored: Restored) -> str:
    said = [f"put {restored.backup} in the place of {restored.path}"]
    if restored.aside is not None:
        said.append(f"  the one before is {restored.aside.name}; delete it once you do not need it")
    return "\n".join(map(visible, said))
