"""Columns for people: aligned, numbers to the right, no wider than the terminal."""

import re
from collections.abc import Iterable, Mapping, Sequence

import click
import msgspec

from eventbus.formats.visible import visible
from eventbus.frontends.cli.terminal import (
    cut,
    has_colours,
    padded,
    painted,
    terminal_width,
    text_width,
)

__all__ = ["Cell", "columns", "counted", "fields", "fits", "table"]

GAP = "  "
NARROWEST = 8
"""What is left of a column that gives way on a narrow terminal."""
_NUMBER = re.compile(r"-|[$<+-]*\d[\d,.]*( ?[a-zA-Z%]{1,6})?( \d+[a-z]{1,2})?")
"""`1,234`, `$0.12`, `1.5 MiB`, `2m 3s`; a date or an id is none."""

_MARKED = re.compile("«(.*?)(?:»|$)")


class Cell(msgspec.Struct, frozen=True):
    """A value that is painted on a terminal."""

    value: object
    fg: str | None = None
    bold: bool = False
    dim: bool = False
    has_mark: bool = False
    """What stands between « and » is bold on a terminal."""


def columns(rows: Iterable[Sequence[str]], *, is_tty: bool = False) -> str:
    """Rows whose cells stand under each other; the last cell is dim on a terminal."""
    rows = list(rows)
    widths = [max(map(text_width, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        *cells, last = row
        words = GAP.join(padded(cell, width) for cell, width in zip(cells, widths, strict=False))
        last = click.style(last, dim=True) if is_tty else last
        lines.append(f"{words}{GAP}{last}".rstrip())
    return "\n".join(lines)


def fields(said: Mapping[str, object]) -> str:
    """What is known of one thing, a line each; what is not known is left out."""
    return columns(
        (name.replace("_", " "), _text(value)) for name, value in said.items() if value is not None
    )


def counted(number: int, noun: str) -> str:
    """`1 event`, `2,000 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    total: Sequence[object] | None = None,
    gives_way: Sequence[int] = (-1,),
) -> str:
    """A table; columns of numbers stand to the right, what they come to stands below.

    On a terminal that is too narrow the columns that give way are cut, the
    widest of them most.
    """
    shown = [[_cell(value) for value in row] for row in rows]
    right = [_are_numbers(cells) for cells in zip(*shown, strict=True)] or [False] * len(head)
    right[0] = False  # what the row is about
    ends = [[Cell(_cell(value).value, bold=True) for value in total]] if total is not None else []
    lines = [[Cell(word, dim=True) for word in head], *shown, *ends]
    widths = _widths(lines, gives_way)
    return "\n".join(_line(cells, widths, right) for cells in lines)


def fits(shown: str) -> bool:
    """Whether the terminal is wide enough for a table; true where there is none."""
    room = terminal_width()
    return room is None or all(
        text_width(click.unstyle(line)) <= room for line in shown.split("\n")
    )


def _widths(lines: list[list[Cell]], gives_way: Sequence[int]) -> list[int]:
    widths = [
        max(text_width(str(cell.value)) for cell in cells) for cells in zip(*lines, strict=True)
    ]
    room = terminal_width()
    if room is not None and gives_way:
        _narrow(widths, gives_way, room)
    return widths


def _narrow(widths: list[int], gives_way: Sequence[int], room: int) -> None:
    """Cut the widest of the columns that give way until all fit, or none can give more."""
    for column in gives_way:
        widths[column] = min(widths[column], room)
    over = sum(widths) + len(GAP) * (len(widths) - 1) - room
    while over > 0:
        widest = max(gives_way, key=lambda column: widths[column])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1
        over -= 1


def _line(cells: Sequence[Cell], widths: Sequence[int], right: Sequence[bool]) -> str:
    last = len(cells) - 1 if not right[-1] else None  # nothing stands behind it
    words = (
        _shown(cell, width if index != last else 0, limit=width, is_right=is_right)
        for index, (cell, width, is_right) in enumerate(zip(cells, widths, right, strict=True))
    )
    return GAP.join(words).rstrip()


def _shown(cell: Cell, width: int, *, limit: int, is_right: bool) -> str:
    text = padded(cut(str(cell.value), limit), width, is_right=is_right)
    if cell.has_mark and has_colours():
        return _MARKED.sub(lambda match: click.style(match[1], bold=True), text)
    return painted(text, fg=cell.fg, bold=cell.bold, dim=cell.dim)


def _are_numbers(cells: Sequence[Cell]) -> bool:
    return all(_NUMBER.fullmatch(str(cell.value)) for cell in cells)


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return msgspec.structs.replace(value, value=_text(value.value))
    return Cell(_text(value))


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))
