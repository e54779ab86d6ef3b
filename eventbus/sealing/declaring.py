"""Saying what is taken away on purpose, before it is: each time a chain of one record."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.sealing.chain import append_whole, cut_to_whole, is_begun, seals_of
from eventbus.sealing.keys import forget_beginning, held, take_key
from eventbus.sealing.records import (
    DECLARED,
    Pruned,
    PrunedFile,
    digest_of,
    read_records,
    write_record,
)

__all__ = ["declare", "declare_pruned", "seals_there"]


def declare(state: Path, make: Any, *, clock: Clock, disk: Disk, **fields: Any) -> None:
    """Append a record to the declared ones, and sync it; raises `OSError`."""
    path = state / DECLARED
    with held(state, "declare.lock", disk):
        before = cut_to_whole(path, disk)
        taken = take_key(
            state, Path(DECLARED), disk=disk, is_begun=lambda one: is_begun(one, state, disk)
        )
        record = make(chain=taken.chain, lost=taken.lost, before=before, at=clock.now(), **fields)
        append_whole(path, write_record(record, taken.key), disk, sync=True)
        disk.sync_directory(state)
        with suppress(OSError):  # the next to take a key sees that it is there
            forget_beginning(state, taken.chain, disk)


def declare_pruned(state: Path, files: Iterable[Path], *, clock: Clock, disk: Disk) -> None:
    """Say that sealed files are about to be deleted for their age or size."""
    pruned = tuple(_pruned(path, disk) for path in files)
    if pruned:
        declare(state, Pruned, files=pruned, clock=clock, disk=disk)


def _pruned(path: Path, disk: Disk) -> PrunedFile:
    records = list(read_records(disk.read(seals_of(path))))
    chains = {one.record.chain for one in records if one.record is not None}
    for one in records:  # what its records said of others must not go with them
        chains.update(getattr(one.record, "lost", ()))
    last = digest_of(records[-1].line) if records else ""
    return PrunedFile(name=path.name, chains=tuple(sorted(chains)), last=last)


def seals_there(path: Path, disk: Disk) -> bool:
    """True when the file has seals."""
    try:
        disk.stat(seals_of(path))
    except OSError:
        return False
    return True
