"""Rounds of contestants, each in a process of its own."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.contest import Contestant, Course, hold, limit

EVENTS = 50


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(
        directory=tmp_path, rounds=1, events=EVENTS, seconds=0.1, tell=lambda part, doing: None
    )


def _runner(function: str, *, events: int = EVENTS, is_peer: bool = False) -> Contestant:
    return Contestant(
        name=function,
        target=f"tests.benchmarks.runners:{function}",
        events=events,
        is_peer=is_peer,
    )


def test_the_limit_runs_and_keeps_every_event(course: Course) -> None:
    contest = hold(course, [limit(EVENTS)])

    (us,) = contest.of("limit")
    assert 0 < us < 100_000
    assert contest.without() == []


def test_contestants_take_turns_and_each_round_begins_with_another(course: Course) -> None:
    turns: list[str] = []
    told = replace(
        course, rounds=2, tell=lambda part, doing: turns.append(doing.rpartition(" ")[2])
    )

    contest = hold(told, [_runner("honest"), limit(EVENTS)])

    assert turns == ["honest", "limit", "limit", "honest"]
    assert [len(contest.of(name)) for name in ("honest", "limit")] == [2, 2]


def test_a_contestant_that_loses_an_event_has_failed(course: Course) -> None:
    (failed,) = hold(course, [_runner("forgetful")]).without()

    assert failed.is_failure
    assert f"kept {EVENTS - 1} events of {EVENTS}" in failed.reason


def test_a_peer_that_is_not_installed_is_skipped_with_the_reason(course: Course) -> None:
    (skipped,) = hold(course, [_runner("unfed", is_peer=True)]).without()

    assert skipped.reason == "no_such_package is not installed"
    assert not skipped.is_failure


def test_what_broke_is_named_once_and_not_tried_again(course: Course) -> None:
    contest = hold(replace(course, rounds=3), [_runner("broken")])

    assert [row.reason for row in contest.without()] == ["OSError: the disk is gone"]
    assert contest.of("broken") == []


def test_what_a_contestant_prints_is_not_taken_for_figures(course: Course) -> None:
    contest = hold(course, [_runner("chatty", events=0)])

    assert contest.of("chatty", "ms") == [1.5]


def test_nothing_is_left_on_the_disk(course: Course) -> None:
    hold(course, [_runner("honest"), _runner("broken")])

    assert list(course.directory.iterdir()) == []
