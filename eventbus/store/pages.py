"""A page of an answer, and the cursors that ask for the ones before and after it."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import msgspec

from eventbus.errors import CursorRefused

__all__ = ["PAGE_MOST", "Page", "clamped", "read_page_cursor", "write_page_cursor"]

T = TypeVar("T")

PAGE_MOST = 1_000
"""Items of a page at the most, whatever was asked for."""
CURSOR_MOST = 1_000
"""Characters of a cursor."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of an answer, in its order."""

    items: list[T]
    next: str | None = None
    """The cursor of the page after this one; None at the end."""
    previous: str | None = None
    """The cursor of the page before this one; None at the beginning."""


def clamped(limit: int, *, most: int = PAGE_MOST) -> int:
    """How many items a page may have: what was asked for, within bounds."""
    return max(1, min(limit, most))


def write_page_cursor(*words: str | int) -> str:
    """A place in an answer as text that goes through any URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(words)).rstrip(b"=").decode()


def read_page_cursor(cursor: str, form: Any) -> Any:
    """The same place back, as a tuple of that form; raises `CursorRefused` for anything else."""
    try:
        if len(cursor) > CURSOR_MOST:
            raise ValueError("too long")
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(
            base64.b64decode(padded, altchars=b"-_", validate=True), type=form
        )
    except (ValueError, binascii.Error) as error:
        raise CursorRefused(
            f"no page begins at {cursor[:40]!r}; give the cursor of a page as it was answered"
        ) from error
