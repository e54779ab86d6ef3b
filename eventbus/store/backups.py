"""A backup of any store, whatever its engine."""

from collections.abc import Callable
from pathlib import Path

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.events.backup import BackupFinished
from eventbus.store.backup import BACKUPS, KEEP, back_up
from eventbus.store.whereabouts import StoreAt

__all__ = ["back_up_store"]


def back_up_store(
    store: StoreAt,
    state: Path,
    *,
    keep: int = KEEP,
    progress: Callable[[int, int], None] | None = None,
    disk: Disk = SYSTEM_DISK,
) -> BackupFinished | None:
    """Back a store up into the state directory; how it went, or None while there is no store.

    `progress` is told of a store on SQLite only: pg_dump tells nothing.
    """
    if store.path is not None:
        if not store.path.is_file():
            return None
        return back_up(state, path=store.path, keep=keep, progress=progress, disk=disk)
    from eventbus.store.dump import dump  # it runs a program of PostgreSQL's

    return dump(store.url or "", state / BACKUPS, keep=keep, disk=disk)
