"""What others do to a segment while it is written: deleted, replaced, cut, grown."""

from collections.abc import Sequence
from typing import Literal

from eventbus.disk import Disk
from eventbus.segment import Segment

__all__ = ["Change", "change_of", "cut_to_what_they_left"]

Change = Literal["gone", "replaced", "cut", "grown"]


def change_of(fd: int, segment: Segment, size: int | None, disk: Disk) -> Change | None:
    """What became of the file we hold; `size` is what we wrote, None where that is not known."""
    ours = disk.status(fd)
    try:
        there = disk.stat(segment.path)
    except FileNotFoundError:
        return "gone"
    if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
        return "replaced"
    if size is None or ours.st_size == size:
        return None
    return "cut" if ours.st_size < size else "grown"


def cut_to_what_they_left(fd: int, blobs: Sequence[bytes], disk: Disk) -> int:
    """Take away what we appended after the cut, for it is written again; the size then.

    `blobs` is what may have been appended since.
    """
    size = disk.size(fd)
    for number in range(len(blobs)):
        if _ends_with(fd, blobs[number:], size, disk):
            size -= sum(map(len, blobs[number:]))
            disk.truncate(fd, size)
            break
    return size


def _ends_with(fd: int, blobs: Sequence[bytes], size: int, disk: Disk) -> bool:
    place = size - sum(map(len, blobs))
    for blob in blobs:
        if place < 0 or disk.pread(fd, len(blob), place) != blob:
            return False
        place += len(blob)
    return True
