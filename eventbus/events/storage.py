"""How much is kept where: storage:measure."""

from eventbus.event import Event

__all__ = ["StorageMeasured"]


class StorageMeasured(Event, tag="storage:measure"):
    """One area of the state directory was measured."""

    area: str
    """`journal`, `logs`, `store`, `backups` or another."""
    bytes: int
    files: int
