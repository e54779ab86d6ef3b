"""The bar that says how far a run is."""

from io import StringIO

from benchmarks.progress import Progress


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_counts_answered_questions_and_the_part_of_this_one() -> None:
    terminal = _Terminal()
    progress = Progress(2, terminal)
    progress.begin("emit")
    progress.end()
    progress.begin("journal")

    progress.tell(0.5, "round 4 of 7 · limit")

    last = terminal.getvalue().rpartition("\r")[2]
    assert " 75% journal round 4 of 7 · limit" in last


def test_the_line_is_cleared_when_a_question_is_answered() -> None:
    terminal = _Terminal()
    progress = Progress(1, terminal)
    progress.begin("emit")

    progress.end()

    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_stream_that_is_no_terminal_hears_nothing() -> None:
    stream = StringIO()
    progress = Progress(1, stream)

    progress.begin("emit")
    progress.tell(0.5, "round 1 of 7")
    progress.end()

    assert stream.getvalue() == ""
