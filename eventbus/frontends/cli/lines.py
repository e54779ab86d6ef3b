"""How an event is shown on a line: for people, as a flat line, as JSON."""

from collections.abc import Callable
from typing import Any

import click

from eventbus.formats import flat
from eventbus.formats.visible import visible
from eventbus.frontends.cli.colours import is_bad, kind_colour
from eventbus.frontends.cli.entries import Entry
from eventbus.frontends.cli.terminal import has_colours

__all__ = ["forms", "people_line", "raw_line", "shower"]

KIND_WIDTH, SOURCE_WIDTH = 18, 10


def forms(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json and --raw."""
    raw = click.option("--raw", "as_raw", is_flag=True, help="Print lines of the flat log.")
    json = click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
    return json(raw(command))


def shower(*, as_json: bool, as_raw: bool) -> Callable[[Entry], str]:
    """What makes a line of an event, in the form that was asked for."""
    if as_json:
        return _json_line
    if as_raw:
        return lambda entry: raw_line(entry.text)
    colours = has_colours()
    return lambda entry: people_line(entry.text, colours=colours)


def _json_line(entry: Entry) -> str:
    return visible(entry.line.decode("utf-8", "backslashreplace"))


def raw_line(text: str) -> str:
    """A flat line, nothing hidden in it."""
    return visible(text)


def people_line(text: str, *, colours: bool) -> str:
    """A flat line in columns; one that is none stays as it is."""
    fields = flat.parse(text)
    if isinstance(fields, flat.Unparsed):
        return visible(text)
    moment = f"{fields.timestamp:%Y-%m-%d %H:%M:%S}.{fields.timestamp.microsecond // 1000:03}"
    kind = visible(fields.event_type).ljust(KIND_WIDTH)
    source = visible(fields.source).ljust(SOURCE_WIDTH)
    if colours:
        moment = click.style(moment, dim=True)
        bold = is_bad(fields.event_type)
        kind = click.style(kind, fg=kind_colour(fields.event_type), bold=bold)
        source = click.style(source, dim=True)
    return f"{moment}  {kind}  {source}  {visible(fields.message)}".rstrip()
