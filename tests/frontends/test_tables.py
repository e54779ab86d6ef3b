"""What people are shown: columns, money, ids, and what is wide on a terminal."""

from collections.abc import Callable

import click
import pytest

from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.terminal import cut, text_width
from eventbus.frontends.cli.wording import compact, money, short, span


def test_numbers_stand_to_the_right_and_ids_to_the_left() -> None:
    shown = table(
        ("id", "count", "took", "other"), [("a", 12_345, "1.5s", "8f3a"), ("b", 1, None, "9")]
    )

    assert shown.splitlines() == [
        "id   count  took  other",
        "a   12,345  1.5s  8f3a",
        "b        1     -  9",
    ]


def test_wide_characters_take_two_columns() -> None:
    assert table(("a", "b"), [("日本", "x"), ("abcd", "y")]).splitlines()[1:] == [
        "日本  x",
        "abcd  y",
    ]
    assert text_width("e\u0301") == 1
    assert cut("日本語", 4) == "日…"


def test_a_table_without_rows_is_its_head() -> None:
    assert table(("a", "b"), []) == "a  b"


def test_the_widest_columns_give_way_on_a_terminal(terminal: Callable[[int], None]) -> None:
    terminal(30)
    row = ("a" * 20, "b" * 20, "c" * 5)

    lines = click.unstyle(table(("a", "b", "c"), [row], gives_way=(0, 1))).splitlines()

    assert lines[1] == f"{'a' * 9}…  {'b' * 10}…  ccccc"


def test_colours_are_for_terminals(terminal: Callable[[int], None]) -> None:
    rows = [(Cell("x", fg="red"), Cell("«y»", has_mark=True))]
    plain = table(("a", "b"), rows)
    terminal(80)

    assert plain == "a  b\nx  «y»"
    assert table(("a", "b"), rows).splitlines()[1] == "\x1b[31mx\x1b[0m  \x1b[1my\x1b[0m"


def test_no_colours_are_shown_to_those_who_want_none(
    terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(80)
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in table(("a",), [(Cell("x", fg="red"),)], total=("total",))


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [
        ([1.5, 20.0], ["$1.50", "$20.00"]),
        ([0.012375, 1234.5], ["$0.0124", "$1,234.5000"]),
        ([0.00001], ["$0.000010"]),
        ([1e-9, 1.0], ["<$0.000001", "$1.000000"]),
        ([0.0, None, -0.5], ["$0.000", None, "-$0.500"]),
        ([], []),
    ],
)
def test_money_has_digits_enough(amounts: list[float | None], shown: list[str | None]) -> None:
    assert money(amounts) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(950, "950"), (12_345, "12.3k"), (4_560_000, "4.6M"), (7 * 10**9, "7.0G")]
)
def test_large_numbers_are_short_where_there_is_little_room(number: int, shown: str) -> None:
    assert compact(number) == shown


def test_long_ids_lose_their_middle() -> None:
    assert short("019ab3f2-7c10-7cc3-98c4-dc0c0c9c1c9d") == "019ab3…9c1c9d"
    assert short("session-of-monday") == "session-of-monday"
    assert short(None) is None


def test_a_span_never_goes_backwards() -> None:
    assert span("2026-11-20T12:00:00.000Z", "2026-11-20T13:30:00.000Z") == "1h 30m"
    assert span("2026-11-20T12:00:00.000Z", "2026-11-20T11:00:00.000Z") == "0ms"
