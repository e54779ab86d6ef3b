"""`eventbus timeline` tells a session's story, and pages through it both ways."""

from collections.abc import Callable

import pytest

from eventbus.frontends.cli import exits
from tests.frontends.console import Ran, golden
from tests.frontends.day import LONG_SESSION

Ask = Callable[..., Ran]


def test_a_session_is_told_from_its_beginning(ask: Ask) -> None:
    assert ask("timeline", "019ab3…9c1c9d").out == golden("timeline")


def test_pages_go_both_ways(ask: Ask) -> None:
    first = ask("timeline", LONG_SESSION, "-n", "5", "--json").json
    second = ask("timeline", LONG_SESSION, "-n", "5", "--next", first["next"], "--json").json
    back = ask("timeline", LONG_SESSION, "-n", "5", "--previous", second["previous"], "--json").json

    assert first["previous"] is None
    assert second["items"] != first["items"]
    assert back["items"] == first["items"]


def test_a_page_is_asked_for_around_an_event(ask: Ask) -> None:
    whole = ask("timeline", LONG_SESSION, "--all", "--json").json["items"]

    told = ask("timeline", "--around", whole[9]["id"], "-n", "4")
    page = ask("timeline", "--around", whole[9]["id"], "-n", "4", "--json").json

    assert page["items"] == whole[7:11]
    assert told.lines[-2].startswith("before these: --previous ")
    assert told.lines[-1].startswith("there are more: --all, or --next ")


def test_other_kinds_are_told_when_asked_for(ask: Ask) -> None:
    def kinds(*args: str) -> set[str]:
        return {each["kind"] for each in ask("timeline", *args, "--json").json["items"]}

    assert kinds("s-bob", "--kind", "session:*,worker:fail") == {
        "session:create",
        "session:end",
        "worker:fail",
    }
    assert "routing:decision" in kinds("s-bob", "--kind", "*")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((), "eventbus: say either which SESSION, or --around which EVENT"),
        (("s-bob", "--around", "x"), "eventbus: say either which SESSION"),
        (("s-none",), "eventbus: no session 's-none' in the store;"),
        (("--around", "x"), "eventbus: no event 'x' of a session in the store"),
        (("s-bob", "--kind", "*:error"), "eventbus: a timeline has no '*:error';"),
        (("s-bob", "--next", "a", "--previous", "b"), "eventbus: one page at a time"),
        (("--around", "x", "--next", "a"), "eventbus: --around is one page;"),
    ],
)
def test_wrong_use_is_told(ask: Ask, args: tuple[str, ...], sentence: str) -> None:
    told = ask("timeline", *args)

    assert told.code == exits.WRONG_USE
    assert told.err.startswith(sentence)


def test_no_title_commands_the_terminal(ask: Ask) -> None:
    told = ask("timeline", "s-odd")

    assert not set(told.out) & set("\x1b\x9b\u2028\u202e")
    assert "a\\u001b[2Jb" in told.out
