"""What the writers before left: a segment that ended well is taken up, a torn one repaired."""

import os
import stat
from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec

from eventbus.disk import Disk
from eventbus.event import Event, encode
from eventbus.events.bus import BusEnded, Recovered
from eventbus.repair import Tail, repair_tail
from eventbus.segment import Segment, segments_by_writer, segments_in

__all__ = ["Taken", "inherit"]


class Taken(msgspec.Struct, frozen=True):
    """A segment that ended well, locked, to go on in."""

    fd: int
    segment: Segment
    size: int
    closing: BusEnded


def inherit(
    directory: Path, *, size_below: int, day: date, disk: Disk
) -> tuple[Taken | None, list[Event]]:
    """Visit every writer's last segment; one to go on in, and what was repaired.

    One that is full or of another day than `day` is not gone on in.
    """
    taken: Taken | None = None
    recovered: list[Event] = []
    for segments in segments_by_writer(segments_in(directory, disk)).values():
        found = _visit(segments[-1], disk, size_below if taken is None else 0, day)
        if isinstance(found, Taken):
            taken = found
        elif found is not None:
            recovered.append(found)
    return taken, recovered


def _visit(last: Segment, disk: Disk, size_below: int, day: date) -> Taken | Recovered | None:
    """A writer's last segment: live, ended well (take it), or died (repair it)."""
    try:
        if not stat.S_ISREG(disk.stat(last.path).st_mode):
            return None  # not one of ours, whatever its name
        return _mend(last, disk, size_below, day)
    except FileNotFoundError:  # pruned meanwhile
        return None
    except OSError as error:  # no reason not to start: readers pass over a torn end
        why = f"cannot be mended: {error.strerror or error}"
        return Recovered(segment=last.name, reason=why, cut_bytes=0)


def _mend(last: Segment, disk: Disk, size_below: int, day: date) -> Taken | Recovered | None:
    fd = disk.open(last.path, os.O_RDWR | os.O_APPEND)
    keep = False
    try:
        if not disk.lock(fd):
            return None
        disk.stat(last.path)  # raises if it was pruned before we had the lock
        end = repair_tail(fd, last, disk)
        if end.closing is None or end.cut_bytes:
            return _bury(fd, last, end, disk)
        keep = end.closing.clean and end.size < size_below and last.day == day
        return Taken(fd, last, end.size, end.closing) if keep else None
    finally:
        if not keep:
            disk.close(fd)


def _bury(fd: int, last: Segment, end: Tail, disk: Disk) -> Recovered:
    """Close a dead writer's segment for it, so that nobody repairs it again."""
    ended = BusEnded(writer=last.writer, before=-1, clean=False)
    line = encode(ended) + b"\n"
    with suppress(OSError):  # a full disk, say: the next to open closes it
        if disk.write(fd, line) != len(line):
            disk.truncate(fd, end.size)
    return Recovered(
        segment=last.name,
        reason="torn" if end.cut_bytes else "unclean",
        cut_bytes=end.cut_bytes,
        digest=end.digest,
    )
