"""`eventbus search` finds what the store finds, and shows it inert."""

from collections.abc import Callable

import pytest

from eventbus.frontends.cli import exits
from tests.frontends.console import Ran

Ask = Callable[..., Ran]


def test_found_events_are_shown_newest_first_with_the_word_marked(ask: Ask) -> None:
    assert ask("search", "answer", "in", "--kind", "error:*").lines == [
        "time (UTC)           kind        source  message",
        "2026-11-20 12:00:55  error:tool  brain   TimeoutError: no «answer» in 5 s",
        "2026-11-20 12:00:50  error:tool  brain   TimeoutError: no «answer» in 30 s",
    ]


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        (("disk",), ["disk:watch", "worker:fail"]),
        (("disk", "full"), ["worker:fail"]),
        (("time*", "--component", "brain", "-n", "1"), ["error:tool"]),
        (("--session", "s-bob", "--kind", "session:*"), ["session:end", "session:create"]),
        (("--until", "2026-11-19T12:00:01Z"), ["session:create"]),
        (("--since", "2026-11-20T12:01:43Z"), ["disk:watch"]),
    ],
)
def test_events_are_found_by_what_is_asked(
    ask: Ask, args: tuple[str, ...], kinds: list[str]
) -> None:
    page = ask("search", *args, "--json").json

    assert [found["kind"] for found in page["items"]] == kinds


def test_nothing_found_ends_as_greps_does(ask: Ask) -> None:
    told = ask("search", "unheard_of")

    assert (told.code, told.out) == (exits.FINDING, "no events\n")
    assert ask("search", "unheard_of", "--json").json["items"] == []


def test_pages_are_walked_by_their_cursors_or_all_at_once(ask: Ask) -> None:
    walked, cursor = [], None
    while True:
        page = ask("search", "-n", "7", *(["--next", cursor] if cursor else []), "--json").json
        walked += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    at_once = ask("search", "--all", "--json").json["items"]

    assert len(walked) > 21
    assert walked == at_once


def test_that_there_are_more_is_said(ask: Ask) -> None:
    told = ask("search", "-n", "2")

    assert told.lines[-1].startswith("there are more: --all, or --next ")
    cursor = told.lines[-1].rpartition(" ")[2]
    assert ask("search", "-n", "2", "--next", cursor).lines[1] != told.lines[1]


def test_a_cursor_nobody_gave_is_refused(ask: Ask) -> None:
    told = ask("search", "--next", "nonsense!")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith("eventbus: no page begins at 'nonsense!'")


def test_the_word_is_bold_on_a_terminal(ask: Ask, terminal: Callable[[int], None]) -> None:
    terminal(100)

    [_, line] = ask("search", "disk", "full").lines

    assert "\x1b[1mdisk\x1b[0m full" in line
    assert "«" not in line


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_that_is_found_commands_the_terminal(ask: Ask, form: tuple[str, ...]) -> None:
    told = ask("search", "--since", "2026-11-20T12:01:40Z", "--all", *form)

    assert not set(told.out) & set("\x1b\x9b\u2028\u202e")
    assert "a\\u001b[2Jb" in told.out
    assert told.out.count("\n") == (1 if form else 5)
