"""What sealing costs an event as it is written, chain and keys included, and how
many events a second are held against their seals: for the event that everybody
records, and for a mix of which three in ten are critical.
"""

from benchmarks.contest import Contestant, Course, hold
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

EVENT, MIX = "an event", "a mix"


def ask(course: Course) -> list[Row]:
    """Measure sealing and verifying."""
    contest = hold(
        course,
        [
            Contestant(
                name=name,
                target="benchmarks.contestants.sealing:sealed",
                arguments={"events": course.events, "is_mixed": name == MIX},
            )
            for name in (EVENT, MIX)
        ],
    )
    rows: list[Row] = []
    for name in (EVENT, MIX):
        rows += contest.row(name, to=None, label=f"sealing {name}", aim=Aim(most=0.5, of="value"))
        rows += contest.row(name, "bare_us", to=None, label=f"the journal without, {name}")
        rows += contest.row(
            name,
            "verified",
            to=None,
            label=f"verifying {name}",
            unit="M/s",
            better="higher",
            aim=Aim(least=0.5, of="value"),
        )
        rows += contest.row(
            name,
            "held",
            to=None,
            label=f"the seals of that alone, {name}",
            unit="M/s",
            better="higher",
        )
    return rows + contest.without()
