"""What may not stand raw in a line or reach a terminal, made visible."""

import re

__all__ = ["one_line", "visible"]

_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: newline, escape, NUL
    "\u2028\u2029"  # what some readers take for a newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the reading direction
    "\ud800-\udfff"  # halves of a character, which UTF-8 cannot hold
    "]"
)
_NEWLINE = re.compile("\r\n|\r|\n")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    r"""Text with what is hidden in it written out: `\n`, `\u001b`.

    The forms are JSON's, so a JSON document stays one and means the same.
    """
    return text if text.isprintable() else _HIDDEN.sub(_written_out, text)


def one_line(text: str) -> str:
    """The same for a message: a newline becomes a space."""
    return text if text.isprintable() else visible(_NEWLINE.sub(" ", text))


def _written_out(match: re.Match[str]) -> str:
    hidden = match[0]
    return _SHORT.get(hidden) or f"\\u{ord(hidden):04x}"
