"""What starting costs: `import eventbus` against `import asyncio, msgspec`, each in
fresh interpreters and less what an interpreter takes that imports nothing; and
the first line of `eventbus tail`.
"""

from benchmarks.contest import Contest, Contestant, Course, hold
from benchmarks.figures import Aim, Row, row

__all__ = ["ask"]

BARE, BASE, OURS, TAIL = "bare interpreter", "import asyncio, msgspec", "import eventbus", "tail"
TAILED_PART = 20


def ask(course: Course) -> list[Row]:
    """Measure fresh processes."""
    times = 3 if course.is_quick else 7
    contest = hold(
        course,
        (
            *(
                _fresh(name, code, times)
                for name, code in ((BARE, "pass"), (BASE, BASE), (OURS, OURS))
            ),
            Contestant(
                name=TAIL,
                target="benchmarks.contestants.starting:tail",
                arguments={"events": course.events // TAILED_PART},
            ),
        ),
    )
    return [
        *contest.row(BARE, "ms", unit="ms", to=None),
        *contest.row(BASE, "ms", unit="ms", to=None),
        *contest.row(
            OURS,
            "ms",
            unit="ms",
            to=(BASE, "ms"),
            base=BASE,
        ),
        *_beyond(contest),
        *contest.row(
            TAIL,
            "ms",
            label="eventbus tail, first line",
            unit="ms",
            to=None,
            aim=Aim(most=250, of="value"),
        ),
        *contest.without(),
    ]


def _fresh(name: str, code: str, times: int) -> Contestant:
    return Contestant(
        name=name,
        target="benchmarks.contestants.starting:fresh",
        arguments={"code": code, "times": times},
    )


def _beyond(contest: Contest) -> list[Row]:
    """Both imports less the bare interpreter, round by round."""
    bare, base, ours = (contest.of(name, "ms") for name in (BARE, BASE, OURS))
    if not ours:
        return []
    return [
        row(
            f"{OURS}, beyond the bare interpreter",
            _less(ours, bare),
            unit="ms",
            to=_less(base, bare),
            base=BASE,
            aim=Aim(most=1),
        )
    ]


def _less(samples: list[float], bare: list[float]) -> list[float]:
    return [sample - floor for sample, floor in zip(samples, bare, strict=True)]
