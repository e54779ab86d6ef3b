"""Columns for people: aligned, numbers to the right, dim where it helps."""

from collections.abc import Iterable, Sequence

import click

from eventbus.formats.visible import visible

__all__ = ["columns", "counted", "table"]

GAP = "  "


def columns(rows: Iterable[Sequence[str]], *, is_tty: bool = False) -> str:
    """Rows whose cells stand under each other; the last cell is dim on a terminal."""
    rows = list(rows)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        *cells, last = row
        padded = GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        last = click.style(last, dim=True) if is_tty else last
        lines.append(f"{padded}{GAP}{last}".rstrip())
    return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """`1 event`, `2,000 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns of numbers stand to the right."""
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(head, *shown, strict=True)]
    right = [_are_numbers(cells) for cells in zip(*shown, strict=True)] or [False] * len(head)
    right[0] = False  # what the row is about
    lines = [
        GAP.join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(cells, widths, right, strict=True)
        ).rstrip()
        for cells in (head, *shown)
    ]
    return "\n".join(lines)


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(cell[:1].isdigit() or cell == "-" for cell in cells)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))
