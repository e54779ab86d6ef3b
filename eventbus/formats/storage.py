"""Measurements of what is kept, as lines of `storage.jsonl`."""

from eventbus.event import Event
from eventbus.events.storage import StorageMeasured
from eventbus.formats.moment import stamp
from eventbus.formats.record import Record, to_json

__all__ = ["KINDS", "encode"]

KINDS = ("storage:measure",)


class Measurement(Record, frozen=True, kw_only=True):
    """One area and what it holds."""

    timestamp: str
    area: str
    bytes: int
    files: int


def encode(event: Event) -> bytes | None:
    """The line of a measurement."""
    if not isinstance(event, StorageMeasured):
        return None
    return to_json(
        Measurement(
            timestamp=stamp(event.ts), area=event.area, bytes=event.bytes, files=event.files
        )
    )
