"""How a segment comes by its name: whole and locked before it, swept away without it."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from eventbus.disk import Disk
from eventbus.segment import Segment

__all__ = ["make_segment", "sweep"]

SWEPT_MOST = 5
"""How often a new segment may be swept away, in the blink before it is locked."""
_APPEND = os.O_RDWR | os.O_APPEND


def make_segment(made: Segment, blobs: list[bytes], disk: Disk) -> int:
    """A locked file with these bytes, under its name only once it is whole."""
    for _ in range(SWEPT_MOST):
        with suppress(FileNotFoundError):  # a process that opened took it for a dead one's
            return _try_to_make(made, blobs, disk)
    return _try_to_make(made, blobs, disk)


def _try_to_make(made: Segment, blobs: list[bytes], disk: Disk) -> int:
    beside = made.path.with_suffix(".new")
    fd = disk.open(beside, _APPEND | os.O_CREAT | os.O_EXCL)
    try:
        if not disk.lock(fd):
            raise FileNotFoundError(errno.ENOENT, "another process sweeps it", str(beside))
        disk.write_all(fd, b"".join(blobs))
        disk.rename(beside, made.path)
    except BaseException:
        with suppress(OSError):
            disk.close(fd)
        for path in (beside, made.path):  # a rename may be done, and fail all the same
            with suppress(OSError):
                disk.unlink(path)
        raise
    return fd


def sweep(directory: Path, disk: Disk) -> None:
    """Take away segments that a killed writer had not yet named."""
    for name in disk.names(directory):
        if name.endswith(".new"):
            with suppress(OSError):
                _sweep_one(directory / name, disk)


def _sweep_one(path: Path, disk: Disk) -> None:
    fd = disk.open(path, os.O_RDWR)
    try:
        if disk.lock(fd):
            disk.unlink(path)
    finally:
        disk.close(fd)
