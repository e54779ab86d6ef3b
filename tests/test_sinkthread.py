"""Long work in parts, with turns for the other threads."""

import pytest

from eventbus import sinkthread
from eventbus.sinkthread import in_parts


def test_the_parts_are_the_whole_in_order() -> None:
    values = list(range(10))

    assert list(in_parts(values, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(in_parts(values, 10)) == [values]
    assert list(in_parts([], 4)) == []


class Time:
    """Stands in for the clock that turns are measured by; a pause takes what others take."""

    def __init__(self, *, others: float) -> None:
        self.now = 0.0
        self.others = others
        self.pauses: list[float] = []

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(self.now)
        self.now += seconds + self.others


def pauses(monkeypatch: pytest.MonkeyPatch, *, others: float) -> list[float]:
    """When there were pauses in ten milliseconds of work, counting the work alone."""
    clock = Time(others=others)
    monkeypatch.setattr(sinkthread, "time", clock)
    for _ in in_parts([0] * 100, 1):
        clock.now += 0.0001
    return clock.pauses


def test_others_get_a_turn_after_every_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 30 <= len(pauses(monkeypatch, others=0.00005)) <= 50


def test_where_others_take_long_turns_so_does_this_thread_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two threads that each wait for the other must not drive each other on."""
    assert 15 <= len(pauses(monkeypatch, others=0.005)) <= 20


def test_what_is_behind_comes_whole() -> None:
    values = list(range(10))

    assert list(in_parts(values, 4, behind=10)) == [values]
    assert list(in_parts(values, 4, behind=11)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
