"""What one call costs the one who emits: `emit_nowait` and `await emit`, beyond
constructing the same event, at the median of single calls made in small groups
with pauses between, so that the writer keeps up; the bare loop beside it.
"""

from benchmarks.contest import Contestant, Course, hold, limit
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

GROUP_OF = 1_000
"""Events of the course for each timed group of a hundred calls."""


def ask(course: Course) -> list[Row]:
    """Measure single calls."""
    groups = max(10, course.events // GROUP_OF)
    contest = hold(
        course,
        (
            limit(course.events),
            Contestant(
                name="call",
                target="benchmarks.contestants.calls:emitting",
                arguments={"groups": groups},
            ),
        ),
    )
    return [
        *contest.row("limit", label="limit, an event", to=None),
        *contest.row("call", "construct_us", label="construct alone"),
        *contest.row("call", "nowait_us", label="construct and emit_nowait"),
        *contest.row(
            "call",
            "nowait_beyond_us",
            label="emit_nowait beyond constructing",
            aim=Aim(most=0.35, of="value"),
        ),
        *contest.row(
            "call",
            "await_beyond_us",
            label="await emit beyond constructing",
            aim=Aim(most=0.5, of="value"),
        ),
        *contest.row(
            "call",
            "plain_beyond_us",
            label="emit_nowait beyond constructing, nothing to copy",
            aim=Aim(most=0.35, of="value"),
        ),
        *contest.row(
            "call",
            "anything_beyond_us",
            label="emit_nowait beyond constructing, a dict of anything",
        ),
        *contest.row("call", "nowait_p99_us", label="construct and emit_nowait, p99"),
        *contest.without(),
    ]
