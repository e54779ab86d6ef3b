"""Every form a log file's lines can have, by name."""

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from eventbus.event import Event, encode
from eventbus.events.file import DirectoryMade, FileDeleted, FileWritten
from eventbus.formats import audit, backup, errors, flat, interactions, storage, usage
from eventbus.formats.record import read_back

__all__ = ["SHAPES", "Shape"]

Encode = Callable[[Event], bytes | None]


class Shape(msgspec.Struct, frozen=True):
    """What to write: which events, and each one's line."""

    name: str
    kinds: tuple[str, ...]
    """The kinds it has lines for."""
    encode: Encode
    """An event's line without its newline; None when it gives none."""
    is_full: bool = False
    """True when a batch's own lines are this shape already."""


def _shape(name: str, kinds: tuple[str, ...], encode: Encode) -> Shape:
    """A shape that takes an event of the wrong types for what a reader would."""

    def forgiving(event: Event) -> bytes | None:
        try:
            return encode(event)
        except (AttributeError, TypeError, ValueError):
            return encode(read_back(event))

    return Shape(name=name, kinds=kinds, encode=forgiving)


def _told_alone(event: Event) -> bytes | None:
    """The flat line of an event; none of one of many that a `watch:burst` tells together."""
    if isinstance(event, (FileWritten, FileDeleted, DirectoryMade)) and event.burst is not UNSET:
        return None
    return flat.encode(event)


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(name="jsonl", kinds=("*",), encode=encode, is_full=True),
        Shape(name="flat", kinds=("*",), encode=_told_alone),
        _shape("audit", audit.KINDS, audit.encode),
        _shape("interactions", interactions.KINDS, interactions.encode),
        _shape("usage", usage.KINDS, usage.encode),
        _shape("storage", storage.KINDS, storage.encode),
        _shape("backup", backup.KINDS, backup.encode),
        _shape("errors", errors.KINDS, errors.encode),
    )
}
