"""What the output is shown on: whether it has colours, how wide it is, what is wide on it."""

import os
import shutil
import sys
import unicodedata

import click

__all__ = ["cut", "has_colours", "padded", "painted", "terminal_width", "text_width"]


def has_colours() -> bool:
    """Whether the output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def painted(text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
    """Text in a colour, where the output has colours."""
    if not has_colours():
        return text
    return click.style(text, fg=fg, bold=bold or None, dim=dim or None)


def terminal_width() -> int | None:
    """Characters in a line of the terminal; None where the output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(text: str, indent: int) -> str:
    """The text in lines of the terminal, those after the first indented; whole elsewhere."""
    room = terminal_width()
    if room is None:
        return text
    import textwrap  # slow to import, and for terminals alone

    lines = textwrap.wrap(
        text, max(20, room - indent), break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


def text_width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def padded(text: str, width: int, *, is_right: bool = False) -> str:
    """The text with spaces around it until it is that wide."""
    space = " " * (width - text_width(text))
    return space + text if is_right else text + space


def cut(text: str, width: int) -> str:
    """The text, or so much of its beginning as fits, and `…`."""
    if text_width(text) <= width:
        return text
    kept, left = [], width - 1
    for char in text:
        left -= _char_width(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"
