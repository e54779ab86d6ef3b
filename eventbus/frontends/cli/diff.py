"""`eventbus diff`: what changed in a file between two moments."""

from collections.abc import Callable, Iterator
from datetime import datetime
from difflib import unified_diff
from typing import Any

import click

from eventbus.formats.visible import visible
from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.options import F, Where, json_option, read_when, where_options
from eventbus.frontends.cli.recorded import State, Tracked, tracked
from eventbus.frontends.cli.terminal import painted
from eventbus.frontends.cli.wording import json_text
from eventbus.units import size_text
from eventbus.watching.contents import is_text

__all__ = ["command"]

LINES_MOST = 50_000
"""Lines of a file that is compared line by line."""

EXAMPLES = """\
\b
Examples:
  eventbus diff src/app.py                             its last recorded change, and since then
  eventbus diff src/app.py --from 2h                   from two hours ago to what it holds now
  eventbus diff src/app.py --from 2026-11-20T12:00Z --to 2026-11-20T12:30Z
  eventbus diff src/app.py --json | jq -r .diff | patch -R
"""


def _when(name: str, attribute: str, text: str) -> Callable[[F], F]:
    return click.option(name, attribute, metavar="WHEN", callback=read_when, help=text)


@click.command("diff", epilog=EXAMPLES, short_help="Show what changed in a file.")
@click.argument("path")
@_when("--from", "start", "As it was then.  [default: before its last change]")
@_when("--to", "end", "As it was then.  [default: as it is now]")
@json_option("Print one JSON object: path, from, to, and the diff as text.")
@where_options
def command(
    where: Where, path: str, start: datetime | None, end: datetime | None, as_json: bool
) -> None:
    """Show what changed in the file at PATH between two moments, line by line.

    What it held is known from when `keep` of `[watch]` was set to "text" or
    "all". A file that was not there is empty.
    """
    with asked(where) as store:
        file = tracked(store, where.settings(), path)
        before = file.at(start) if start is not None else file.before_last()
        after = file.at(end) if end is not None else file.now()
        if as_json:
            click.echo(json_text(_as_json(file, before, after)))
            return
        for line in _for_people(file, before, after):
            click.echo(line)


def _for_people(file: Tracked, before: State, after: State) -> Iterator[str]:
    if before.content == after.content:
        yield visible(f"{file.path}: the same, {before.label} and {after.label}")
        return
    why = _why_not_by_lines(before, after)
    if why is not None:
        yield visible(f"{file.path}: {why}: {_told(before)}; {_told(after)}")
        return
    yield from map(_painted, _lines(file, before, after))


def _lines(file: Tracked, before: State, after: State) -> Iterator[str]:
    lines = unified_diff(
        _lines_of(before),
        _lines_of(after),
        visible(f"a/{file.path}") if before.content is not None else "/dev/null",
        visible(f"b/{file.path}") if after.content is not None else "/dev/null",
        visible(before.label),
        visible(after.label),
    )
    for line in lines:
        if line.endswith("\n"):
            yield line[:-1]
        else:
            yield line
            yield "\\ No newline at end of file"


def _lines_of(state: State) -> list[str]:
    """Lines with their ends; only a newline ends one."""
    text = (state.content or b"").decode()
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [
        rest for rest in (text.rpartition("\n")[2],) if rest
    ]


def _painted(line: str) -> str:
    shown = "\t".join(map(visible, line.split("\t")))
    if line.startswith(("--- ", "+++ ")):
        return painted(shown, bold=True)
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return painted(shown, fg=colours.get(line[:1]))


def _why_not_by_lines(before: State, after: State) -> str | None:
    contents = [state.content for state in (before, after) if state.content is not None]
    if not all(map(is_text, contents)):
        return "binary"
    if any(content.count(b"\n") > LINES_MOST for content in contents):
        return f"more than {LINES_MOST:,} lines"
    return None


def _told(state: State) -> str:
    if state.content is None:
        return f"{state.label}: no such file"
    return f"{state.label}: {size_text(len(state.content))}, {state.hash}"


def _as_json(file: Tracked, before: State, after: State) -> dict[str, Any]:
    why = _why_not_by_lines(before, after)
    is_same = before.content == after.content
    lines = [] if why or is_same else list(_lines(file, before, after))
    return {
        "path": file.path,
        "from": _end(before),
        "to": _end(after),
        "is_same": is_same,
        "by_lines": why is None,
        "diff": "".join(f"{line}\n" for line in lines),
    }


def _end(state: State) -> dict[str, Any]:
    return {
        "label": state.label,
        "size_bytes": None if state.content is None else len(state.content),
        "hash": state.hash,
        "event_id": None if state.change is None else state.change.event_id,
    }
