"""A disk that keeps, when the power is cut, no more than it promised."""

import os
from pathlib import Path
from random import Random
from typing import Any

from eventbus.testing import FaultyDisk

__all__ = ["PowerDisk"]


class PowerDisk(FaultyDisk):
    """Bytes are safe once their file was synced, names once their directory was.

    What is not safe may be kept all the same, in part: names in the order
    they were given, bytes from the beginning, or as zeros.
    """

    def __init__(self, graveyard: Path) -> None:
        super().__init__()
        graveyard.mkdir()
        self._graveyard = graveyard
        self._safe: dict[int, int] = {}
        self._unsafe_names: list[tuple[Path, Path | None, Path | None]] = []
        """A name, what it was made from, and what it took the place of."""

    def _really(self, operation: str, args: tuple[Any, ...]) -> Any:
        watched = getattr(self, f"_on_{operation}", None)
        return watched(*args) if watched is not None else super()._really(operation, args)

    def _on_open(self, path: Path, *rest: Any) -> int:
        is_new = not path.exists()
        fd: int = super()._really("open", (path, *rest))
        status = os.fstat(fd)
        if is_new:
            self._unsafe_names.append((path, None, None))
            self._safe[status.st_ino] = 0
        self._safe.setdefault(status.st_ino, status.st_size)
        return fd

    def _on_rename(self, source: Path, target: Path) -> None:
        buried = self._bury(target) if target.exists() else None
        super()._really("rename", (source, target))
        self._unsafe_names.append((target, source, buried))

    def _on_unlink(self, path: Path) -> None:
        buried = self._bury(path) if path.exists() else None
        super()._really("unlink", (path,))
        self._unsafe_names.append((path, path, buried))

    def _bury(self, path: Path) -> Path:
        buried = self._graveyard / f"{len(list(self._graveyard.iterdir()))}"
        os.link(path, buried)
        return buried

    def _on_truncate(self, fd: int, size: int) -> None:
        inode = os.fstat(fd).st_ino
        self._safe[inode] = min(self._safe[inode], size)
        super()._really("truncate", (fd, size))

    def _on_sync(self, fd: int) -> None:
        status = os.fstat(fd)
        self._safe[status.st_ino] = status.st_size

    def _on_sync_directory(self, path: Path) -> None:
        self._unsafe_names = [names for names in self._unsafe_names if names[0].parent != path]

    def cut_power(self, root: Path, random: Random, *, leaves_zeros: bool) -> None:
        """Leave under `root` what the disk could have by then."""
        kept = random.randint(0, len(self._unsafe_names))
        for name, source, buried in reversed(self._unsafe_names[kept:]):
            if source is None:
                name.unlink(missing_ok=True)
            elif source != name:
                os.rename(name, source)
            if buried is not None:
                os.link(buried, name)
        for path in root.rglob("*"):
            if path.is_file():
                self._lose_bytes(path, random, leaves_zeros=leaves_zeros)

    def _lose_bytes(self, path: Path, random: Random, *, leaves_zeros: bool) -> None:
        status = path.stat()
        safe = self._safe.get(status.st_ino, status.st_size)
        kept = random.randint(min(safe, status.st_size), status.st_size)
        os.truncate(path, kept)
        if leaves_zeros and random.random() < 0.5:
            os.truncate(path, status.st_size)
