"""What `emit_nowait` costs from another thread than the loop's own: single calls
in small groups, taking turns; the bare loop beside it.
"""

from benchmarks.contest import Contestant, Course, hold, limit
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

GROUP_OF = 1_000
"""Events of the course for each timed group of a hundred calls."""


def ask(course: Course) -> list[Row]:
    """Measure calls from both sides."""
    groups = max(10, course.events // GROUP_OF)
    contest = hold(
        course,
        (
            limit(course.events),
            Contestant(
                name="call",
                target="benchmarks.contestants.calls:threads",
                arguments={"groups": groups},
            ),
        ),
    )
    return [
        *contest.row("limit", to=None),
        *contest.row("call", "own_us", label="own thread, p50"),
        *contest.row("call", "other_us", label="other thread, p50"),
        *contest.row(
            "call",
            "other_us",
            label="other thread beside own, p50",
            to=("call", "own_us"),
            base="own thread",
            aim=Aim(most=1.5),
        ),
        *contest.row(
            "call",
            "other_mean_us",
            label="other thread beside own, mean",
            to=("call", "own_mean_us"),
            base="own thread",
            aim=Aim(most=1.5),
        ),
        *contest.without(),
    ]
