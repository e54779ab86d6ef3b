"""What it costs to get events into SQLite's tables: a batch as a lane hands it
over, and the whole way from `emit`, in one process and with a resident that
lands, against the same rows made beforehand and inserted by a bare loop; beside
it a realistic mix with all its tables and totals.
"""

from typing import Any

from benchmarks.contest import Contestant, Course, hold
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

BY_HAND = "executemany of rows made beforehand"
PART = 0.25
"""Of the course's events: a row costs several times a line of the journal."""


def ask(course: Course) -> list[Row]:
    """Measure landing."""
    events = max(1, int(course.events * PART))
    contest = hold(
        course,
        (
            _contestant(BY_HAND, "by_hand", events),
            _contestant("a lane's batches", "by_batches", events),
            _contestant("from emit to landed and synced", "whole", events),
            _contestant("from emit to landed by a resident", "by_resident", events),
            _contestant("a mix, a lane's batches", "by_batches", events, is_mixed=True),
            _contestant("a mix, from emit to landed and synced", "whole", events, is_mixed=True),
        ),
    )
    to: dict[str, Any] = {"to": (BY_HAND, "us"), "base": "by hand"}
    return [
        *contest.row(BY_HAND, to=None),
        *contest.row("a lane's batches", **to),
        *contest.row("from emit to landed and synced", aim=Aim(most=1.2), **to),
        *contest.row("from emit to landed by a resident", **to),
        *contest.row("a mix, a lane's batches", **to),
        *contest.row("a mix, from emit to landed and synced", **to),
        *contest.without(),
    ]


def _contestant(name: str, function: str, events: int, **arguments: Any) -> Contestant:
    return Contestant(
        name=name,
        target=f"benchmarks.contestants.landing:{function}",
        arguments={"events": events, **arguments},
    )
