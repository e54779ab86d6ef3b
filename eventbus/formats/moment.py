"""A moment as text of one length: UTC, milliseconds, `Z`."""

from datetime import UTC, datetime

import msgspec

__all__ = ["in_utc", "stamp"]

_as_json = msgspec.json.Encoder().encode
_USUAL = len('"2024-12-19T14:30:00.001000Z"')


def stamp(ts: datetime) -> str:
    """`2024-12-19T14:30:00.001Z`; a naive moment is taken for UTC."""
    if not isinstance(ts, datetime):
        raise TypeError(f"cannot stamp {type(ts).__name__}; a datetime is needed")
    text = _as_json(ts)  # twenty times as quick as isoformat
    if len(text) == _USUAL:
        return text[1:24].decode() + "Z"
    return in_utc(ts).isoformat(timespec="milliseconds")[:23] + "Z"


def in_utc(ts: datetime) -> datetime:
    """The same moment in UTC; a naive one, and the first or last there is, as it stands."""
    if ts.tzinfo is None:
        return ts
    try:
        return ts.astimezone(UTC)
    except OverflowError:
        return ts
