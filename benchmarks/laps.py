"""What a contestant counts through: taking the first number starts the clock."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns, process_time_ns

from benchmarks.figures import percentile

__all__ = ["MARK", "CallLaps", "Laps", "kept"]

MARK = b'"call_id":'
"""Stands once in every recorded event, whoever recorded it."""


class Laps:
    """Times the whole: from the first event until all of them are on disk."""

    def __init__(self, events: int) -> None:
        self.events = events
        self._began = self._ended = (0, 0)

    def __iter__(self) -> Iterator[int]:
        self._began = _now()
        return iter(range(self.events))

    def finish(self) -> None:
        """Stop the clock; for those who tidy up after everything is on disk."""
        if self._ended == (0, 0):
            self._ended = _now()

    def figures(self) -> dict[str, float]:
        """Microseconds an event, by the wall and by the processor."""
        wall, cpu = (end - begin for end, begin in zip(self._ended, self._began, strict=True))
        return {"us": wall / self.events / 1e3, "cpu_us": cpu / self.events / 1e3}


class CallLaps(Laps):
    """Times each turn of the contestant's loop instead: construct and hand over."""

    def __init__(self, events: int) -> None:
        super().__init__(events)
        self._marks = array("q")

    def __iter__(self) -> Iterator[int]:
        mark = self._marks.append
        for number in super().__iter__():
            mark(perf_counter_ns())
            yield number
        mark(perf_counter_ns())

    def figures(self) -> dict[str, float]:
        """The middle and the worst thousandth of the turns, in microseconds."""
        turns = [
            after - before for before, after in zip(self._marks, self._marks[1:], strict=False)
        ]
        return {"p50_us": percentile(turns, 0.5) / 1e3, "p999_us": percentile(turns, 0.999) / 1e3}


def kept(directory: Path, pattern: str) -> int:
    """How many events the files hold, whatever wrapped them."""
    files = (path for path in directory.glob(pattern) if path.is_file())
    return sum(path.read_bytes().count(MARK) for path in files)


def _now() -> tuple[int, int]:
    return perf_counter_ns(), process_time_ns()
