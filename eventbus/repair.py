"""Cutting the torn end off a segment whose writer has died."""

import os
from contextlib import suppress

import msgspec

from eventbus.disk import Disk
from eventbus.event import UNREADABLE
from eventbus.events.bus import BusEnded
from eventbus.segment import Segment

__all__ = ["Tail", "repair_tail"]

WINDOW = 64 * 1024
"""Bytes read at a time while looking for the last whole record."""
RECORD_MOST = 64 * 1024 * 1024
"""Bytes of the longest line that is taken for a record."""
TORN_MOST = 16 * 1024 * 1024
"""Bytes of a torn end that are kept aside."""


class Tail(msgspec.Struct, frozen=True):
    """How a segment ended."""

    size: int
    """Bytes of whole records."""
    cut_bytes: int = 0
    digest: str | None = None
    closing: BusEnded | None = None
    """Its `bus:close` record, when that is the last one."""


def repair_tail(fd: int, segment: Segment, disk: Disk) -> Tail:
    """Cut what stands behind the last whole record, keeping it in a `.torn` file."""
    size = disk.size(fd)
    end, last = last_whole_record(fd, size, disk)
    closing = _as_closing(last)
    if end == size:
        return Tail(size=end, closing=closing)
    digest = _keep_aside(fd, segment, end, size, disk)
    disk.truncate(fd, end)
    with suppress(OSError):
        disk.sync(fd)
    return Tail(size=end, cut_bytes=size - end, digest=digest, closing=closing)


def last_whole_record(fd: int, size: int, disk: Disk) -> tuple[int, bytes]:
    """Where the last record that can be read ends, and its line."""
    end = _line_end_before(fd, size, disk)
    while end > 0:
        start = _line_end_before(fd, end - 1, disk)
        if end - start <= RECORD_MOST:
            line = disk.pread(fd, end - start - 1, start)
            if _is_record(line):
                return end, line
        end = start
    return 0, b""


def _line_end_before(fd: int, stop: int, disk: Disk) -> int:
    """The place behind the last newline before `stop`; 0 when there is none."""
    while stop > 0:
        start = max(0, stop - WINDOW)
        found = disk.pread(fd, stop - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0


def _is_record(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return False
    return True


def _as_closing(line: bytes) -> BusEnded | None:
    if b'"bus:close"' not in line[:40]:
        return None
    try:
        return msgspec.json.decode(line, type=BusEnded)
    except UNREADABLE:
        return None


def _keep_aside(fd: int, segment: Segment, start: int, stop: int, disk: Disk) -> str:
    """Copy the torn end beside the segment; its digest. A failure to copy is no reason to stop."""
    import hashlib  # slow to import, and seldom needed

    digest = hashlib.sha256()
    beside = segment.path.with_name(f"{segment.path.stem}.{start}.torn")
    copy = -1
    with suppress(OSError):
        copy = disk.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for place in range(start, stop, WINDOW):
        part = disk.pread(fd, min(WINDOW, stop - place), place)
        digest.update(part)
        if copy >= 0 and place - start < TORN_MOST:
            with suppress(OSError):
                disk.write_all(copy, part)
    if copy >= 0:
        disk.close(copy)
    return digest.hexdigest()
