"""`eventbus limits` tells who is near, from the store and the journal."""

from collections.abc import Iterator

import pytest
import time_machine

from eventbus.bus import EventBus
from eventbus.events import ModelAnswered
from eventbus.frontends.cli import exits
from eventbus.scope import Scope
from tests.frontends.console import Here, golden
from tests.frontends.day import NOON, at

SETTINGS = """
[cost_limits]
daily = 0.01
monthly = 1.0
daily_tokens = 12000
[cost_limits.users.bob]
monthly = 5.0
[cost_limits.all]
daily = 0.015
"""


@pytest.fixture
def limited(here: Here) -> Iterator[Here]:
    """A journal that nobody has landed, and limits, at that day's time."""
    with EventBus(here.state, serve="never") as bus:
        for user, cost in (("ann", 0.012375), ("bob", 0.5), ("\x1b[2J", None)):
            scope = Scope(user=user)
            bus.emit_nowait(ModelAnswered(model="m", cost=cost, ts=at(0), scope=scope))
        yesterday = at(0, day=19)
        bus.emit_nowait(ModelAnswered(model="m", cost=0.5, ts=yesterday, scope=Scope(user="ann")))
    (here.directory / "eventbus.toml").write_text(SETTINGS)
    with time_machine.travel(NOON, tick=False):
        yield here


def test_those_nearest_to_their_limit_come_first(limited: Here) -> None:
    assert limited("limits").out == golden("limits")


def test_one_user_is_shown_as_json(limited: Here) -> None:
    [monthly] = limited("limits", "--user", "bob", "--json").json

    assert (monthly["window"], monthly["spent"], monthly["limit"]) == ("monthly", 0.5, 5.0)
    assert (monthly["state"], monthly["resets_at"]) == ("free", "2026-12-01T00:00:00Z")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--check",), exits.FINDING),
        (("--check", "--json"), exits.FINDING),
        (("--check", "--user", "ann"), exits.FINDING),
        (("--check", "--user", "bob"), exits.OK),
        ((), exits.OK),
    ],
)
def test_the_exit_code_says_whether_a_limit_is_reached_when_asked(
    limited: Here, args: tuple[str, ...], code: int
) -> None:
    assert limited("limits", *args).code == code


def test_a_window_that_has_ended_is_no_longer_held_against_anybody(limited: Here) -> None:
    with time_machine.travel(at(0, day=21)):
        assert limited("limits", "--check").code == exits.OK


def test_no_limits_are_said_to_be_none(limited: Here) -> None:
    (limited.directory / "eventbus.toml").unlink()

    assert (
        limited("limits").out == "no cost limit is set; [cost_limits] in eventbus.toml sets them\n"
    )
    assert limited("limits", "--json").json == []


def test_a_user_nobody_limits_is_said(limited: Here) -> None:
    assert limited("limits", "--user", "eve").out.startswith("nobody whom a limit holds for")


def test_limits_need_a_state_directory(here: Here) -> None:
    assert here("limits").err.startswith("eventbus: no state directory ")
