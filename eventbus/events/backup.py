"""Copies of the store: backup:finish."""

from typing import Literal

from eventbus.event import Event

__all__ = ["BackupFinished"]


class BackupFinished(Event, tag="backup:finish"):
    """A backup of the store was made, or failed."""

    engine: str
    """`sqlite` or `postgres`."""
    path: str | None = None
    bytes: int | None = None
    duration_ms: int | float | None = None
    status: Literal["success", "error"] = "success"
    integrity: str | None = None
    """What the integrity check answered; None: it was not run."""
    error: str | None = None
