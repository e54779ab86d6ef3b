"""Backups of the store, as lines of `backup.jsonl`."""

from eventbus.event import Event
from eventbus.events.backup import BackupFinished
from eventbus.formats.moment import stamp
from eventbus.formats.record import Record, to_json

__all__ = ["KINDS", "encode"]

KINDS = ("backup:finish",)


class Backup(Record, frozen=True, kw_only=True):
    """One backup and how it went; null where nothing is known."""

    timestamp: str
    engine: str
    path: str | None
    bytes: int | None
    duration_ms: float | None
    status: str
    integrity: str | None
    error: str | None


def encode(event: Event) -> bytes | None:
    """The line of a backup."""
    if not isinstance(event, BackupFinished):
        return None
    return to_json(
        Backup(
            timestamp=stamp(event.ts),
            engine=event.engine,
            path=event.path,
            bytes=event.bytes,
            duration_ms=event.duration_ms,
            status=event.status,
            integrity=event.integrity,
            error=event.error,
        )
    )
