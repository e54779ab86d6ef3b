"""A sync tried on a file that costs nothing, before one on a segment."""

import os
from contextlib import suppress
from pathlib import Path

from eventbus.disk import Disk

__all__ = ["try_a_sync"]


def try_a_sync(path: Path, disk: Disk) -> None:
    """Raise while the disk syncs nothing at all; the file is made for it, and goes again."""
    fd = disk.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        disk.write_all(fd, b"?")
        disk.sync(fd)
    finally:
        with suppress(OSError):
            disk.close(fd)
        with suppress(OSError):
            disk.unlink(path)
