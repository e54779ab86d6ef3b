"""Floats JSON has no form for: spelled out where a field holds one, and read back as it was."""

from collections.abc import Iterable
from math import isfinite
from operator import attrgetter
from typing import Any

import msgspec

__all__ = ["all_finite", "spell", "unspell"]

_SPELLED = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
"""As other formats spell them; `null` would say that there was nothing."""


def all_finite(items: list[Any], types: Iterable[type]) -> bool:
    """True when no field of them needs spelling; `types` are their classes."""
    groups: dict[type, list[Any]] = {each: [] for each in types if _float_fields(each)}
    if not groups:
        return True
    for item in items:
        group = groups.get(type(item))
        if group is not None:
            group.append(item)
    return all(
        _are_finite(group, name)
        for event_class, group in groups.items()
        for name in _float_fields(event_class)
    )


def _are_finite(items: list[Any], name: str) -> bool:
    try:
        return isfinite(sum(filter(None, map(attrgetter(name), items))))
    except (TypeError, OverflowError):  # no float at all: each is looked at
        return all(_is_finite(item, (name,)) for item in items)


def _is_finite(item: Any, fields: tuple[str, ...]) -> bool:
    for name in fields:
        value = getattr(item, name)
        if isinstance(value, float) and not isfinite(value):
            return False
    return True


def spell(event: Any) -> Any:
    """The event as it can be written: the same, or a copy with words for such floats."""
    fields = _float_fields(type(event))
    if not fields or _is_finite(event, fields):
        return event
    own = event.__copy__()
    for name in fields:
        value = getattr(event, name)
        if isinstance(value, float) and not isfinite(value):
            msgspec.structs.force_setattr(own, name, _word_of(value))
    return own


def _word_of(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def unspell(record: dict[str, Any], event_class: type) -> dict[str, Any]:
    """A record with the floats its fields spell out."""
    fields = _float_fields(event_class)
    return {
        word: _SPELLED.get(value, value) if word in fields and isinstance(value, str) else value
        for word, value in record.items()
    }


_fields: dict[type, tuple[str, ...]] = {}


def _float_fields(event_class: type) -> tuple[str, ...]:
    """Fields that hold a float, and no text."""
    fields = _fields.get(event_class)
    if fields is None:
        fields = _fields[event_class] = _find_float_fields(event_class)
    return fields


def _find_float_fields(event_class: type) -> tuple[str, ...]:
    if not issubclass(event_class, msgspec.Struct):
        return ()
    try:
        info: Any = msgspec.inspect.type_info(event_class)
    except (NameError, TypeError, AttributeError):  # a type out of reach, or without a form
        return ()
    return tuple(field.name for field in info.fields if _holds_floats(field.type))


def _holds_floats(node: Any) -> bool:
    inspect = msgspec.inspect
    parts = node.types if isinstance(node, inspect.UnionType) else (node,)
    has_text = any(isinstance(part, inspect.StrType | inspect.AnyType) for part in parts)
    return not has_text and any(isinstance(part, inspect.FloatType) for part in parts)
