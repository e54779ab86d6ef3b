"""What waiting events weigh: resident memory an event in the inbox while the disk
takes nothing, beside the same events in a plain list; and what a sink that
stalls for good adds to the process's peak, beside one that keeps up.
"""

from benchmarks.contest import Contest, Contestant, Course, hold
from benchmarks.figures import Aim, Row, row

__all__ = ["ask"]

WAITING_MOST = 50_000
"""Below what `emit_nowait` has room for."""
STALLED_TIMES = 5
"""A million events on the full course."""


def ask(course: Course) -> list[Row]:
    """Measure memory."""
    waiting, past = min(WAITING_MOST, course.events), course.events * STALLED_TIMES
    contest = hold(
        course,
        (
            _weighed("plain list", waiting),
            _weighed("inbox", waiting),
            _stalled("sink that keeps up", past, stalls=False),
            _stalled("sink that stalls", past, stalls=True),
        ),
    )
    return [
        *contest.row("plain list", "bytes", unit="B", to=None),
        *contest.row(
            "inbox",
            "bytes",
            label=f"inbox, each of {waiting:,} waiting",
            unit="B",
            to=("plain list", "bytes"),
            base="plain list",
            aim=Aim(most=600, of="value"),
        ),
        *contest.row("sink that keeps up", "peak_mib", unit="MiB", to=None),
        *contest.row("sink that stalls", "peak_mib", unit="MiB", to=None),
        *_added(contest, past),
        *contest.without(),
    ]


def _weighed(name: str, events: int) -> Contestant:
    function = "inbox" if name == "inbox" else "plain_list"
    return Contestant(
        name=name, target=f"benchmarks.contestants.waiting:{function}", arguments={"events": events}
    )


def _stalled(name: str, events: int, *, stalls: bool) -> Contestant:
    return Contestant(
        name=name,
        target="benchmarks.contestants.waiting:stalled",
        arguments={"events": events, "stalls": stalls},
    )


def _added(contest: Contest, events: int) -> list[Row]:
    swift = contest.of("sink that keeps up", "peak_mib")
    stalled = contest.of("sink that stalls", "peak_mib")
    added = [most - usual for most, usual in zip(stalled, swift, strict=False)]
    label = f"added by a stall of {events:,} events"
    return [row(label, added, unit="MiB", aim=Aim(most=64, of="value"))] if added else []
