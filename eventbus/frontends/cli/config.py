"""`eventbus config`: the settings in force, and who said each."""

import sys

import click
import msgspec

from eventbus.formats.visible import visible
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.tables import columns
from eventbus.settings import Effective, check_sinks, effective

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus config
  EVENTBUS_JOURNAL_KEEP_DAYS=7 eventbus config | grep keep_days
  eventbus config --json
"""


@click.command("config", epilog=EXAMPLES, short_help="Show the settings in force.")
@json_option("Print one JSON object: file, notices and values with their origins.")
@where_options
def command(where: Where, as_json: bool) -> None:
    """Show the settings in force, and where each came from.

    A value comes from a flag, a variable, eventbus.toml or the defaults, in
    this order. Settings that are not allowed are refused by name.
    """
    settings = where.settings()
    check_sinks(settings)
    values = list(effective(settings))
    if as_json:
        answer = {"file": settings.file, "notices": settings.notices, "settings": values}
        click.echo(msgspec.json.encode(answer, enc_hook=str))
        return
    for notice in settings.notices:
        click.echo(f"eventbus: {notice}", err=True)
    click.echo(f"# {settings.file or 'no eventbus.toml was found'}")
    click.echo(columns([_row(value) for value in values], is_tty=sys.stdout.isatty()))


def _row(value: Effective) -> tuple[str, str, str]:
    written = msgspec.json.encode(value.value, enc_hook=str).decode()
    return value.path, f"= {visible(written)}", f"# {visible(value.origin)}"
