"""Keeps the write-ahead log of a store on SQLite short, and notices who keeps it long."""

from datetime import datetime

import msgspec

from eventbus.store.sqlite import LOG_KEPT_BYTES, SqliteWriter

__all__ = ["HELD_BYTES", "Held", "LogKeeper"]

HELD_BYTES = 64 * 1024 * 1024
"""Size of a log that is told when a reader does not let it be cut."""


class Held(msgspec.Struct, frozen=True):
    """A log that could not be cut, because a reader still sees an old state of the store."""

    bytes: int
    since: datetime


class LogKeeper:
    """Cuts the log whenever it has grown; told about once a second.

    SQLite itself puts the log into the file as it grows; what it cannot do is
    begin the log anew while there is always one reader or another in it. So
    writing pauses for a blink, until those who see an old state are done.
    """

    def __init__(self, *, held_bytes: int = HELD_BYTES, kept_bytes: int = LOG_KEPT_BYTES) -> None:
        self._held_bytes = held_bytes
        self._kept_bytes = kept_bytes
        self._held_since: datetime | None = None
        self._is_told = False

    def tend(self, writer: SqliteWriter, now: datetime) -> Held | None:
        """Cut the log if it is long; what holds it, once each time that it is held."""
        if writer.log_bytes() <= self._kept_bytes or writer.empty_log():
            self._held_since, self._is_told = None, False
            return None
        self._held_since = self._held_since or now
        size = writer.log_bytes()
        if self._is_told or size < self._held_bytes:
            return None
        self._is_told = True
        return Held(size, self._held_since)
