"""Every question, asked at a size too small to mean anything."""

from pathlib import Path

import pytest

from benchmarks.__main__ import QUESTIONS, ask
from benchmarks.contest import Course
from benchmarks.table import answer_text

TAKES_LONG = {
    "fanout",
    "growth",
    "import",
    "ingest",
    "latency",
    "landing",
    "peers",
    "profile",
    "resident",
    "store",
    "watch",
}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(
        directory=tmp_path,
        rounds=1,
        events=400,
        seconds=0.05,
        is_quick=True,
        tell=lambda part, doing: None,
    )


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in TAKES_LONG else name
        for name in QUESTIONS
    ],
)
def test_a_question_is_answered_and_nothing_of_ours_fails(question: str, course: Course) -> None:
    answer = ask(question, course)

    assert [row.reason for row in answer.rows if row.is_failure] == []
    assert any(row.value is not None for row in answer.rows)
    assert len(answer.says) > 40
    assert f"## {question}" in answer_text(answer)
