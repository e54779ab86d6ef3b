"""How the cost of a question grows with the journal: reading all of it, finding a
kind that is one in a thousand, verifying, opening a bus on it, and one synced
flush, each at three sizes, with the power of the size that the time follows.
"""

from benchmarks.contest import Contest, Contestant, Course, hold
from benchmarks.figures import Row, exponent, row

__all__ = ["ask"]

SIZES = (0.1, 0.5, 2.5)
"""Parts of the course's events."""
QUESTIONS = {
    "read_s": "read all",
    "rare_s": "read one kind in a thousand",
    "verify_s": "eventbus verify",
    "open_s": "open and close",
    "flush_s": "emit and flush synced",
}


def ask(course: Course) -> list[Row]:
    """Measure the questions at each size."""
    sizes = [int(course.events * part) for part in SIZES]
    contest = hold(
        course,
        [
            Contestant(
                name=f"{size:,}",
                target="benchmarks.contestants.reading:asked",
                arguments={"events": size},
            )
            for size in sizes
        ],
    )
    rows: list[Row] = []
    for figure, question in QUESTIONS.items():
        rows += _rows(contest, figure, question, sizes)
    return rows + contest.without()


def _rows(contest: Contest, figure: str, question: str, sizes: list[int]) -> list[Row]:
    costs = [contest.of(f"{size:,}", figure) for size in sizes]
    if not all(costs):
        return []
    powers = [exponent(sizes, round_) for round_ in zip(*costs, strict=True)]
    return [
        *(
            row(f"{question}, {size:,} events", [s * 1e3 for s in cost], unit="ms", size=size)
            for size, cost in zip(sizes, costs, strict=True)
        ),
        row(f"{question}, exponent", powers, unit="power"),
    ]
