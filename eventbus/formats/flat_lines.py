"""A line of the flat log back as its four fields, and the tokens in its message."""

import json
import re
from datetime import UTC, datetime

import msgspec

__all__ = ["FlatLine", "Unparsed", "parse", "tokens"]

TOKENS_WITHIN = 65_536
"""Characters of a message that are searched; what comes after is not looked at."""

_TYPE = re.compile(r"[^\s:]+:\S+")
_KEY = re.compile(r"(?:^| )([^\s=|\"]+)=")
_read_json = json.JSONDecoder().raw_decode


class FlatLine(msgspec.Struct, frozen=True, gc=False):
    """The four fields of a flat line."""

    timestamp: datetime
    """Aware, in UTC."""
    event_type: str
    source: str
    message: str


class Unparsed(msgspec.Struct, frozen=True, gc=False):
    """A line that is no flat line, and why."""

    reason: str


def parse(line: bytes | str) -> FlatLine | Unparsed:
    """Read a line, with or without its newline; never raises."""
    if isinstance(line, bytes):
        try:
            line = line.decode()
        except UnicodeDecodeError as error:
            return Unparsed(f"not UTF-8 at byte {error.start}")
    fields = line.removesuffix("\n").removesuffix("\r").split("|", 3)
    if len(fields) != 4:
        return Unparsed(f"{len(fields)} {'field' if len(fields) == 1 else 'fields'} instead of 4")
    moment, event_type, source, message = fields
    timestamp = _timestamp(moment)
    if timestamp is None:
        return Unparsed(f"timestamp {moment[:40]!r}; ISO 8601 with a time zone is allowed")
    if not _TYPE.fullmatch(event_type):
        return Unparsed(f"event type {event_type[:80]!r}; category:action is allowed")
    return FlatLine(timestamp, event_type, source, message)


def _timestamp(moment: str) -> datetime | None:
    try:
        timestamp = datetime.fromisoformat(moment)
        if timestamp.tzinfo is UTC:
            return timestamp
        return None if timestamp.tzinfo is None else timestamp.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def tokens(message: str) -> dict[str, str]:
    """The `key=value` tokens of a message; of two of a name the later."""
    message = message[:TOKENS_WITHIN]
    found: dict[str, str] = {}
    match = _KEY.search(message)
    while match:
        value, end = _value(message, match.end())
        found[match[1]] = value
        match = _KEY.search(message, end)
    return found


def _value(message: str, start: int) -> tuple[str, int]:
    """The value that begins here, and where it ends."""
    if message[start : start + 1] in ('"', "{", "["):
        try:
            document, end = _read_json(message, start)
        except (ValueError, RecursionError):
            pass
        else:
            if end == len(message) or _KEY.match(message, end):
                return document if isinstance(document, str) else message[start:end], end
    after = _KEY.search(message, start)
    end = after.start() if after else len(message)
    return message[start:end], end
