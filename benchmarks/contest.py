"""Rounds of contestants, each alone in a fresh process, one after another."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks.child import Errand
from benchmarks.figures import Row, row, skipped

__all__ = ["Contest", "Contestant", "Course", "hold", "limit", "ours"]

CHILD_SECONDS = 900
SWAYING = ("EVENTBUS_", "LOG_", "PYTHONDONTWRITEBYTECODE")
"""Variables that contestants do without: an installed package is compiled, for one."""
ROOT = Path(__file__).parent.parent
MISSING = "ModuleNotFoundError: No module named "


class Contestant(msgspec.Struct, frozen=True, kw_only=True):
    """One way to do the work."""

    name: str
    target: str
    events: int = 0
    calls: bool = False
    files: str = "*"
    arguments: dict[str, Any] = {}
    is_peer: bool = False
    """A peer may be missing; what is ours may not."""


def limit(events: int) -> Contestant:
    """The bare loop."""
    return Contestant(name="limit", target="benchmarks.contestants.limit:whole", events=events)


def ours(name: str, events: int, *, function: str = "emit", **arguments: Any) -> Contestant:
    """Our bus; every event must stand in the journal afterwards."""
    return Contestant(
        name=name,
        target=f"benchmarks.contestants.ours:{function}",
        events=events,
        files="state/journal/*.jsonl",
        arguments=arguments,
    )


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How much is run, and where."""

    directory: Path
    rounds: int
    events: int
    """The most events a contestant of the quick kind counts through."""
    seconds: float
    """How long a paced run lasts."""
    is_quick: bool = False
    """Leave out what takes long and says little more."""
    tell: Callable[[float, str], None]
    """Hears what part of the question is done, and what comes now."""


class Contest:
    """What came of the rounds: figures by contestant, reasons for those without."""

    def __init__(self, contestants: Sequence[Contestant]) -> None:
        self.contestants = tuple(contestants)
        self._figures: dict[str, list[dict[str, float]]] = {}
        self._reasons: dict[str, str] = {}

    def of(self, name: str, figure: str = "us") -> list[float]:
        """One figure of a contestant, round by round; empty if it could not run."""
        if name in self._reasons:
            return []
        return [figures[figure] for figures in self._figures.get(name, ())]

    def row(
        self,
        name: str,
        figure: str = "us",
        *,
        label: str = "",
        to: tuple[str, str] | None = ("limit", "us"),
        **rest: Any,
    ) -> list[Row]:
        """The row of one figure against another's; none if it could not run."""
        samples = self.of(name, figure)
        base = self.of(*to) if to else []
        return [row(label or name, samples, to=base, **rest)] if samples else []

    def without(self) -> list[Row]:
        """A row with the reason for each that could not run."""
        return [
            skipped(one.name, self._reasons[one.name], is_failure=not one.is_peer)
            for one in self.contestants
            if one.name in self._reasons
        ]

    def run(self, one: Contestant, directory: Path) -> None:
        """Give a contestant its turn, unless it has failed before."""
        if one.name in self._reasons:
            return
        figures, reason = _send(one, directory)
        if reason:
            self._reasons[one.name] = reason
        else:
            self._figures.setdefault(one.name, []).append(figures)


def hold(course: Course, contestants: Sequence[Contestant]) -> Contest:
    """Run every contestant once a round, each round beginning with another."""
    contest = Contest(contestants)
    for turn in range(course.rounds):
        first = turn % len(contestants)
        for place, one in enumerate((*contestants[first:], *contestants[:first])):
            part = (turn + place / len(contestants)) / course.rounds
            course.tell(part, f"round {turn + 1} of {course.rounds} · {one.name}")
            with TemporaryDirectory(dir=course.directory) as directory:
                contest.run(one, Path(directory))
    return contest


def _send(one: Contestant, directory: Path) -> tuple[dict[str, float], str]:
    """The figures of one turn, or the reason why there are none."""
    errand = Errand(
        target=one.target,
        directory=str(directory),
        events=one.events,
        calls=one.calls,
        files=one.files,
        arguments=one.arguments,
    )
    argv = [sys.executable, "-m", "benchmarks.child", msgspec.json.encode(errand).decode()]
    try:
        ended = subprocess.run(
            argv, env=_environment(), capture_output=True, timeout=CHILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {}, f"did not end within {CHILD_SECONDS} s"
    if ended.returncode:
        return {}, _last_words(ended.stderr)
    figures = msgspec.json.decode(ended.stdout.rpartition(b"\n{")[2].join((b"{", b"")))
    return figures, ""


def _environment() -> dict[str, str]:
    """Ours, with the project found first and nothing that would change the outcome."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(SWAYING)}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return plain | {"PYTHONPATH": path}


def _last_words(stderr: bytes) -> str:
    words = stderr.decode(errors="replace").strip().rpartition("\n")[2] or "died without a word"
    if words.startswith(MISSING):
        return f"{words.removeprefix(MISSING).strip(chr(39))} is not installed"
    return words[:200]
