"""What an agent's process pays when a resident recorder serves its lanes, the
store's among them: the whole way to the disk, against the same with the journal
alone and against serving the lanes itself.
"""

from benchmarks.contest import Course, hold, limit, ours
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

LANES = ["jsonl", "flat", "sqlite"]


def ask(course: Course) -> list[Row]:
    """Measure the agent's side."""
    contest = hold(
        course,
        (
            limit(course.events),
            ours("journal alone", course.events),
            ours("lanes served here", course.events, sinks=LANES),
            ours(
                "lanes served by a resident",
                course.events,
                function="beside_resident",
                sinks=LANES,
            ),
        ),
    )
    return [
        *contest.row("limit", to=None),
        *contest.row("journal alone"),
        *contest.row("lanes served here", to=("journal alone", "us"), base="journal alone"),
        *contest.row(
            "lanes served by a resident",
            to=("journal alone", "us"),
            base="journal alone",
            aim=Aim(most=1.3),
        ),
        *contest.without(),
    ]
