"""Reports as text."""

from benchmarks.figures import Aim, Answer, Report, row, skipped
from benchmarks.table import aims_line, answer_text, header_text, number
from tests.benchmarks.test_figures import MACHINE


def test_a_table_lines_up() -> None:
    rows = [row("limit", [1.0]), row("a longer name", [12.5], to=[1.0], aim=Aim(most=1.7))]

    lines = answer_text(Answer("journal", "", rows)).split("\n")[2:]

    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1


def test_a_row_shows_its_ratio_its_aim_and_whether_it_was_met() -> None:
    rows = [row("ours", [1.5], to=[1.0], base="own thread", aim=Aim(most=1.7))]

    text = answer_text(Answer("threads", "", rows))

    assert "1.50 × own thread" in text
    assert "≤ 1.7 ×" in text
    assert "yes" in text


def test_what_was_skipped_says_why() -> None:
    rows = [skipped("bubus", "bubus is not installed"), skipped("ours", "lost 3", is_failure=True)]

    text = answer_text(Answer("peers", "", rows))

    assert "skipped: bubus: bubus is not installed" in text
    assert "failed: ours: lost 3" in text


def test_the_last_line_counts_the_aims_and_names_the_missed() -> None:
    rows = [
        row("good", [1.0], aim=Aim(most=2, of="value")),
        row("bad", [3.0], aim=Aim(most=2, of="value")),
        row("free", [3.0]),
    ]

    assert aims_line([Answer("emit", "", rows)]) == "1 of 2 aims met; not: emit: bad"


def test_the_header_says_where_it_was_measured_and_nothing_else_when_quiet() -> None:
    text = header_text(Report(MACHINE, 7, 200_000, []))

    assert "ext4" in text
    assert "7 rounds" in text
    assert "warning" not in text


def test_numbers_keep_three_figures() -> None:
    assert [number(value) for value in (0.346, 12.34, 1234.5)] == ["0.35", "12.3", "1,234"]
