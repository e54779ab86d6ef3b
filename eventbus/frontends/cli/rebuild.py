"""`eventbus rebuild`: the store made anew from the journal."""

from collections.abc import Iterator

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli.bars import progress_bar
from eventbus.frontends.cli.confirming import confirm, yes_option
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.stores import lane_option, the_file
from eventbus.frontends.cli.tables import counted
from eventbus.frontends.cli.wording import json_text
from eventbus.store.rebuild import Rebuilt, rebuild
from eventbus.units import duration_text

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus rebuild
  eventbus rebuild --from-journal --yes     no backup to begin with
  eventbus rebuild --json | jq .events
"""


@click.command("rebuild", epilog=EXAMPLES, short_help="Make the store anew from the journal.")
@click.option(
    "--from-journal", is_flag=True, help="Begin with nothing, not with the latest good backup."
)
@yes_option
@lane_option
@json_option("Print one JSON object: what came of it.")
@where_options
def command(
    where: Where, from_journal: bool, is_sure: bool, lane: str | None, as_json: bool
) -> None:
    """Make the store anew: the latest good backup, then the journal after it.

    It is made beside the store that is there, which can be asked until the
    new one takes its place, and is then set aside, not deleted. What is older
    than the journal that is kept comes from a backup, or is gone.
    """
    settings = where.settings()
    store = the_file(where, settings, lane, wish="rebuild")
    assert store.path is not None  # it is a file
    if store.path.exists():
        confirm(f"this replaces {store.path} by one made anew", is_sure=is_sure)
    with progress_bar("rebuild") as tell:
        rebuilt = rebuild(
            settings.state,
            path=store.path,
            lane=store.lane,
            kinds=store.kinds,
            from_backup=not from_journal,
            progress=tell,
        )
    if as_json:
        click.echo(json_text(rebuilt))
    else:
        click.echo("\n".join(map(visible, _said(rebuilt))))


def _said(rebuilt: Rebuilt) -> Iterator[str]:
    yield f"made {rebuilt.path} anew in {duration_text(rebuilt.seconds)}"
    begun = f"{rebuilt.backup.name}, and " if rebuilt.backup is not None else ""
    landed = f"{rebuilt.landed:,} out of the journal"
    yield f"  {counted(rebuilt.events, 'event')}: {begun}{landed}"
    if rebuilt.refused:
        yield f"  {rebuilt.refused:,} that the tables do not take"
    if rebuilt.aside is not None:
        there = "" if rebuilt.events_before is None else f" with {rebuilt.events_before:,}"
        yield f"  the one before{there} is {rebuilt.aside.name}; delete it once you do not need it"
