"""How soon a written file is told, what watching costs while nothing happens, and
how much is told of a burst into nested directories: ours, by default and quick,
beside watchfiles and watchdog as they are.
"""

from typing import Any

from benchmarks.contest import Contest, Contestant, Course, hold
from benchmarks.figures import Aim, Row

__all__ = ["ask"]

DEFAULT, QUICK, NONE, BESIDE = "default", "quick", "none", "resident"
LIBRARIES = ("watchfiles", "watchdog")
IDLE_MOST_PERCENT, LONGEST_MS = 0.5, 250
SOON_MS = {DEFAULT: 100, QUICK: 30}
FILES, BURST = 40, 10_000
QUICK_FILES, QUICK_BURST = 5, 500
IDLE_S = 5.0


def ask(course: Course) -> list[Row]:
    """Measure soonness, idling and completeness."""
    files, burst = (QUICK_FILES, QUICK_BURST) if course.is_quick else (FILES, BURST)
    seconds = min(course.seconds, IDLE_S) if course.is_quick else IDLE_S
    contest = hold(
        course,
        [
            *(_one("latency", how, files=files) for how in (DEFAULT, QUICK, *LIBRARIES)),
            *(_one("idle", how, seconds=seconds) for how in (NONE, DEFAULT, QUICK, *LIBRARIES)),
            *(_one("burst", how, files=burst) for how in (NONE, BESIDE, DEFAULT, *LIBRARIES)),
        ],
    )
    return [
        *_latency(contest),
        *_idle(contest),
        *_burst(contest, burst),
        *contest.without(),
    ]


def _one(function: str, how: str, **arguments: float) -> Contestant:
    return Contestant(
        name=f"{function}, {how}",
        target=f"benchmarks.contestants.watching:{function}",
        arguments={"how": how, **arguments},
        is_peer=how in LIBRARIES,
    )


def _latency(contest: Contest) -> list[Row]:
    rows: list[Row] = []
    for figure, label in (("p50_ms", "told, p50"), ("p99_ms", "told, p99")):
        for how in (DEFAULT, QUICK, *LIBRARIES):
            most = SOON_MS.get(how) if figure == "p50_ms" else LONGEST_MS
            is_ours = how not in LIBRARIES
            rows += contest.row(
                f"latency, {how}",
                figure,
                label=f"{label}, {how}",
                unit="ms",
                to=None,
                aim=Aim(most=most, of="value") if is_ours else None,
            )
    return rows


def _idle(contest: Contest) -> list[Row]:
    rows: list[Row] = []
    for how in (NONE, DEFAULT, QUICK, *LIBRARIES):
        rows += contest.row(
            f"idle, {how}",
            "percent",
            label=f"1,000 directories, idle, {how}",
            unit="% CPU",
            to=None,
            aim=Aim(most=IDLE_MOST_PERCENT, of="value") if how == DEFAULT else None,
        )
    return rows


def _burst(contest: Contest, files: int) -> list[Row]:
    rows: list[Row] = []
    for how in (BESIDE, DEFAULT, *LIBRARIES):
        rows += contest.row(
            f"burst, {how}",
            "told_percent",
            label=f"{files:,} nested files told, {how}",
            unit="%",
            to=None,
            aim=Aim(least=100, of="value") if how not in LIBRARIES else None,
            better="higher",
        )
    rows += contest.row(
        f"burst, {DEFAULT}", "after_ms", label="all of them told after", unit="ms", to=None
    )
    late: dict[str, Any] = {"figure": "late_p99_ms", "unit": "ms"}
    label = "loop lateness p99 meanwhile"
    beside: dict[str, Any] = {"to": (f"burst, {NONE}", "late_p99_ms"), "base": "nobody watches"}
    rows += contest.row(f"burst, {NONE}", label=f"{label}, {NONE}", to=None, **late)
    rows += contest.row(
        f"burst, {BESIDE}", label=f"{label}, {BESIDE}", aim=Aim(most=2), **late, **beside
    )
    rows += contest.row(f"burst, {DEFAULT}", label=f"{label}, in the process", **late, **beside)
    return rows
