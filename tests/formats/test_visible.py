"""What hides in a text is written out, and nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.formats.visible import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve 漢字 👩‍👩‍👧 \u00a0", "naïve 漢字 👩‍👩‍👧 \u00a0"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x00\x1b[31m\x7f\x9b", r"\u0000\u001b[31m\u007f\u009b"),
        ("\u2028\u2029\x85", r"\u2028\u2029\u0085"),
        (
            "\u202eevil\u202c \u2066x\u2069 \u200f\u061c",
            r"\u202eevil\u202c \u2066x\u2069 \u200f\u061c",
        ),
        ("\ud800\udfff", r"\ud800\udfff"),
    ],
)
def test_what_hides_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb"])
def test_a_newline_in_a_message_becomes_one_space(text: str) -> None:
    assert one_line(text) == "a b"


@given(st.text(st.characters()))
def test_shown_text_is_one_line_utf8_can_hold(text: str) -> None:
    for shown in (visible(text), one_line(text)):
        assert len(f"{shown}.".splitlines()) == 1
        shown.encode()


@given(st.text(st.characters()))
def test_showing_twice_is_showing_once(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert one_line(one_line(text)) == one_line(text)
