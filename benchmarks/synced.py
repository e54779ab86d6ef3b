"""How well many share one sync: 100 producers that each await `until="synced"`
against one alone, and against a bare loop that writes and syncs each event.
"""

from benchmarks.contest import Contest, Contestant, Course, hold, ours
from benchmarks.figures import Aim, Row, row

__all__ = ["ask"]

MANY = 100
ALONE_PART, MANY_PART = 400, 10
"""Parts of the course's events: a sync each is slow, a shared one is not."""


def ask(course: Course) -> list[Row]:
    """Measure synced events a second."""
    few, many = course.events // ALONE_PART, course.events // MANY_PART
    contest = hold(
        course,
        (
            Contestant(name="limit", target="benchmarks.contestants.limit:sync_each", events=few),
            ours("1 producer", few, function="synced", producers=1),
            ours(f"{MANY} producers", many, function="synced", producers=MANY),
        ),
    )
    return [
        *_rate(contest, "limit", to=""),
        *_rate(contest, "1 producer", to="limit"),
        *_rate(contest, f"{MANY} producers", to="limit"),
        *_rate(contest, f"{MANY} producers", to="1 producer", aim=Aim(least=20)),
        *contest.without(),
    ]


def _rate(contest: Contest, name: str, *, to: str, aim: Aim | None = None) -> list[Row]:
    rates = [1e6 / us for us in contest.of(name)]
    base = [1e6 / us for us in contest.of(to)]
    label = f"{name}, beside {to}" if to else f"{name}, a sync each"
    if not rates:
        return []
    return [row(label, rates, unit="/s", to=base, base=to, aim=aim, better="higher")]
