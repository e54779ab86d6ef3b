"""What moved between two runs, and what only wavered."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from benchmarks.compare import moves, moves_text
from benchmarks.figures import Answer, Report, Row, row, skipped
from tests.benchmarks.test_figures import MACHINE


def _report(*rows: Row) -> Report:
    return Report(MACHINE, 3, 1_000, [Answer("journal", "", list(rows))])


def _of(samples: Sequence[float]) -> Report:
    return _report(row("ours", samples))


def test_a_median_outside_the_other_rounds_has_moved() -> None:
    (move,) = moves(_of([1.0, 1.1, 1.2]), _of([1.5, 1.6, 1.7]))

    assert (move.before, move.now, move.verdict) == (1.1, 1.6, "worse")


@pytest.mark.parametrize("now", [[1.0, 1.15, 1.3], [0.9, 1.5, 1.6]])
def test_a_median_inside_either_rounds_has_not(now: list[float]) -> None:
    assert moves(_of([1.0, 1.1, 1.2]), _of(now)) == []


def test_more_is_better_where_the_row_says_so() -> None:
    before = _report(row("rate", [10.0, 11.0], unit="/s", better="higher"))
    now = _report(row("rate", [20.0, 21.0], unit="/s", better="higher"))

    assert [move.verdict for move in moves(before, now)] == ["better"]


def test_ratios_are_compared_where_there_are_some() -> None:
    # A machine half as quick: every value doubled, no ratio moved.
    before = _report(row("ours", [2.0, 2.1, 2.2], to=[1.0, 1.05, 1.1]))
    now = _report(row("ours", [4.0, 4.2, 4.4], to=[2.0, 2.1, 2.2]))

    assert moves(before, now) == []


def test_rows_of_only_one_run_are_left_out() -> None:
    before = _report(row("gone", [1.0]), skipped("peer", "peer is not installed"))
    now = _report(row("new", [1.0]), row("peer", [3.0]))

    assert moves(before, now) == []


def test_the_text_warns_when_the_runs_were_not_of_one_size() -> None:
    before, now = _of([1.0]), replace(_of([1.0]), events=2_000)

    assert "with 1,000 events" in moves_text(before, now)
    assert "warning" not in moves_text(before, before)


def test_the_text_says_when_nothing_moved() -> None:
    assert "nothing moved" in moves_text(_of([1.0, 1.2]), _of([1.0, 1.2]))


def test_the_text_names_what_moved_and_by_how_much() -> None:
    text = moves_text(_of([1.0, 1.0]), _of([1.5, 1.5]))

    assert "journal: ours" in text
    assert "+50%" in text
    assert "worse" in text
