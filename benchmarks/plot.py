"""A picture a question: bars of ratios, and lines where the size was varied."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # draws to files, wants no display

from matplotlib import pyplot as plt

from benchmarks.figures import Answer, Report, Row

__all__ = ["draw"]

GOOD, PLAIN, MISSED = "#2a7f62", "#5b7aa0", "#c0504d"
DOTS_PER_INCH = 140
FAR_APART = 30
"""Most over least from which bars stand on a logarithmic scale."""


def draw(report: Report, directory: Path) -> list[Path]:
    """Write `QUESTION.png` for each question that has a picture."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    for answer in report.answers:
        is_drawn = _draw_lines(answer) if answer.question == "growth" else _draw_bars(answer)
        if is_drawn:
            path = directory / f"{answer.question}.png"
            _finish(report, path)
            drawn.append(path)
    return drawn


def _draw_bars(answer: Answer) -> bool:
    rows = [row for row in answer.rows if row.ratio is not None and row.base == "limit"]
    unit = "× the bare loop"
    if not rows:
        rows = [row for row in answer.rows if row.value is not None]
        unit = rows[0].unit if rows else ""
        rows = [row for row in rows if row.unit == unit]
    if not rows:
        return False
    _bars(rows, f"{answer.question}: {unit}")
    return True


def _bars(rows: Sequence[Row], title: str) -> None:
    spreads = [
        row.ratio if row.ratio is not None and row.base == "limit" else row.value for row in rows
    ]
    known = [spread for spread in spreads if spread is not None]
    middles = [spread.median for spread in known]
    reach = [
        [spread.median - spread.low for spread in known],
        [spread.high - spread.median for spread in known],
    ]
    _, axes = plt.subplots(figsize=(8, 0.9 + 0.36 * len(rows)))
    places = range(len(known))
    axes.barh(places, middles, xerr=reach, color=[_colour(row) for row in rows], capsize=2)
    axes.set_yticks(places, [row.name for row in rows])
    axes.invert_yaxis()
    if min(middles) > 0 and max(middles) / min(middles) > FAR_APART:
        axes.set_xscale("log")
        axes.set_xlim(left=min(1.0, min(middles) / 2))
    for place, middle in zip(places, middles, strict=True):
        axes.annotate(f" {middle:.3g}", (middle, place), va="bottom", fontsize=7)
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(axis="x", alpha=0.25)


def _colour(row: Row) -> str:
    if row.met is None:
        return GOOD if row.name.startswith("eventbus") else PLAIN
    return GOOD if row.met else MISSED


def _draw_lines(answer: Answer) -> bool:
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in answer.rows:
        if row.size is not None and row.value is not None:
            question = row.name.rpartition(", ")[0]
            lines.setdefault(question, []).append((row.size, row.value.median))
    if not lines:
        return False
    _, axes = plt.subplots(figsize=(8, 4.5))
    for question, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=question)
    axes.set(xscale="log", yscale="log", xlabel="events in the journal", ylabel="ms")
    axes.set_title("growth: time by size", loc="left", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    return True


def _finish(report: Report, path: Path) -> None:
    machine = report.machine
    plt.figtext(
        0.99,
        0.01,
        f"{machine.processor}, {machine.processors} processors, {machine.python},"
        f" {machine.filesystem}; median of {report.rounds} rounds, least and most",
        ha="right",
        fontsize=6,
        color="#666666",
    )
    plt.tight_layout(rect=(0, 0.03, 1, 1))
    plt.savefig(path, dpi=DOTS_PER_INCH)
    plt.close()
