"""The machine and the log files on it: system:*."""

from eventbus.event import Event

__all__ = ["DiskLow", "LogRotated", "MemoryHigh"]


class MemoryHigh(Event, tag="system:memory"):
    """This process has come to hold more memory than was allowed for."""

    used_bytes: int
    """Resident."""
    threshold_bytes: int | None = None


class DiskLow(Event, tag="system:disk"):
    """The disk has come to have less room than was allowed for."""

    path: str
    free_bytes: int
    threshold_bytes: int | None = None


class LogRotated(Event, tag="system:log_rotated"):
    """A log file was closed and set aside."""

    old_size_mb: int | float
    archive: str
    """Its name from now on."""
