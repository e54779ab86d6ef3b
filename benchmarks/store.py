"""How long a question to the store takes as it grows: usage over ten thousand to
ten million model calls, and searching, a session's timeline and a chat's tool
traces over ten thousand to a million events of a realistic mix.
"""

from collections.abc import Sequence

import msgspec

from benchmarks.contest import Contest, Contestant, Course, hold
from benchmarks.figures import Aim, Row, exponent, row

__all__ = ["ask"]

CALLS = (10_000, 316_000, 10_000_000)
EVENTS = (10_000, 100_000, 1_000_000)
WHOLE_COURSE = 200_000
"""Events of a full course; a smaller one asks stores that are smaller by as much."""
ROUNDS_MOST = 3
"""Filling a store takes a minute; each question is asked 41 times a round."""
MOST_TIMES, MOST_MS = 2, 10

USED = {"by_day_s": "usage by day", "by_user_s": "usage by user", "one_user_s": "usage of one user"}
ASKED = {
    "rare_s": "search for a rare word",
    "common_s": "search for a word in most events",
    "page_s": "last page of a session's timeline",
    "traces_s": "a page of tool traces",
    "newest_s": "newest events of a session",
}
BOUND = ("rare_s", "page_s", "traces_s")
"""Those with an aim."""


def ask(course: Course) -> list[Row]:
    """Measure the questions at each size."""
    course = msgspec.structs.replace(course, rounds=min(course.rounds, ROUNDS_MOST))
    calls, events = (_sizes(course, sizes) for sizes in (CALLS, EVENTS))
    contest = hold(
        course,
        [
            *(_contestant("used", size) for size in calls),
            *(_contestant("asked", size) for size in events),
        ],
    )
    rows: list[Row] = []
    for figure, says in USED.items():
        rows += _rows(contest, "used", figure, says, calls, has_aim=True)
    for figure, says in ASKED.items():
        rows += _rows(contest, "asked", figure, says, events, has_aim=figure in BOUND)
    return rows + contest.without()


def _sizes(course: Course, sizes: Sequence[int]) -> list[int]:
    part = min(1.0, course.events / WHOLE_COURSE)
    return [max(100, int(size * part)) for size in sizes]


def _contestant(function: str, size: int) -> Contestant:
    return Contestant(
        name=f"{function} {size:,}",
        target=f"benchmarks.contestants.store:{function}",
        arguments={"events": size},
    )


def _rows(
    contest: Contest, function: str, figure: str, says: str, sizes: list[int], *, has_aim: bool
) -> list[Row]:
    costs = [contest.of(f"{function} {size:,}", figure) for size in sizes]
    if not all(costs):
        return []
    rows = []
    for size, cost in zip(sizes, costs, strict=True):
        is_last = size == sizes[-1]
        rows.append(
            row(
                f"{says}, {size:,}",
                [seconds * 1e3 for seconds in cost],
                unit="ms",
                to=[seconds * 1e3 for seconds in costs[0]],
                base=f"{sizes[0]:,}",
                aim=Aim(most=MOST_TIMES) if has_aim and is_last else None,
                size=size,
            )
        )
    if has_aim and function == "asked":
        last = [seconds * 1e3 for seconds in costs[-1]]
        bound = Aim(most=MOST_MS, of="value")
        rows.append(row(f"{says}, {sizes[-1]:,}, as such", last, unit="ms", aim=bound))
    powers = [exponent(sizes, round_) for round_ in zip(*costs, strict=True)]
    return [*rows, row(f"{says}, exponent", powers, unit="power")]
