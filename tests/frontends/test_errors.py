"""`eventbus errors` groups what went wrong, or lists it."""

from collections.abc import Callable

import pytest

from tests.frontends.console import Ran, golden
from tests.frontends.day import LONG_SESSION, STACK

Ask = Callable[..., Ran]


def test_errors_are_grouped_by_component_and_type(ask: Ask) -> None:
    assert ask("errors", "--component", "brain").out == golden("errors")


def test_each_group_has_a_sample_traceback(ask: Ask) -> None:
    told = ask("errors", "--component", "brain", "--traceback")

    shown = "".join(f"  {line}\n" for line in STACK.splitlines())
    assert told.out.endswith(f"\nbrain TimeoutError\n{shown}")


def test_groups_as_json_are_one_array(ask: Ask) -> None:
    groups = ask("errors", "--json").json

    assert (groups[0]["type"], groups[0]["count"]) == ("TimeoutError", 2)
    assert groups[0]["stack"] == STACK


@pytest.mark.parametrize(
    ("args", "messages"),
    [
        (("--list", "--component", "worker"), ["disk full"]),
        (("--type", "TimeoutError"), ["no answer in 5 s", "no answer in 30 s"]),
        (("--session", LONG_SESSION, "-n", "1"), ["overloaded"]),
        (("--list", "--until", "2026-11-20T12:00:51Z"), ["no answer in 30 s"]),
    ],
)
def test_errors_are_listed_newest_first(
    ask: Ask, args: tuple[str, ...], messages: list[str]
) -> None:
    assert [each["message"] for each in ask("errors", *args, "--json").json["items"]] == messages


def test_a_listed_error_has_its_traceback_when_asked(ask: Ask) -> None:
    lines = ask("errors", "--list", "--traceback", "--component", "brain").lines

    assert lines[1].split()[2:5] == ["brain", "ModelFailed", "-"]
    assert lines[-1] == "  TimeoutError: no answer in 30 s"


def test_no_errors_are_said_to_be_none(ask: Ask) -> None:
    assert ask("errors", "--since", "2030-01-01").out == "no errors\n"
    assert ask("errors", "--list", "--since", "2030-01-01").out == "no errors\n"


@pytest.mark.parametrize("form", [(), ("--list",), ("--json",), ("--list", "--json")])
def test_nothing_in_an_error_commands_the_terminal(ask: Ask, form: tuple[str, ...]) -> None:
    told = ask("errors", "--traceback", *form)

    assert not set(told.out) & set("\x1b\x9b\u2028\u202e")
    assert "a\\u001b[2Jb" in told.out
