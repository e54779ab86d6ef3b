"""What the worst calls and the app's loop feel at 20,000 events a second: the
99.9th percentile of constructing and emitting, and how late the loop's own
timers come, with every file sink and with the store besides, against the same
loop with no recorder.
"""

from collections.abc import Sequence

from benchmarks.contest import Contest, Contestant, Course, hold
from benchmarks.figures import Aim, Row
from eventbus.settings import DEFAULT_LANES

__all__ = ["ask"]

PER_SECOND = 20_000
NONE, FILES, DEFAULT = "no recorder", "file sinks", "default sinks"
FILE_LANES = tuple(lane for lane in DEFAULT_LANES if lane != "sqlite")


def ask(course: Course) -> list[Row]:
    """Measure calls and timers at a steady pace."""
    contest = hold(
        course,
        (
            _steady(course, NONE, None),
            _steady(course, FILES, FILE_LANES),
            _steady(course, DEFAULT, DEFAULT_LANES),
        ),
    )
    rows: list[Row] = []
    for name in (NONE, FILES, DEFAULT):
        rows += _calls(contest, name)
    for name in (NONE, FILES, DEFAULT):
        rows += _lateness(contest, name)
    return rows + _bound(contest) + contest.without()


def _steady(course: Course, name: str, sinks: Sequence[str] | None) -> Contestant:
    return Contestant(
        name=name,
        target="benchmarks.contestants.calls:steady",
        arguments={"per_second": PER_SECOND, "seconds": course.seconds, "sinks": sinks},
    )


def _calls(contest: Contest, name: str) -> list[Row]:
    return contest.row(
        name,
        "p999_us",
        label=f"call p99.9, {name}",
        to=(NONE, "p999_us"),
        base=NONE,
        aim=Aim(most=1.5) if name != NONE else None,
    )


def _lateness(contest: Contest, name: str) -> list[Row]:
    return contest.row(
        name,
        "late_p99_ms",
        label=f"loop lateness p99, {name}",
        unit="ms",
        to=(NONE, "late_p99_ms"),
        base=NONE,
        aim=Aim(most=2) if name != NONE else None,
    )


def _bound(contest: Contest) -> list[Row]:
    return contest.row(
        DEFAULT,
        "late_p99_ms",
        label=f"loop lateness p99, {DEFAULT}, as such",
        unit="ms",
        to=None,
        aim=Aim(most=5, of="value"),
    )
