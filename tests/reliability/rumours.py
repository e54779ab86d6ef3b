"""Events that a bus treats in three ways, each with its number."""

from typing import Any

from eventbus import Event
from eventbus.event import UnknownEvent

__all__ = ["CLASSES", "Heard", "Raised", "Told", "number_of"]


class Told(Event, tag="proof:told", frozen=True):
    """Goes as it is."""

    number: int
    pad: str = ""


class Heard(Event, tag="rumour:heard", frozen=True):
    """Encoded when it is emitted."""

    number: int
    value: Any = None


class Raised(Event, tag="error:told", frozen=True):
    """Synced at once."""

    number: int


CLASSES: list[Any] = [Told, Heard, Raised]


def number_of(event: Event) -> int:
    if isinstance(event, UnknownEvent):
        return int(event.payload["number"])
    return int(event.number)  # type: ignore[attr-defined]
