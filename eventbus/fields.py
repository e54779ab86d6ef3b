"""Fields of what others made: a dict, JSON, or an object of a library."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from eventbus.errors import UsageUnreadable

__all__ = ["at", "decoded", "each", "fields_of", "seen", "short"]


SHOWN_MOST = 80
"""Characters of a value in a sentence about it."""
BITS_MOST = 200
"""A longer number is not written out; Python itself refuses from some length on."""


def at(held: Any, path: str) -> Any:
    """What is found along a path of keys or attributes; None where it ends."""
    for word in path.split("/"):
        held = _one(held, word)
        if held is None or callable(held):
            return None
    return held


def _one(held: Any, word: str) -> Any:
    try:
        fields = fields_of(held)
        return getattr(held, word, None) if fields is None else fields.get(word)
    except Exception:  # noqa: BLE001 - a stranger's property may raise anything; it has no such field
        return None


def fields_of(held: Any) -> Mapping[str, Any] | None:
    """What can be listed of it; None: ask for each attribute by its name."""
    if isinstance(held, Mapping):
        return held
    if not isinstance(getattr(held, "__pydantic_fields_set__", None), set):
        return None
    # Asked for an attribute it has not, such a model takes its time.
    return {**vars(held), **(held.__pydantic_extra__ or {})}


def each(held: Any, path: str) -> Iterable[Any]:
    """The items of a list; none where there is no list."""
    found = at(held, path)
    return found if isinstance(found, list | tuple) else ()


def decoded(report: object) -> object:
    """A report as it can be looked into: JSON is read, the rest is as it is."""
    if not isinstance(report, bytes | bytearray | memoryview | str):
        return report
    try:
        return msgspec.json.decode(report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageUnreadable(
            f"cannot read usage from {short(report)}: it is no JSON ({error})"
        ) from error


def seen(report: object) -> str:
    """What a report looks like, for a sentence about it."""
    if isinstance(report, Mapping):
        names = sorted(short(name).strip("'") for name in report)
        return f"a report of {', '.join(names[:12]) or 'nothing'}"
    return short(report)


def short(value: object) -> str:
    """A plain value as it is written, cut short; of others their type."""
    if isinstance(value, str | bytes | bytearray):
        text = repr(value[:SHOWN_MOST])
        return text if len(value) <= SHOWN_MOST else f"{text}..."
    if isinstance(value, int) and value.bit_length() > BITS_MOST:
        return f"a number of {value.bit_length()} bits"
    is_plain = value is None or type(value) in (bool, int, float)
    return repr(value) if is_plain else f"an object {type(value).__name__}"
