"""`eventbus ingest`: foreign flat logs, through the journal into the store."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import anyio
import click

from eventbus.bus import EventBus
from eventbus.errors import IngestRefused, StoreUnusable
from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.bars import progress_bar
from eventbus.frontends.cli.emitting import emitting
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.wording import json_text, moment, short
from eventbus.residence import resident_of
from eventbus.store.engine import Reader
from eventbus.store.ingest import Ingested, Progress, ingest_file
from eventbus.store.ingested import IngestedFile, ingested_files
from eventbus.units import size_text

__all__ = ["command"]

LOOK_EVERY_S = 0.2

EXAMPLES = """\
\b
Exit codes:
  0  every file is in the journal
  1  a file was refused: the sentence says why
\b
Examples:
  eventbus ingest old/activity.log
  eventbus ingest logs/activity-2026-11-*.log.gz
  eventbus ingest --list
  eventbus ingest app.log --json | jq .emitted
"""


@click.command("ingest", epilog=EXAMPLES, short_help="Take flat logs in, each line once.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--list", "as_list", is_flag=True, help="List what was ingested, latest first.")
@json_option("Print JSON lines: an object a file.")
@where_options
def command(where: Where, files: tuple[Path, ...], as_list: bool, as_json: bool) -> int:
    """Take foreign flat logs into the journal and so into the store, each line once.

    It may be interrupted and run again, on a file that has grown or was
    rotated too: a line that has landed is passed over. Lines that are none of
    a flat log are kept as they are, and counted. Files packed by gzip or zstd
    are unpacked. 'eventbus export --ingested FILE' gives a file back.
    """
    if as_list == bool(files):
        raise click.UsageError("say which FILEs to ingest, or --list")
    if as_list:
        with asked(where) as store:
            _print_list(ingested_files(store), as_json=as_json)
        return exits.OK
    found = anyio.run(_ingest, where, files)
    if as_json:
        for each in found:
            click.echo(json_text(each))
    elif found:
        click.echo(_shown(found))
    return exits.OK if len(found) == len(files) else exits.FINDING


async def _ingest(where: Where, files: Sequence[Path]) -> list[Ingested]:
    found = []
    with emitting(where, session=None) as bus, ExitStack() as block:
        store = _store_there(where, block)
        for file in files:
            try:
                found.append(await _one(file, bus, store))
            except IngestRefused as error:
                click.echo(f"eventbus: {visible(str(error))}", err=True)
        await _landed(bus)
        if found and not any(lane.is_served for lane in bus.statistics().lanes.values()):
            who = str(resident_of(where.settings().state) or "the next recorder here")
            click.echo(
                f"eventbus: the lines are in the journal; {visible(who)} lands them", err=True
            )
    return found


def _store_there(where: Where, block: ExitStack) -> Reader | None:
    """The store to look in for lines that have landed; None where there is none yet."""
    with suppress(StoreUnusable):
        return block.enter_context(asked(where))
    return None


async def _one(file: Path, bus: EventBus, store: Reader | None) -> Ingested:
    with progress_bar(visible(file.name)) as tell:

        def progress(so_far: Progress) -> None:
            if tell is not None:
                tell(so_far.done_bytes, so_far.size_bytes)

        return await ingest_file(file, emit=bus.emit_many, store=store, progress=progress)


async def _landed(bus: EventBus) -> None:
    """Wait until the lanes that are served here have it all."""
    with progress_bar("landing") as tell:
        whole = 0
        while not (await bus.flush(timeout=LOOK_EVERY_S)).reached:
            lags = [lane.lag for lane in bus.statistics().lanes.values() if lane.is_served]
            left = max(lags, default=0)
            whole = max(whole, left)
            if tell is not None:
                tell(whole - left, whole)


def _shown(found: Sequence[Ingested]) -> str:
    return table(
        ("file", "lines", "new", "unparsed", "size"),
        [
            (
                each.path,
                each.lines,
                each.emitted,
                Cell(each.unparsed, fg="yellow" if each.unparsed else None),
                size_text(each.bytes),
            )
            for each in found
        ],
        gives_way=(0,),
    )


def _print_list(found: Sequence[IngestedFile], *, as_json: bool) -> None:
    if as_json:
        for each in found:
            click.echo(json_text(each))
    elif not found:
        click.echo("nothing was ingested")
    else:
        rows = [
            (
                each.path,
                each.lines,
                each.unparsed,
                size_text(each.bytes),
                Cell(moment(each.ts), dim=True),
                short(each.file),
            )
            for each in found
        ]
        head = ("file", "lines", "unparsed", "size", "ingested (UTC)", "fingerprint")
        click.echo(table(head, rows, gives_way=(0,)))
