"""Pictures; only where matplotlib is installed."""

import sys
from pathlib import Path
from subprocess import run

import pytest

from benchmarks.figures import Aim, Answer, Report, row, skipped
from tests.benchmarks.test_figures import MACHINE

PNG = b"\x89PNG\r\n"


def test_a_run_that_draws_nothing_does_not_import_matplotlib() -> None:
    code = "import sys, benchmarks.__main__; sys.exit('matplotlib' in sys.modules)"

    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_picture_is_drawn_for_each_question_that_has_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.plot import draw

    peers = [row("ours", [2.0], to=[1.0], aim=Aim(most=1.7)), row("bubus", [500.0], to=[1.0])]
    growth = [row(f"read all, {size} events", [float(size)], size=size) for size in (10, 100)]
    answers = [
        Answer("peers", "", peers),
        Answer("growth", "", growth),
        Answer("emit", "", [skipped("call", "failed")]),
    ]

    drawn = draw(Report(MACHINE, 3, 1_000, answers), tmp_path / "pictures")

    assert [path.name for path in drawn] == ["peers.png", "growth.png"]
    assert all(path.read_bytes().startswith(PNG) for path in drawn)
