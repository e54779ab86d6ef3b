"""One look for all lanes whether other writers have put anything into the journal."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from eventbus.disk import Disk
from eventbus.segment import segments_by_writer, segments_in

__all__ = ["Pulse"]

PULSE = 0.1
"""Seconds between looks."""
WARM_FOR = 600
"""Looks in which a segment has not grown before it is looked at less often."""
COLD_EVERY = 10
"""Every so many looks those are looked at as well."""

_Stamp = tuple[int, int]


class Pulse:
    """Sees that the journal has grown, by the sizes of each writer's last segment."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        self._listed: _Stamp | None = None
        """The directory's time when it was listed last; None: list it in any case."""
        self._sizes: dict[Path, int] = {}
        self._idle: dict[Path, int] = {}
        """In how many looks each of them has not grown."""
        self._looks = 0

    async def run(self, tell: Callable[[], None]) -> None:
        """Tell each time that there is something new, until cancelled."""
        while True:
            if self.has_changed():
                tell()
            await asyncio.sleep(PULSE)

    def has_changed(self) -> bool:
        """True when a segment was begun or has grown since this was asked last, and at first."""
        self._looks += 1
        has_new = self._list_again()
        has_grown = [self._has_grown(path) for path in self._due()]
        return has_new or any(has_grown)

    def _list_again(self) -> bool:
        """List the directory if it may have changed; True when it has."""
        now = self._stamp()
        if now is not None and now == self._listed:
            return False
        is_known = self._listed is None and bool(self._sizes)
        # What is made right after a listing may not change the time: it is listed once more.
        self._listed = now if is_known else None
        try:
            segments = segments_by_writer(segments_in(self._directory, self._disk))
        except OSError:  # for now; each lane looks for itself once a second
            return False
        last = [each[-1].path for each in segments.values()]
        has_new = any(path not in self._sizes for path in last)
        self._sizes = {path: self._sizes.get(path, -1) for path in last}
        self._idle = {path: self._idle.get(path, 0) for path in last}
        return has_new

    def _stamp(self) -> _Stamp | None:
        try:
            status = self._disk.stat(self._directory)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _due(self) -> list[Path]:
        if self._looks % COLD_EVERY == 0:
            return list(self._sizes)
        return [path for path, looks in self._idle.items() if looks < WARM_FOR]

    def _has_grown(self, path: Path) -> bool:
        try:
            size = self._disk.stat(path).st_size
        except OSError:  # gone, or not ours to look at
            size = -1
        before, self._sizes[path] = self._sizes[path], size
        self._idle[path] = 0 if size != before else self._idle[path] + 1
        return size != before
