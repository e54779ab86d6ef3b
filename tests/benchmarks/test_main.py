"""`python -m benchmarks` as it is typed."""

from pathlib import Path

import msgspec
import pytest

from benchmarks import __main__ as program
from benchmarks.contest import Course
from benchmarks.figures import Report, Row, row, skipped


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What every question answers here."""
    rows = [row("limit", [1.0, 1.1, 1.2])]

    class _Question:
        """Says nothing new."""

        @staticmethod
        def ask(course: Course) -> list[Row]:
            return rows

    monkeypatch.setattr(program, "import_module", lambda name: _Question)
    return rows


def test_the_questions_are_listed_with_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list"]) == 0

    listed = capsys.readouterr().out.split("\n")
    assert len(listed) == len(program.QUESTIONS) + 1
    assert "Says nothing new" in listed[0]


def test_only_what_was_picked_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["journal", "--dir", str(tmp_path), "--any-disk"]) == 0

    out = capsys.readouterr().out
    assert "## journal" in out
    assert "## peers" not in out


def test_kept_figures_can_be_compared_with(
    tmp_path: Path, answers: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "figures.json"
    where = ["journal", "--dir", str(tmp_path), "--any-disk"]
    program.main([*where, "--json", str(kept)])
    answers[:] = [row("limit", [2.0, 2.1, 2.2])]

    program.main([*where, "--compare", str(kept)])

    assert msgspec.json.decode(kept.read_bytes(), type=Report).answers[0].question == "journal"
    assert "+91%" in capsys.readouterr().out


def test_something_of_ours_that_failed_is_the_exit_code(tmp_path: Path, answers: list[Row]) -> None:
    answers.append(skipped("journal", "lost an event", is_failure=True))

    assert program.main(["journal", "--dir", str(tmp_path), "--any-disk"]) == program.FAILED


def test_a_missing_peer_is_no_failure(tmp_path: Path, answers: list[Row]) -> None:
    answers.append(skipped("bubus", "bubus is not installed"))

    assert program.main(["peers", "--dir", str(tmp_path), "--any-disk"]) == 0


def test_an_unknown_question_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.main(["speed"]) == program.MISUSED

    assert "no question named 'speed'; there are: emit, journal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--compare", "absent.json"], "cannot compare with 'absent.json'"),
        (["--compare", "pyproject.toml"], "cannot compare with 'pyproject.toml'"),
        (["--json", "absent/now.json"], "cannot keep figures in 'absent/now.json'"),
        (["--dir", "absent"], "cannot write in 'absent'"),
    ],
)
def test_what_would_spoil_the_run_is_said_before_it_begins(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["journal", "--any-disk", *words]) == program.MISUSED

    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_memory_is_refused_as_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "filesystem_of", lambda directory: "tmpfs")

    assert program.main(["journal", "--dir", str(tmp_path)]) == program.MISUSED

    assert "cannot measure on tmpfs" in capsys.readouterr().err


def test_a_bar_is_drawn_on_a_terminal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.main(["journal", "--dir", str(tmp_path), "--any-disk"])

    assert capsys.readouterr().err == ""
