"""What was measured, as values: spreads, aims, rows, and a whole report."""

from collections.abc import Sequence
from math import ceil, log
from statistics import linear_regression, median
from typing import Literal

import msgspec

__all__ = [
    "Aim",
    "Answer",
    "Machine",
    "Report",
    "Row",
    "Spread",
    "exponent",
    "percentile",
    "ratios",
    "row",
    "skipped",
    "spread",
]


class Spread(msgspec.Struct, frozen=True):
    """The middle of the rounds, and how far they lay apart."""

    median: float
    low: float
    high: float


class Aim(msgspec.Struct, frozen=True, omit_defaults=True):
    """The most or the least that a median may be."""

    most: float | None = None
    least: float | None = None
    of: Literal["ratio", "value"] = "ratio"

    def __str__(self) -> str:
        sign, bound = ("≥", self.least) if self.most is None else ("≤", self.most)
        return f"{sign} {bound:g}" + (" ×" if self.of == "ratio" else "")

    def holds(self, measured: float) -> bool:
        """True if the median is within the aim."""
        if self.most is not None and measured > self.most:
            return False
        return self.least is None or measured >= self.least


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a table."""

    name: str
    unit: str = "µs"
    value: Spread | None = None
    ratio: Spread | None = None
    base: str = "limit"
    """What the ratio is to."""
    aim: Aim | None = None
    met: bool | None = None
    """None where no aim was set or nothing was measured."""
    better: Literal["lower", "higher"] = "lower"
    size: int | None = None
    """How large the question was, where it was asked at several sizes."""
    reason: str = ""
    """Why nothing was measured."""
    is_failure: bool = False
    """True where something of ours broke; a missing peer is none."""


class Answer(msgspec.Struct, frozen=True):
    """All rows of one question."""

    question: str
    says: str
    rows: list[Row]


class Machine(msgspec.Struct, frozen=True):
    """Where and when it was measured."""

    taken: str
    system: str
    processor: str
    processors: int
    python: str
    filesystem: str
    load: float
    """Average over the minute before the start."""


class Report(msgspec.Struct, frozen=True):
    """One run of the benchmarks."""

    machine: Machine
    rounds: int
    events: int
    answers: list[Answer]


def spread(samples: Sequence[float]) -> Spread:
    """Median, least and most of the rounds."""
    return Spread(median(samples), min(samples), max(samples))


def ratios(samples: Sequence[float], base: Sequence[float]) -> list[float]:
    """Each round against the base of the same round."""
    return [mine / theirs for mine, theirs in zip(samples, base, strict=True) if theirs]


def percentile(samples: Sequence[float], part: float) -> float:
    """The smallest sample that `part` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, ceil(part * len(ordered)) - 1)]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The power of the size that the cost grows with: 0 flat, 1 linear."""
    return linear_regression([log(size) for size in sizes], [log(cost) for cost in costs]).slope


def row(
    name: str,
    samples: Sequence[float],
    *,
    unit: str = "µs",
    to: Sequence[float] = (),
    base: str = "limit",
    aim: Aim | None = None,
    better: Literal["lower", "higher"] = "lower",
    size: int | None = None,
) -> Row:
    """A row of what was measured round by round, against a base if there is one."""
    value = spread(samples)
    ratio = spread(ratios(samples, to)) if to else None
    judged = ratio if aim is not None and aim.of == "ratio" else value
    return Row(
        name=name,
        unit=unit,
        value=value,
        ratio=ratio,
        base=base,
        aim=aim,
        met=aim.holds(judged.median) if aim is not None and judged is not None else None,
        better=better,
        size=size,
    )


def skipped(name: str, reason: str, *, is_failure: bool = False) -> Row:
    """A row for what could not be measured, saying why."""
    return Row(name=name, reason=reason, is_failure=is_failure)
