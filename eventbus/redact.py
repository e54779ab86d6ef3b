"""The place where secrets are taken out, before anything is written.

A redactor gets a batch's lines and returns as many lines, each the same
record with its secrets replaced. None is installed unless one is given.
"""

from collections.abc import Callable

import msgspec

from eventbus.event import HEADER, UNREADABLE

__all__ = ["Redactor", "redacted"]

Redactor = Callable[[list[bytes]], list[bytes]]


def redacted(lines: list[bytes], redactor: Redactor) -> list[bytes]:
    """The lines with their secrets out; a line it fails on keeps only its header."""
    clean = _redacted_together(lines, redactor)
    return clean if clean is not None else [_redacted_alone(line, redactor) for line in lines]


def _redacted_together(lines: list[bytes], redactor: Redactor) -> list[bytes] | None:
    """None when it fails, or does not give a line for a line."""
    try:
        clean = redactor(lines)
    except Exception:  # noqa: BLE001  the lines are tried one by one instead
        return None
    whole = len(clean) == len(lines) and not any(b"\n" in line for line in clean)
    return clean if whole else None


def _redacted_alone(line: bytes, redactor: Redactor) -> bytes:
    try:
        (clean,) = redactor([line])
    except Exception as error:  # noqa: BLE001
        return _header_alone(line, type(error).__name__)
    return clean if b"\n" not in clean else _header_alone(line, "newline")


def _header_alone(line: bytes, why: str) -> bytes:
    try:
        record = msgspec.json.decode(line)
    except UNREADABLE:
        record = None
    if not isinstance(record, dict):
        record = {}
    kept = {word: record[word] for word in ("kind", *HEADER) if word in record}
    return msgspec.json.encode({**kept, "withheld": f"redaction failed: {why}"})
