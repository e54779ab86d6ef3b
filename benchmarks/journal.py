"""What an event costs from `emit` until all of them are on the disk: the whole
of a process's work, with the journal alone and with file lanes, against the
bare loop that makes and writes the same events.
"""

from benchmarks.contest import Course, hold, limit, ours
from benchmarks.figures import Aim, Row

__all__ = ["ask"]


def ask(course: Course) -> list[Row]:
    """Measure the whole way to the disk."""
    contest = hold(
        course,
        (
            limit(course.events),
            ours("await emit", course.events),
            ours("emit_many", course.events, function="emit_many"),
            ours("await emit, a dict of anything", course.events, function="emit_anything"),
            ours("await emit, two file lanes", course.events, sinks=["jsonl", "flat"]),
        ),
    )
    return [
        *contest.row("limit", to=None),
        *contest.row("await emit", aim=Aim(most=1.7)),
        *contest.row("await emit", "cpu_us", label="await emit, processor time"),
        *contest.row("emit_many", aim=Aim(most=1.7)),
        *contest.row("await emit, a dict of anything"),
        *contest.row("await emit, two file lanes"),
        *contest.without(),
    ]
