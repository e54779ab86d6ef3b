"""The page of promises says what the tests hold, and names what they do not."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.generate_reliability_page import (
    KEPT,
    LATER,
    PAGE,
    ROOT,
    TESTS,
    Kept,
    counts_in,
    named_tests,
    page,
    read_kept,
    statements,
    write_kept,
)

PROMISED = [f"R{number}" for number in (*range(1, 22), *range(23, 27))]
NOT_YET = ["R22"]
FILES = sorted(TESTS.glob("test_*.py"))
TEST = "tests/reliability/test_r01_kill.py::" + named_tests(TESTS / "test_r01_kill.py")[0]


def kept(**other: object) -> Kept:
    known = {"outcome": "passed", "seconds": 1.0, "day": "2026-01-02", "machine": "Linux"}
    return Kept(**{**known, **other})  # type: ignore[arg-type]


def row_of(test: str, runs: dict[str, Kept]) -> str:
    name = f"`{test.partition('[')[0].rpartition('::')[2]}`"
    (row,) = (line for line in page(runs).splitlines() if name in line)
    return row


# --- the page as it is ----------------------------------------------------------------


def test_the_page_of_promises_is_up_to_date() -> None:
    """After a change that is meant: python -m scripts.generate_reliability_page"""
    assert page(read_kept(KEPT)) == PAGE.read_text()


def test_every_promise_is_held_by_a_test_file() -> None:
    assert [statement.name for statement in statements()] == PROMISED


def test_the_page_names_every_statement() -> None:
    written = PAGE.read_text()

    for statement in statements():
        assert f"| [{statement.name}](#{statement.name.lower()}) | {statement.text} |" in written
        assert f"\n## {statement.name}\n" in written


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_page_names_every_test_that_is_there(file: Path) -> None:
    written = PAGE.read_text()

    assert f"](../tests/reliability/{file.name})" in written
    assert named_tests(file)
    for test in named_tests(file):
        assert f"| `{test}` |" in written


def test_the_page_names_no_test_that_is_not_there() -> None:
    written = PAGE.read_text()
    tests = {test for file in FILES for test in named_tests(file)}

    assert set(_words(written, "](../tests/reliability/", ")")) == {file.name for file in FILES}
    assert set(_words(written, "| `", "` |")) == tests


def _words(text: str, before: str, after: str) -> list[str]:
    return [part.partition(after)[0] for part in text.split(before)[1:]]


def test_what_belongs_to_later_parts_is_named_as_not_yet_promised() -> None:
    later = PAGE.read_text().partition("## Not yet promised")[2]

    assert list(LATER) == NOT_YET
    for name, text in LATER.items():
        assert f"| {name} | {text} |" in later


def test_every_test_on_the_page_has_been_run() -> None:
    assert "not run yet" not in PAGE.read_text()


# --- how it is made -------------------------------------------------------------------


def test_a_test_shows_its_figure() -> None:
    assert "| passed; 500 kills: 0 lost |" in row_of(TEST, {TEST: kept(figure="500 kills: 0 lost")})


def test_a_test_that_was_not_run_says_so() -> None:
    assert "| not run yet |" in row_of(TEST, {})


def test_a_test_that_was_skipped_says_why() -> None:
    skipped = kept(outcome="skipped", reason="no loop mount here")

    assert "| skipped: no loop mount here |" in row_of(TEST, {TEST: skipped})


def test_what_is_known_not_to_hold_is_told() -> None:
    broken = kept(outcome="broken", reason="a short write is taken for a whole one")

    assert "| **does not hold yet**: a short write is" in row_of(TEST, {TEST: broken})


def test_a_test_that_failed_in_one_case_has_failed() -> None:
    runs = {f"{TEST}[one]": kept(), f"{TEST}[two]": kept(outcome="failed")}

    assert "| **failed**: 1 of 2 |" in row_of(TEST, runs)


def test_a_statement_whose_test_failed_does_not_show_a_figure() -> None:
    runs = {TEST: kept(outcome="failed", figure="500 kills: 0 lost")}

    (row,) = (line for line in page(runs).splitlines() if line.startswith("| [R1](#r1)"))

    assert "**failed**" in row
    assert "0 lost" not in row


def test_counts_are_shown_with_the_one_run_last() -> None:
    written = page({TEST: kept(counts={"KILLS": 50})})

    assert "- Kills: 500 in CI, 20,000 in the long form, 50 when run last.\n" in written
    assert "- Run on 2026-01-02: Linux.\n" in written


def test_counts_are_read_from_the_module_that_asks_for_them(tmp_path: Path) -> None:
    module = tmp_path / "test_r99_rain.py"
    module.write_text("DROPS = runs(ci=50, long=5_000)\nOTHER = 3\n")

    assert counts_in(module) == {"DROPS": (50, 5_000)}


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    runs = {TEST: kept(figure="a figure", counts={"KILLS": 3})}

    write_kept(tmp_path / "kept.json", runs)

    assert read_kept(tmp_path / "kept.json") == runs


def test_where_nothing_was_kept_nothing_is_read(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "none.json") == {}


# --- how the figures come to be kept --------------------------------------------------

SHORT = "tests/reliability/test_r13_deadlines.py::test_a_normal_close_loses_nothing"
OTHER = "tests/reliability/test_r13_deadlines.py::test_in_trio_too"
GONE = "tests/reliability/test_r13_deadlines.py::test_that_was_renamed"


def test_a_run_keeps_its_own_outcomes_and_leaves_those_of_others(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    write_kept(file, {SHORT: kept(outcome="failed"), OTHER: kept(), GONE: kept()})

    program = [sys.executable, "-m", "pytest", "-q", SHORT, "--reliability-json", str(file)]
    ran = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout
    runs = read_kept(file)
    assert set(runs) == {SHORT, OTHER}
    assert runs[SHORT].outcome == "passed"
    assert runs[SHORT].day > runs[OTHER].day == "2026-01-02"
