"""Any value as text, and an exception's traceback; whatever a value's own code does."""

import math

from eventbus.events.log import Scalar

__all__ = ["STACK_MOST", "as_scalar", "as_text", "middle_cut", "stack_of", "text_if_said"]

INT_MOST = 2**63 - 1
"""Larger numbers are text on the way through JSON."""
STACK_MOST = 64_000
"""Characters of a traceback that are kept, half from each end."""


def as_text(value: object) -> str:
    """`str()` of whatever it is, as UTF-8 can hold it."""
    if type(value) is not str:
        try:
            value = str.__str__(str(value))
        except Exception as error:  # noqa: BLE001 - the value's own code; the text says so
            value = f"<{type(value).__name__}: str() raises {type(error).__name__}>"
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def text_if_said(value: object) -> str | None:
    """The same, and None for None: for ids, which people may have as numbers."""
    return None if value is None else as_text(value)


def as_scalar(value: object) -> Scalar:
    """The value itself where it comes back from JSON as the same text, else its text."""
    if value is None or value is True or value is False:
        return value
    if type(value) is int and -INT_MOST <= value <= INT_MOST:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    return as_text(value)


def stack_of(exception: BaseException) -> str | None:
    """Its traceback as text, if it has one."""
    if getattr(exception, "__traceback__", None) is None:
        return None
    from traceback import format_exception  # slow to import; errors are rare

    try:
        stack = "".join(format_exception(exception))
    except Exception as error:  # noqa: BLE001 - the exception's own code; the text says so
        return f"<{type(exception).__name__}: its traceback raises {type(error).__name__}>"
    return middle_cut(as_text(stack), STACK_MOST)


def middle_cut(text: str, most: int) -> str:
    """A long text without its middle: both ends say more."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"
