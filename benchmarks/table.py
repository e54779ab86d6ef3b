"""Reports as text: a Markdown table a question, aligned to be read as it is."""

from collections.abc import Sequence

from benchmarks.figures import Answer, Machine, Report, Row, Spread
from benchmarks.machine import is_busy, is_memory

__all__ = ["aims_line", "answer_text", "columns", "header_text", "number"]

HEADINGS = ("what", "value", "min", "max", "ratio", "min", "max", "aim", "met")
RIGHT = range(1, 7)
"""The columns of numbers."""


def header_text(report: Report) -> str:
    """Where the figures come from, and what may spoil them."""
    machine = report.machine
    where = f"{machine.processor} · {machine.processors} processors · {machine.filesystem}"
    how = f"{report.rounds} rounds, taking turns · {report.events:,} events at the most"
    lines = [
        f"{machine.taken} · {machine.python} · {machine.system}",
        f"{where} · load {machine.load:g}",
        f"{how} · ratios are made within a round",
        *_warnings(machine),
    ]
    return "\n".join(lines)


def _warnings(machine: Machine) -> list[str]:
    warnings = []
    if is_busy(machine):
        warnings.append(f"warning: the machine is busy (load {machine.load:g}); ratios may wander")
    if is_memory(machine.filesystem):
        warnings.append(
            f"warning: {machine.filesystem} is no disk; what is synced there is nowhere"
        )
    return warnings


def answer_text(answer: Answer) -> str:
    """One question's heading and table, and what could not be measured."""
    measured = [row for row in answer.rows if not row.reason]
    parts = [f"## {answer.question}", ""]
    if measured:
        parts += columns([HEADINGS, *map(_cells, measured)], right=RIGHT)
    for row in answer.rows:
        if row.reason:
            parts.append(f"{'failed' if row.is_failure else 'skipped'}: {row.name}: {row.reason}")
    return "\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = [f"{cell} ×" for cell in _spread(row.ratio)] if row.ratio else ["", "", ""]
    if row.ratio and row.base != "limit":
        ratio[0] += f" {row.base}"
    value = _spread(row.value)
    met = {None: "", True: "yes", False: "no"}[row.met]
    return row.name, f"{value[0]} {row.unit}", *value[1:], *ratio, _aim(row), met


def _spread(spread: Spread | None) -> list[str]:
    if spread is None:
        return ["", "", ""]
    return [number(part) for part in (spread.median, spread.low, spread.high)]


def _aim(row: Row) -> str:
    if row.aim is None:
        return ""
    return f"{row.aim} {row.unit}" if row.aim.of == "value" else str(row.aim)


def number(value: float) -> str:
    """Three figures that count, thousands marked."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def columns(table: Sequence[Sequence[str]], *, right: range) -> list[str]:
    """Rows as a Markdown table; the first is the heading."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rule = [
        "-" * (width - 1) + (":" if place in right else "-") for place, width in enumerate(widths)
    ]
    return [_line(row, widths, right) for row in (table[0], rule, *table[1:])]


def _line(row: Sequence[str], widths: Sequence[int], right: range) -> str:
    cells = (
        cell.rjust(width) if place in right else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return f"| {' | '.join(cells)} |"


def aims_line(answers: Sequence[Answer]) -> str:
    """How many aims were met, and which were not."""
    judged = [(answer, row) for answer in answers for row in answer.rows if row.met is not None]
    missed = [f"{answer.question}: {row.name}" for answer, row in judged if not row.met]
    line = f"{len(judged) - len(missed)} of {len(judged)} aims met"
    return f"{line}; not: {'; '.join(missed)}" if missed else line
