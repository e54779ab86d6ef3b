"""Writes docs/cli.md from the commands' own help; `--print` only shows it."""

import sys
from pathlib import Path

import click

from eventbus.frontends.cli import COMMANDS, cli, exits

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

HEAD = """\
# Command line

<!-- Written by scripts/generate_cli_page.py from the commands' own help. -->

`eventbus COMMAND`, or `python -m eventbus COMMAND`.
Output is for people unless `--json` asks for data.
Data goes to stdout, sentences about trouble to stderr.
Whatever an event holds, nothing in it commands the terminal: control characters are written out.

Moments are shown in UTC; typed ones are local unless they say otherwise.
The days of `usage` are UTC.
A table is no wider than the terminal: what is cut there is whole in a pipe.
Long ids are shown without their middle, `019ab3…9c1c9d`, and may be given so.
With `--json` they are whole.
Colours are for terminals, and for none where `NO_COLOR` is set.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, _exit_codes(), _block("eventbus", cli)]
    context = click.Context(cli, info_name="eventbus", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        parts.append(_block(f"eventbus {name}", command, context))
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = [f"| {code} | {says} |" for code, says in exits.CODES.items()]
    return "\n".join(["## Exit codes", "", "| code | it says |", "|--:|---|", *rows, ""])


def _block(title: str, command: click.Command, parent: click.Context | None = None) -> str:
    name = title if parent is None else title.rpartition(" ")[2]
    settings = {**command.context_settings, "terminal_width": 100}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    return f"## `{title}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page())
