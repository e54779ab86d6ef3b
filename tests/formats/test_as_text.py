"""Any value as text, whatever its own code does."""

from eventbus.formats.as_text import STACK_MOST, as_text, stack_of


class Shy(Exception):
    def __str__(self) -> str:
        raise ValueError("no")

    @property
    def __notes__(self) -> str:
        raise LookupError("no notes")


def test_a_value_that_will_not_be_text_is_named() -> None:
    assert as_text(Shy()) == "<Shy: str() raises ValueError>"


def test_an_exception_whose_traceback_raises_is_named() -> None:
    try:
        raise Shy
    except Shy as error:
        stack = stack_of(error)

    assert stack is not None
    assert "Shy" in stack


def test_a_long_traceback_loses_its_middle() -> None:
    try:
        raise ValueError("x" * 10 * STACK_MOST + "the end")
    except ValueError as error:
        stack = stack_of(error)

    assert stack is not None
    assert stack.startswith("Traceback")
    assert stack.endswith("the end\n")
    assert len(stack) < STACK_MOST + 100
