"""What files hold before anybody sees them change, so that the first change can be undone too."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE
from eventbus.watching.change import Change
from eventbus.watching.contents import Contents
from eventbus.watching.manifest import slug_of

__all__ = ["Baseline", "Known"]

NS = 1_000_000_000


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What a file held from one moment on, and at another still."""

    path: str
    hash: str
    changed_ns: int
    """When it was changed last."""
    kept_ns: int
    """When it was read."""


class Baseline:
    """The contents of the files under a root, each kept once it was found; a line each."""

    def __init__(
        self,
        root: Path,
        contents: Contents,
        *,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self._root = root
        self._contents = contents
        self._file = contents.directory / f"{slug_of(root)}.known"
        self._clock = clock
        self._disk = disk

    def take(
        self, files: Iterable[tuple[str, int]], *, is_over: Callable[[], bool] = lambda: False
    ) -> int:
        """Keep what files hold, by their paths and when they were changed; how many were new."""
        latest = self._tidied()
        taken = 0
        for path, changed_ns in files:
            if is_over():
                break
            known = latest.get(path)
            if known is not None and known.changed_ns == changed_ns:
                self._contents.refresh(known.hash)
            elif self._take_one(path, changed_ns):
                taken += 1
        return taken

    def find(self, path: str, at: datetime, *, kept_before: datetime | None = None) -> Known | None:
        """What a file held at a moment, as far as it was kept before it changed."""
        at_ns = _ns(at)
        kept_ns = _ns(kept_before) if kept_before is not None else None
        told = [
            each
            for each in self._all()
            if each.path == path
            and each.changed_ns <= at_ns
            and (kept_ns is None or each.kept_ns < kept_ns)
        ]
        return max(told, key=lambda each: each.changed_ns, default=None)

    def _take_one(self, path: str, changed_ns: int) -> bool:
        """Keep one file; not one that is changed meanwhile, for that is told by itself."""
        now = self._clock.now()
        hash = self._contents.keep(Change(op="write", path=path, root=self._root, noticed=now))
        if hash is None:
            return False
        with suppress(OSError):
            if self._disk.stat(self._root / path).st_ctime_ns == changed_ns:
                self._append(Known(path, hash, changed_ns, _ns(now)))
                return True
        return False

    def _append(self, known: Known) -> None:
        fd = self._disk.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            self._disk.write_all(fd, msgspec.json.encode(known) + b"\n")
        finally:
            self._disk.close(fd)

    def _tidied(self) -> dict[str, Known]:
        """The latest of each path; those whose content was pruned are dropped."""
        every = list(self._all())
        left = [each for each in every if self._contents.has(each.hash)]
        if len(left) < len(every):
            lines = b"".join(msgspec.json.encode(each) + b"\n" for each in left)
            self._disk.replace(self._file, lines)
        return {each.path: each for each in left}

    def _all(self) -> Iterator[Known]:
        """Each line that can be read; one that was cut short is none."""
        try:
            lines = self._disk.read(self._file).split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            with suppress(*UNREADABLE):
                yield msgspec.json.decode(line, type=Known)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * NS)
