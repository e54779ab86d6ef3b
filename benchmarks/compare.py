"""Two reports beside each other: what moved beyond the noise."""

from typing import Literal

import msgspec

from benchmarks.figures import Report, Row, Spread
from benchmarks.table import columns, number

__all__ = ["Move", "moves", "moves_text"]

HEADINGS = ("what", "before", "now", "change", "")
Verdict = Literal["better", "worse"]


class Move(msgspec.Struct, frozen=True):
    """A row that differs by more than its rounds do."""

    name: str
    unit: str
    before: float
    now: float
    verdict: Verdict


def moves(before: Report, now: Report) -> list[Move]:
    """Rows of both whose medians each lie outside the other's rounds.

    Ratios are compared where there are some, since a machine's speed is not
    in them.
    """
    then = {(answer.question, row.name): row for answer in before.answers for row in answer.rows}
    found = []
    for answer in now.answers:
        for row in answer.rows:
            earlier = then.get((answer.question, row.name))
            if earlier is not None and (move := _move(answer.question, earlier, row)):
                found.append(move)
    return found


def _move(question: str, before: Row, now: Row) -> Move | None:
    old, new, unit = _comparable(before, now)
    if old is None or new is None or not (_outside(old, new) and _outside(new, old)):
        return None
    is_better = (new.median < old.median) == (now.better == "lower")
    return Move(
        f"{question}: {now.name}",
        unit,
        old.median,
        new.median,
        "better" if is_better else "worse",
    )


def _comparable(before: Row, now: Row) -> tuple[Spread | None, Spread | None, str]:
    if before.ratio is not None and now.ratio is not None and before.base == now.base:
        return before.ratio, now.ratio, "×"
    return before.value, now.value, now.unit


def _outside(one: Spread, other: Spread) -> bool:
    return not other.low <= one.median <= other.high


def moves_text(before: Report, now: Report) -> str:
    """The comparison as text, with a word on what else was different."""
    lines = [f"## compared with {before.machine.taken}", "", *_differences(before, now)]
    found = moves(before, now)
    if not found:
        return "\n".join([*lines, "nothing moved beyond the noise"])
    table = [HEADINGS, *map(_cells, found)]
    return "\n".join([*lines, *columns(table, right=range(1, 4))])


def _differences(before: Report, now: Report) -> list[str]:
    then, here = before.machine, now.machine
    differences = []
    if (then.processor, then.python) != (here.processor, here.python):
        differences += [f"warning: that was measured on {then.processor}, {then.python}", ""]
    if before.events != now.events:
        differences += [f"warning: that was measured with {before.events:,} events", ""]
    return differences


def _cells(move: Move) -> tuple[str, ...]:
    change = f"{move.now / move.before - 1:+.0%}" if move.before else ""
    return (
        move.name,
        f"{number(move.before)} {move.unit}",
        f"{number(move.now)} {move.unit}",
        change,
        move.verdict,
    )
