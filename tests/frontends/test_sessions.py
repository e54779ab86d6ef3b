"""`eventbus sessions` lists the runs of agents, and tells of one."""

from collections.abc import Callable

import pytest

from eventbus.frontends.cli import exits
from tests.frontends.console import Ran, golden
from tests.frontends.day import LONG_SESSION

Ask = Callable[..., Ran]


def test_sessions_are_listed_newest_first(ask: Ask) -> None:
    assert ask("sessions").out == golden("sessions")


def test_a_session_is_shown_with_its_cost_tasks_and_tools(ask: Ask) -> None:
    assert ask("sessions", LONG_SESSION).out == golden("session")


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        (("--user", "ann"), [LONG_SESSION]),
        (("--tool", "claude-code"), ["s-bob"]),
        (("--persona", "planner"), [LONG_SESSION]),
        (("--since", "2026-11-20T12:01Z"), ["s-odd"]),
        (("--until", "2026-11-20"), ["s-bob"]),
        (("-n", "1"), ["s-odd"]),
    ],
)
def test_sessions_are_listed_as_asked(ask: Ask, args: tuple[str, ...], ids: list[str]) -> None:
    assert [each["id"] for each in ask("sessions", *args, "--json").json["items"]] == ids


@pytest.mark.parametrize("written", [LONG_SESSION, "019ab3…9c1c9d", "...1c9d", "019a.."])
def test_a_session_is_shown_by_its_id_or_how_the_list_has_it(ask: Ask, written: str) -> None:
    told = ask("sessions", written)

    assert told.lines[0].split() == ["id", LONG_SESSION]
    assert "claude-sonnet-4-5      1" in told.out
    assert "search_web" in told.out


def test_a_session_as_json_has_what_came_of_it(ask: Ask) -> None:
    told = ask("sessions", LONG_SESSION, "--json").json

    assert told["session"]["cli_tool"] == "mcp"
    assert told["usage"]["totals"]["cost_nanos"] == 12_375_000
    assert [each["tool_name"] for each in told["traces"]] == [
        "search_web",
        "read_file",
        "fetch",
        "deploy",
    ]


def test_an_id_that_is_like_several_is_refused(ask: Ask) -> None:
    told = ask("sessions", "s-..")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith("eventbus: 2 sessions are like 's-..'; write one whole")


def test_a_session_nobody_knows_is_said_to_be(ask: Ask) -> None:
    told = ask("sessions", "s-none")

    assert (told.code, told.out) == (exits.WRONG_USE, "")
    assert told.err.startswith("eventbus: no session 's-none' in the store;")
