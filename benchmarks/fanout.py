"""What more sinks cost: one call with 0, 1, 3 and 10 lanes to nowhere attached,
which must stay flat, and the whole way of an event through all of them, which
may grow; the bare loop beside it.
"""

from benchmarks.contest import Contest, Contestant, Course, hold, limit, ours
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

SINKS = (0, 1, 3, 10)
FLAT = Aim(most=1.1)
GROUP_OF = 1_000
"""Events of the course for each timed group of a hundred calls."""


def ask(course: Course) -> list[Row]:
    """Measure one call and the whole, by the number of sinks."""
    groups = max(10, course.events // GROUP_OF)
    calls = [
        Contestant(
            name=_call(sinks),
            target="benchmarks.contestants.calls:past_nulls",
            arguments={"groups": groups, "nulls": sinks},
        )
        for sinks in SINKS
    ]
    wholes = [ours(_whole(sinks), course.events, nulls=sinks) for sinks in SINKS]
    contest = hold(course, (limit(course.events), *calls, *wholes))
    rows = contest.row("limit", to=None)
    for sinks in SINKS:
        rows += _call_row(contest, sinks)
    for sinks in SINKS:
        rows += contest.row(_whole(sinks), size=sinks)
    return rows + contest.without()


def _call_row(contest: Contest, sinks: int) -> list[Row]:
    return contest.row(
        _call(sinks),
        "nowait_us",
        to=(_call(1), "nowait_us"),
        base="1 sink",
        aim=FLAT if sinks > 1 else None,
        size=sinks,
    )


def _call(sinks: int) -> str:
    return f"construct and emit_nowait, {sinks} null"


def _whole(sinks: int) -> str:
    return f"whole way, {sinks} null"
