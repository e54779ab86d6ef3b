"""What it costs to take in a flat log somebody else wrote: into the journal, on
into the tables, a second time, and out again byte for byte, beside a bare loop
that splits each line and inserts its four fields.
"""

from benchmarks.contest import Contestant, Course, hold
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

BY_HAND = "split and executemany"
WAYS = {
    BY_HAND: "by_hand",
    "into the journal": "into_the_journal",
    "into the journal and the tables": "into_the_tables",
    "again, all of it there": "again",
    "exported byte for byte": "out_again",
}
PART = 0.25
"""Of the course's events: a row costs several times a line of the journal."""


def ask(course: Course) -> list[Row]:
    """Measure ingest and export, a line."""
    lines = max(1, int(course.events * PART))
    contest = hold(
        course,
        [
            Contestant(
                name=name,
                target=f"benchmarks.contestants.ingest:{function}",
                arguments={"events": lines},
            )
            for name, function in WAYS.items()
        ],
    )
    rows = contest.row(BY_HAND, to=None)
    for name in list(WAYS)[1:]:
        aim = Aim(most=10, of="value") if name == "into the journal" else None
        rows += contest.row(name, to=(BY_HAND, "us"), base="by hand", aim=aim)
    return rows + contest.without()
