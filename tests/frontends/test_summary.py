"""`eventbus summary` says in few words what happened."""

from collections.abc import Callable

import pytest
import time_machine

from tests.frontends.console import Ran, golden
from tests.frontends.day import LONG_SESSION, at

Ask = Callable[..., Ran]


def test_what_happened_is_told_by_kind_with_errors_and_cost(ask: Ask) -> None:
    assert ask("summary", "--since", "2026-11-19T00:00Z").out == golden("summary")


def test_by_day_each_component_is_told_for_each(ask: Ask) -> None:
    told = ask("summary", "--since", "2026-11-19T00:00Z", "--by", "day")

    assert "2026-11-19       5\n2026-11-20      23\n" in told.out
    assert "2026-11-20  brain  " in told.out


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("topic", ["tool"]),
        ("component", ["brain"]),
        ("session", [LONG_SESSION]),
        ("hour", ["2026-11-20T12"]),
    ],
)
def test_events_are_counted_as_asked(ask: Ask, by: str, keys: list[str]) -> None:
    told = ask("summary", "--since", "2026-11-19", "--by", by, "-n", "1", "--json").json

    assert [each["key"] for each in told["counts"]] == keys


def test_without_a_time_it_is_the_last_day_that_is_told(ask: Ask) -> None:
    with time_machine.travel(at(3600)):
        told = ask("summary")

    assert told.lines[0] == "23 events since 2026-11-19 13:00 UTC"


def test_a_time_that_is_over_has_both_ends(ask: Ask) -> None:
    told = ask("summary", "--since", "2026-11-20T12:00Z", "--until", "2026-11-20T12:01Z")

    assert told.lines[0] == "19 events from 2026-11-20 12:00 to 2026-11-20 12:01 UTC"


def test_what_has_no_room_is_said(ask: Ask) -> None:
    told = ask("summary", "--since", "2026-11-19T00:00Z", "-n", "2")

    assert told.lines[5] == "... and 14 more; -n shows up to 200"


def test_nothing_in_it_commands_the_terminal(ask: Ask) -> None:
    told = ask("summary", "--since", "2026-11-19", "--by", "source")

    assert not set(told.out) & set("\x1b\x9b\u2028\u202e")
    assert "a\\u001b[2Jb" in told.out
