"""`eventbus traces` draws tool calls on an axis of time."""

from collections.abc import Callable

import pytest

from eventbus.frontends.cli import exits
from tests.frontends.console import Ran, golden

Ask = Callable[..., Ran]


def test_tool_calls_are_drawn_in_the_order_they_began(ask: Ask) -> None:
    assert ask("traces", "--chat", "chat-1").out == golden("traces")


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        (("--session", "s-odd"), ["trace-5"]),
        (("--unfinished",), ["trace-4", "trace-5"]),
        (("--unfinished", "--session", "s-odd"), ["trace-5"]),
        (("-n", "2"), ["trace-1", "trace-2"]),
    ],
)
def test_tool_calls_are_listed_as_asked(ask: Ask, args: tuple[str, ...], ids: list[str]) -> None:
    assert [each["id"] for each in ask("traces", *args, "--json").json["items"]] == ids


def test_one_tool_call_is_shown_whole(ask: Ask) -> None:
    told = ask("traces", "trace-1")

    assert "outcome      success" in told.lines
    assert told.out.endswith('tool input:\n  {\n    "q": "weather"\n  }\n\ntool output:\n  sun\n')
    assert ask("traces", "trace-1", "--json").json["tool_input"] == {"q": "weather"}


def test_a_tool_call_nobody_knows_is_said_to_be(ask: Ask) -> None:
    told = ask("traces", "trace-0")

    assert told.code == exits.WRONG_USE
    assert told.err == (
        "eventbus: no tool trace 'trace-0' in the store; 'eventbus traces' lists them\n"
    )


def test_a_chat_has_no_list_of_the_unfinished(ask: Ask) -> None:
    assert ask("traces", "--unfinished", "--chat", "c").code == exits.WRONG_USE


def test_no_tools_name_commands_the_terminal(ask: Ask) -> None:
    told = ask("traces", "--session", "s-odd")

    assert "a\\u001b[2Jb\\nc\\u202ed\\u009b" in told.out
    assert told.out.count("\n") == 2
    assert "\\u001b" in ask("traces", "trace-5").out
