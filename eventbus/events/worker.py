"""Work done in the background: worker:*."""

from eventbus.event import Event

__all__ = ["WorkerFailed", "WorkerFinished"]


class WorkerFinished(Event, tag="worker:finish"):
    """A worker's task is done."""

    task: str
    """What it was called."""
    duration_ms: int | float | None = None


class WorkerFailed(Event, tag="worker:fail"):
    """A worker's task failed."""

    task: str
    """What it was called."""
    duration_ms: int | float | None = None
    error: str = ""
    error_type: str | None = None
    stack: str | None = None
    """The traceback as text."""
