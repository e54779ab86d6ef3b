"""`eventbus restore`: a backup in the store's place, or a file as it was."""

from datetime import datetime
from pathlib import Path

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.confirming import confirm, yes_option
from eventbus.frontends.cli.options import Where, json_option, read_when, where_options
from eventbus.frontends.cli.putting import put_back
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
  eventbus restore src/app.py --at 2h       a file, as it was two hours ago
"""


@click.command(
    "restore", epilog=EXAMPLES, short_help="Put a backup in the store's place, or a file back."
)
@click.argument("what", required=False, metavar="[BACKUP|PATH]")
@click.option(
    "--at", metavar="WHEN", callback=read_when, help="Put the file at PATH back, as it was then."
)
@click.option("--force", is_flag=True, help="With --at: though what it holds now is not kept.")
@click.option("--list", "as_list", is_flag=True, help="List the backups, and change nothing.")
@yes_option
@lane_option
@json_option("Print one JSON object; with --list a JSON array.")
@where_options
def command(
    where: Where,
    what: str | None,
    at: datetime | None,
    force: bool,
    as_list: bool,
    is_sure: bool,
    lane: str | None,
    as_json: bool,
) -> int:
    """Put a backup in the store's place, by default the latest that is good.

    The store that is there is set aside, not deleted. What the journal has
    after the backup lands by itself when something next records here: 'eventbus
    up', say. While a process serves the store nothing is changed.

    With --at it is a watched file that is put back as it was at that moment, if
    what it held was kept ([watch] keep). It is refused where what the file
    holds now is not kept, unless by --force.
    """
    if at is not None:
        if what is None or as_list or lane is not None:
            raise click.UsageError("--at takes the PATH of a file, and neither --list nor --lane")
        return _put_back(where, what, at=at, force=force, as_json=as_json)
    if force:
        raise click.UsageError("--force is for a file; say which moment by --at")
    _restore_store(where, what, as_list=as_list, is_sure=is_sure, lane=lane, as_json=as_json)
    return exits.OK


# --- a file ----------------------------------------------------------------------------


def _put_back(where: Where, path: str, *, at: datetime, force: bool, as_json: bool) -> int:
    done = put_back(where, path, at=at, force=force)
    if as_json:
        click.echo(json_text(done))
    elif done.status == "refused":
        click.echo(
            visible(
                f"eventbus: {done.path} was left as it is: what it holds now is not kept, and would"
                " be lost; --force puts it back all the same"
            ),
            err=True,
        )
    else:
        said = "put back" if done.status == "restored" else "it is the same already:"
        click.echo(visible(f"{said} {done.path}, {size_text(done.size_bytes)}: {done.as_of}"))
    return exits.FINDING if done.status == "refused" else exits.OK


# --- the store -------------------------------------------------------------------------


def _restore_store(
    where: Where,
    backup: str | None,
    *,
    as_list: bool,
    is_sure: bool,
    lane: str | None,
    as_json: bool,
) -> None:
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
