"""`eventbus erase`: records taken out of everything, and tombstones in their place."""

import getpass
from collections.abc import Iterator

import click

from eventbus.erasure import Erasure, Plan, erase, plan_erasure
from eventbus.errors import SettingsError
from eventbus.events.seal import LinesErased
from eventbus.formats.visible import visible
from eventbus.frontends.cli.confirming import confirm, yes_option
from eventbus.frontends.cli.emitting import emitting
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.tables import counted
from eventbus.frontends.cli.wording import json_text
from eventbus.sealing.choosing import read_choice

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus erase --where user=ann --dry-run
  eventbus erase --where user=ann --why "asked for on 2026-11-20"
  eventbus erase --where session=s-17 --where path=secrets/key.pem --yes
  eventbus erase --where id=0198c7a2-7c1e-7b3a-8d6f-2f1e0c9b8a7d
"""


@click.command("erase", epilog=EXAMPLES, short_help="Take records out, and say that they were.")
@click.option(
    "--where",
    "said",
    multiple=True,
    required=True,
    metavar="WORD=VALUE",
    help="Which: user=, session=, path= or id=; what is said several times must all hold.",
)
@click.option("--why", default="", metavar="TEXT", help="The reason that is declared.")
@click.option("--dry-run", is_flag=True, help="Say what would be erased, and change nothing.")
@yes_option
@json_option("Print one JSON object.")
@where_options
def command(
    where: Where, said: tuple[str, ...], why: str, dry_run: bool, is_sure: bool, as_json: bool
) -> None:
    """Take records out of the journal, the log files and the store.

    A tombstone takes the place of each line: as long as the line was, with
    its digest, so that what is sealed stays proven. It is declared who erased
    what and why, never the value by which it was chosen; 'eventbus verify'
    says so from then on, and neither a rebuild nor a backup that is put back
    brings them back. Files that still hold them, backups above all, are listed.

    Nothing may write what would be changed: end 'eventbus up' first.
    """
    settings = where.settings()
    if not settings.state.is_dir():
        raise where.no_state(settings.state)
    choice = read_choice(said)
    plan = plan_erasure(settings.state, choice, sinks=settings.named_sinks)
    if dry_run or plan.is_empty:
        click.echo(json_text(_numbers(plan)) if as_json else "\n".join(_planned(plan)))
        return
    if settings.disabled:
        raise SettingsError("it could not be recorded: EVENTBUS_DISABLED is set; unset it")
    what = f"this erases {counted(len(plan.ids), 'event')} for good, {counted(plan.lines, 'line')}"
    confirm(f"{what} in {counted(len(plan.changed), 'file')}", is_sure=is_sure)
    by = getpass.getuser()
    erased = erase(settings.state, choice, by=by, why=why, sinks=settings.named_sinks)
    with emitting(where, session=None) as bus:
        bus.emit_nowait(_event(erased, choice.words, by, why))
    click.echo(json_text(erased) if as_json else "\n".join(map(visible, _done(erased))))


def _event(erased: Erasure, words: tuple[str, ...], by: str, why: str) -> LinesErased:
    return LinesErased(
        events=erased.events,
        lines=erased.lines,
        rows=erased.rows,
        where=words,
        by=by,
        why=why or None,
        still_in=tuple(map(str, erased.still_in)),
    )


def _numbers(plan: Plan) -> dict[str, object]:
    return {
        "events": len(plan.ids),
        "lines": plan.lines,
        "files": {str(one.path): len(one.lines) for one in plan.changed},
        "still_in": list(map(str, plan.still_in)),
    }


def _planned(plan: Plan) -> Iterator[str]:
    if plan.is_empty:
        yield "nothing is chosen by that"
        return
    yield f"{counted(len(plan.ids), 'event')} would be erased, and these lines:"
    for one in plan.changed:
        yield visible(f"  {one.path}: {counted(len(one.lines), 'line')}")
    yield from (visible(f"would still be in {path}") for path in plan.still_in)


def _done(erased: Erasure) -> Iterator[str]:
    yield (
        f"erased {counted(erased.events, 'event')}: {counted(erased.lines, 'line')} in"
        f" {counted(erased.files, 'file')}, {counted(erased.rows, 'row')} of the store"
    )
    yield from (f"still in {path}; delete it, or erase there" for path in erased.still_in)
