"""The command line: `eventbus COMMAND`, each command in a file of its own."""

import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits

__all__ = ["cli", "main"]

COMMANDS = (
    "up",
    "tail",
    "read",
    "search",
    "usage",
    "limits",
    "summary",
    "errors",
    "sessions",
    "timeline",
    "traces",
    "blame",
    "audit",
    "diff",
    "snapshots",
    "rate",
    "ingest",
    "export",
    "stats",
    "verify",
    "seal-key",
    "anchor",
    "erase",
    "doctor",
    "backup",
    "restore",
    "rebuild",
    "config",
    "sinks",
    "version",
)
"""The commands, those used most first."""

EXAMPLES = """\
\b
Begin with:
  eventbus up                     record what programs here emit, until Ctrl-C
  eventbus tail                   watch it in another terminal
  eventbus read --since 1h        what happened in the last hour
  eventbus usage --since today    what it cost, and 'eventbus errors' what went wrong
  eventbus COMMAND --help         more of each, with examples

\b
Settings are read from eventbus.toml, looked for from the working directory
upward, and from EVENTBUS_* variables; 'eventbus config' shows those in force.
"""


class Commands(click.Group):
    """Commands that are imported when they are asked for: `tail` starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{_module(cmd_name)}").command
        return command


def _module(cmd_name: str) -> str:
    return cmd_name.replace("-", "_")


@click.command(
    cls=Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.pass_context
def cli(context: click.Context) -> None:
    """A flight recorder for AI agents: what they do is kept, and can be asked for."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(args: list[str] | None = None) -> NoReturn:
    """Run a command and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text files
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        code = _invoke(sys.argv[1:] if args is None else args)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return exits.INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.PIPE_CLOSED
    except Exception as error:
        explained = exits.explain(error)
        if explained is None:
            raise
        code, sentence = explained
        print(f"eventbus: {visible(sentence)}", file=sys.stderr)
    return code


def _invoke(args: list[str]) -> int:
    """Run a command; click's own `main` would end the process by its own codes."""
    try:
        with cli.make_context("eventbus", list(args)) as context:
            return cli.invoke(context) or exits.OK
    except click.exceptions.Exit as ended:  # after --help
        return ended.exit_code
