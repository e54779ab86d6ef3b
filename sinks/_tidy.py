"""What is done to the segments nobody writes any more: pruned by age, packed, a little a tick."""

import stat
from collections.abc import Container, Generator
from contextlib import suppress
from datetime import date
from pathlib import Path

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.segments import LogSegment, PruneGuard, Series, prunable
from sinks._packing import pack
from sinks._seals import NoFileSeals

__all__ = ["Tidier"]

TIDY_SECONDS = 3_600.0
"""Between looks for what is to be pruned or packed."""
PACK_SECONDS = 0.05
"""Spent on packing a tick, so that no batch waits long."""
DAY_SECONDS = 86_400.0


class Tidier:
    """Prunes and packs one series."""

    def __init__(
        self,
        series: Series,
        *,
        keep_days: float,
        packs: bool,
        seals: NoFileSeals,
        clock: Clock,
        disk: Disk,
    ) -> None:
        self.guard = PruneGuard()
        self._series = series
        self._keep_days = keep_days
        self._packs = packs
        self._seals = seals
        self._clock = clock
        self._disk = disk
        self._looked = float("-inf")
        self._waiting: list[Path] = []
        self._path: Path | None = None
        self._packing: Generator[None] | None = None

    def tick(self, in_use: Container[Path]) -> None:
        """Do a little; a file in use is left alone."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        may_prune = self.guard.may_prune(now, monotonic)
        if monotonic - self._looked >= TIDY_SECONDS:
            self._looked = monotonic
            self._waiting = self._packable(now.date()) if self._packs else []
            if may_prune and self._keep_days:
                self._prune(now.date(), in_use)
        self._pack(monotonic + PACK_SECONDS, in_use)

    def _prune(self, today: date, in_use: Container[Path]) -> None:
        days_most = 1 if self.guard.is_careful else None
        old = prunable(self._all(), today=today, keep_days=self._keep_days, days_most=days_most)
        paths = [self._series.directory / segment.name for segment in old]
        idle = [one for one in paths if one not in in_use and self._is_idle(one, self._keep_days)]
        if idle and self._seals.may_prune(idle):
            for path in idle:
                self._disk.unlink(path)
                self._seals.pruned(path)

    def _packable(self, today: date) -> list[Path]:
        """Plain segments of days that are over."""
        plain = [one for one in self._all() if not one.is_packed]
        over = [one.name for one in plain if one.day is not None and one.day < today]
        return [self._series.directory / name for name in over]

    def _all(self) -> list[LogSegment]:
        return self._series.all_in(self._disk.names(self._series.directory))

    def _is_idle(self, path: Path, days: float) -> bool:
        """A plain file; a session's may still be written, however old its name."""
        try:
            status = self._disk.stat(path)
        except FileNotFoundError:
            return False
        idle_seconds = self._clock.now().timestamp() - status.st_mtime
        is_idle = not self._series.is_numbered or idle_seconds > days * DAY_SECONDS
        return stat.S_ISREG(status.st_mode) and is_idle

    def _pack(self, until: float, in_use: Container[Path]) -> None:
        while (self._packing or self._waiting) and self._clock.monotonic() < until:
            if self._packing is not None:
                self._pack_a_part(self._packing)
                continue
            path = self._waiting.pop(0)
            if path not in in_use and self._is_idle(path, 1):
                self._path, self._packing = path, pack(path, self._disk)

    def _pack_a_part(self, packing: Generator[None]) -> None:
        is_going_on = False
        try:
            with suppress(StopIteration):
                next(packing)
                is_going_on = True
        finally:
            if not is_going_on:
                self._packing = self._path = None

    def leave_alone(self, path: Path) -> None:
        """Somebody is about to write this file."""
        if path == self._path:
            self.stop()

    def stop(self) -> None:
        """Give up the packing under way; it begins anew another time."""
        packing, self._packing, self._path = self._packing, None, None
        if packing is not None:
            packing.close()
