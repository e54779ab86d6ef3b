"""What one call costs the one who emits: `emit_nowait` and `await emit`, beyond
constructing the same event, at the median of single calls made in small groups
with pauses between, so that the writer keeps up; the bare loop beside it.
"""

from benchmarks.contest import Contestant, Course, hold, limit
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

GROUP_OF = 1_000
"""Events of the course for each timed group of a hundred calls."""
NOWAIT, AWAITED = Aim(most=0.35, of="value"), Aim(most=0.5, of="value")
FIGURES: tuple[tuple[str, str, Aim | None], ...] = (
    ("construct_us", "construct alone", None),
    ("nowait_us", "construct and emit_nowait", None),
    ("nowait_beyond_us", "emit_nowait beyond constructing", NOWAIT),
    ("await_beyond_us", "await emit beyond constructing", AWAITED),
    ("plain_beyond_us", "emit_nowait beyond constructing, nothing to copy", NOWAIT),
    ("anything_beyond_us", "emit_nowait beyond constructing, a dict of anything", None),
    ("nowait_p99_us", "construct and emit_nowait, p99", None),
)


def ask(course: Course) -> list[Row]:
    """Measure single calls."""
    groups = max(10, course.events // GROUP_OF)
    call = Contestant(
        name="call",
        target="benchmarks.contestants.calls:emitting",
        arguments={"groups": groups},
    )
    contest = hold(course, (limit(course.events), call))
    rows = contest.row("limit", label="limit, an event", to=None)
    for figure, label, aim in FIGURES:
        rows += contest.row("call", figure, label=label, aim=aim)
    return rows + contest.without()
