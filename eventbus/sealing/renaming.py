"""Seals that a crash parted from their file, between its renaming and theirs."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from eventbus.disk import Disk
from eventbus.sealing.chain import seals_of
from eventbus.sealing.records import SEALS, Block, Ended, Renamed, read_records
from eventbus.segments import Series

__all__ = ["adopt_seals", "says_name"]


def adopt_seals(series: Series, disk: Disk) -> Path | None:
    """Give seals without their file the name of the one they are over, and say which."""
    if series.live is None:
        return None
    live = series.directory / series.live
    names = set(disk.names(series.directory))
    if live.name + SEALS not in names or live.name in names:
        return None
    for segment in series.all_in(names):
        path = series.directory / segment.plain_name
        is_bare = path.name + SEALS not in names and not segment.is_packed
        if is_bare and _is_over(seals_of(live), path, disk):
            disk.rename(seals_of(live), seals_of(path))
            return path
    return None


def says_name(path: Path, disk: Disk) -> bool:
    """True when a record of the file's seals calls it by the name it has."""
    records = (written.record for written in read_records(disk.read(seals_of(path))))
    return any(isinstance(one, (Renamed, Ended)) and one.named == path.name for one in records)


def _is_over(seals: Path, path: Path, disk: Disk) -> bool:
    with suppress(OSError, StopIteration):
        block = next(_blocks(seals, disk))
        fd = disk.open(path, os.O_RDONLY)
        try:
            blob = disk.pread(fd, block.end - block.start, block.start)
        finally:
            disk.close(fd)
        return hashlib.sha256(blob).hexdigest() == block.digest
    return False


def _blocks(seals: Path, disk: Disk) -> Iterator[Block]:
    for written in read_records(disk.read(seals)):
        if isinstance(written.record, Block):
            yield written.record
