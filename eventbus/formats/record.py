"""One record of a log file, or one value in it, as JSON whatever it holds."""

from collections.abc import Iterable
from typing import Any

import msgspec

from eventbus.event import Event, decode, encode, encode_lines, encode_value
from eventbus.floats import spell

__all__ = ["Record", "read_back", "to_json"]

DEEPEST = 20
"""Levels of a value that are looked into for the part JSON cannot hold."""


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Fields of a line in the file's own order, in camel case there."""


def to_json(value: Any) -> bytes:
    """The value as compact JSON; what JSON cannot hold spoils only itself."""
    try:
        return encode_value(spell(value) if isinstance(value, msgspec.Struct) else value)
    except Exception:  # noqa: BLE001 - a value's own code may raise anything; each is tried alone
        return encode_lines([_tame(value, 0)])[:-1]


def read_back(event: Event) -> Event:
    """The event as a reader of the journal gets it: its types checked."""
    return decode(encode(event))


def _tame(value: Any, depth: int) -> object:
    if isinstance(value, str):
        return _without_halves(value)
    try:
        return msgspec.Raw(encode_lines([value])[:-1])
    except Exception as error:  # noqa: BLE001 - the record says what could not be written
        if depth < DEEPEST:
            if isinstance(value, msgspec.Struct):
                return _tame_pairs(_fields(value), depth)
            if isinstance(value, dict):
                return _tame_pairs(value.items(), depth)
            if isinstance(value, (tuple, list)):
                return [_tame(part, depth + 1) for part in value]
        return f"unreadable {type(value).__name__}: {type(error).__name__}"


def _tame_pairs(pairs: Iterable[tuple[Any, Any]], depth: int) -> dict[str, object]:
    return {
        _without_halves(word if isinstance(word, str) else repr(word)): _tame(value, depth + 1)
        for word, value in pairs
    }


def _fields(record: msgspec.Struct) -> Iterable[tuple[str, Any]]:
    for written, name in zip(
        record.__struct_encode_fields__, record.__struct_fields__, strict=True
    ):
        value = getattr(record, name)
        if value is not msgspec.UNSET:
            yield written, value


def _without_halves(text: str) -> str:
    """Text UTF-8 can hold: half a character is written out."""
    return str.__str__(text).encode("utf-8", "backslashreplace").decode()
