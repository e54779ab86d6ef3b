"""`eventbus doctor`: is the store whole, and what to do where it is not."""

from collections.abc import Iterator

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.stores import lane_option, stores, the_store
from eventbus.frontends.cli.tables import counted
from eventbus.frontends.cli.terminal import painted, wrapped
from eventbus.frontends.cli.wording import json_text, moment
from eventbus.store.doctor import Examined, examine
from eventbus.units import size_text

__all__ = ["command"]

EXAMPLES = """\
\b
Exit codes:
  0  all is well
  1  something is wrong; what to do stands beside it
\b
Examples:
  eventbus doctor
  eventbus doctor --json | jq '.[].findings'
"""


@click.command("doctor", epilog=EXAMPLES, short_help="Prove that nothing is missing.")
@lane_option
@json_option("Print one JSON array: an object a store.")
@where_options
def command(where: Where, lane: str | None, as_json: bool) -> int:
    """Prove from the journal that nothing is missing from the store, and that it is sound.

    Every event before the store's place in the journal must have its row, the
    totals must come out, and the file must be whole. Nothing is changed, and
    events may land meanwhile. 'eventbus verify' looks at the journal itself.
    """
    settings = where.settings()
    found = stores(where, settings)
    wanted = found if lane is None else [the_store(found, lane)]
    examined = [examine(settings.state, store) for store in wanted]
    if as_json:
        click.echo(json_text(examined))
    else:
        click.echo("\n\n".join("\n".join(_told(each)) for each in examined))
    return exits.OK if all(each.is_well for each in examined) else exits.FINDING


def _told(each: Examined) -> Iterator[str]:
    yield from (_line("fine", what) for what in _what_is_fine(each))
    yield from (_line("note", note) for note in each.notes)
    for finding in each.findings:
        yield _line("wrong", finding.what, fg="red")
        yield _line("", f"what to do: {finding.advice}")
    verdict = "all is well" if each.is_well else counted(len(each.findings), "finding")
    yield f"{visible(each.where)}: {painted(verdict, fg='green' if each.is_well else 'red')}"


def _line(word: str, what: str, *, fg: str | None = None) -> str:
    return f"{painted(word.ljust(5), fg=fg, dim=fg is None)}  {wrapped(visible(what), 7)}"


def _what_is_fine(each: Examined) -> Iterator[str]:
    if each.version is None:
        return
    size = "" if each.bytes is None else f", {size_text(each.bytes)}"
    yield f"{each.engine}: tables of version {each.version}, {counted(each.rows, 'event')}{size}"
    whole = [writer for writer in each.writers if not writer.missing]
    if whole:
        yield f"all that the journal has of {counted(len(whole), 'writer')} is there"
    if each.backups:
        latest = each.backups[0]
        yield f"{counted(len(each.backups), 'backup')}, the latest of {moment(latest.at)} UTC"
