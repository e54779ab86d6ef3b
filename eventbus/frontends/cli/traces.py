"""`eventbus traces`: tool calls on an axis of time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any

import click
import msgspec

from eventbus.formats.visible import one_line, visible
from eventbus.frontends.cli.asking import PAGES_AS_JSON, Wish, asked, page_options, show_pages
from eventbus.frontends.cli.colours import outcome_cell
from eventbus.frontends.cli.options import Where, json_option, session_option, where_options
from eventbus.frontends.cli.tables import Cell, columns, fields, table
from eventbus.frontends.cli.terminal import terminal_width
from eventbus.frontends.cli.wording import clock, json_text, took
from eventbus.store.changes import FileChange, changes_of_call
from eventbus.store.engine import Reader
from eventbus.store.traces import ToolTrace, open_traces, trace, traces
from eventbus.units import size_text

__all__ = ["command", "trace_table"]

BAR_LEAST, BAR_MOST = 10, 40
BESIDE_THE_BAR = 68
"""Columns of a line that are not the bar's."""
INPUT_MOST = 200

EXAMPLES = """\
\b
Examples:
  eventbus traces --session s1
  eventbus traces --chat c1 --all
  eventbus traces --unfinished
  eventbus traces TRACE                   one of them, with input and output
  eventbus traces --session s1 --json | jq '.items[] | select(.outcome == "error")'
"""


@click.command("traces", epilog=EXAMPLES, short_help="Show tool calls on an axis of time.")
@click.argument("id", required=False, metavar="[TRACE]")
@click.option("--chat", "chat", metavar="ID", help="Only of this chat.")
@session_option
@click.option("--unfinished", is_flag=True, help="Only those that nobody has finished.")
@page_options(50)
@json_option(f"{PAGES_AS_JSON} With TRACE, one JSON object.")
@where_options
def command(
    where: Where,
    id: str | None,
    chat: str | None,
    session: str | None,
    unfinished: bool,
    wish: Wish,
    as_json: bool,
) -> None:
    """Show tool calls, the oldest first, each with a bar on an axis of time.

    The axis is that of the page: from its first call's beginning to its last
    call's end. A call that has not ended is drawn to the end of it.
    """
    if unfinished and chat is not None:
        raise click.UsageError("--unfinished takes --session, and no --chat")
    with asked(where) as store:
        if id is not None:
            _show_one(store, id, as_json=as_json)
            return

        def ask(**page: Any) -> Any:
            if unfinished:
                return open_traces(store, session_id=session, **page)
            return traces(store, chat_id=chat, session_id=session, **page)

        show_pages(wish.pages(ask), trace_table, noun="tool call", as_json=as_json)


def trace_table(items: Sequence[ToolTrace]) -> str:
    """A table of tool calls, one at least."""
    head, moments = clock([each.started_at for each in items])
    return table(
        (head, "tool", "took", "outcome", "", "input, or error"),
        [
            (
                Cell(moment, dim=True),
                each.tool_name,
                took(each.latency_ms),
                outcome_cell(each.outcome),
                Cell(bar, fg=outcome_cell(each.outcome).fg),
                _told(each),
            )
            for moment, each, bar in zip(moments, items, _bars(items), strict=True)
        ],
        gives_way=(1, 5),
    )


def _told(each: ToolTrace) -> str:
    if each.error is not None:
        return one_line(each.error)
    return "" if each.tool_input is None else _as_line(each.tool_input)[:INPUT_MOST]


def _as_line(value: Any) -> str:
    return one_line(value) if isinstance(value, str) else json_text(value)


# --- bars --------------------------------------------------------------------------


def _bars(items: Sequence[ToolTrace]) -> Iterator[str]:
    begun = [_seconds(each.started_at) for each in items]
    ended = [_end(each, start) for each, start in zip(items, begun, strict=True)]
    first = min(begun)
    last = max([*begun, *(end for end in ended if end is not None)])
    for start, end in zip(begun, ended, strict=True):
        yield _bar(start - first, (last if end is None else end) - first, last - first, end is None)


def _bar(start: float, end: float, whole: float, is_open: bool) -> str:
    """A line in its place on the axis, at least a character long."""
    width = _bar_width()
    scale = width / whole if whole > 0 else 0.0
    left = min(width - 1, int(start * scale))
    right = max(left + 1, min(width, ceil(end * scale)))
    return (" " * left + ("░" if is_open else "█") * (right - left)).ljust(width)


def _bar_width() -> int:
    room = terminal_width()
    return BAR_LEAST * 2 if room is None else max(BAR_LEAST, min(room - BESIDE_THE_BAR, BAR_MOST))


def _seconds(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()


def _end(each: ToolTrace, start: float) -> float | None:
    if each.finished_at is not None:
        return max(start, _seconds(each.finished_at))
    return None if each.outcome is None else start


# --- one ---------------------------------------------------------------------------


def _show_one(store: Reader, id: str, *, as_json: bool) -> None:
    found = trace(store, id)
    if found is None:
        raise click.ClickException(
            f"no tool trace {id!r} in the store; 'eventbus traces' lists them"
        )
    files = changes_of_call(store, found)
    said = msgspec.structs.asdict(found)
    if as_json:
        click.echo(json_text({**said, "files": files}))
        return
    long = {name: said.pop(name) for name in ("tool_input", "tool_output", "error")}
    click.echo(fields(said))
    for name, value in long.items():
        if value is not None:
            click.echo(f"\n{name.replace('_', ' ')}:")
            for line in _as_text(value).splitlines():
                click.echo(f"  {visible(line)}")

    if files:
        click.echo("\nfiles:")
        for line in columns(map(partial(_as_row, found.id), files)).split("\n"):
            click.echo(f"  {line}")


def _as_row(trace: str, change: FileChange) -> tuple[str, str, str]:
    size = "" if change.size_bytes is None else size_text(change.size_bytes)
    whose = "" if change.trace == trace else ", or another call"
    return change.op, size, visible(f"{change.path}{whose}")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
