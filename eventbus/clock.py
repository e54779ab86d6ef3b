"""The clock, and where a test replaces it."""

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

__all__ = ["SYSTEM_CLOCK", "Clock", "LatestTime", "file_tick", "utc_now"]

CLOCK_REALTIME_COARSE = 5
"""Linux's number of the clock that files are stamped by; Python has no name for it."""

utc_now = partial(datetime.now, UTC)
"""Now, aware and in UTC; a plain C call, because every event makes it."""


class Clock:
    """What the recorder's own parts ask for the time."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC; may jump."""
        return utc_now()

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        return time.monotonic()


SYSTEM_CLOCK = Clock()


def file_tick() -> timedelta:
    """How far the time the kernel gives a file may lag behind the clock: a tick, or a late one."""
    if sys.platform == "linux":
        with suppress(OSError):
            tick = time.clock_getres(CLOCK_REALTIME_COARSE)
            return timedelta(seconds=2 * tick, milliseconds=2)
    return timedelta(milliseconds=10)


class LatestTime:
    """The latest time the clock may have shown to anybody, though it went back since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen, self._seen_at = clock.now(), clock.monotonic()
        self._latest = self._seen

    def now(self) -> datetime:
        """Look at the clock; what it would show had nobody set it back."""
        seen, at = self._clock.now(), self._clock.monotonic()
        with suppress(OverflowError):  # at the end of the calendar
            self.is_at_least(self._seen + timedelta(seconds=at - self._seen_at))
        self.is_at_least(seen)
        self._seen, self._seen_at = seen, at
        return self._latest

    def is_at_least(self, moment: datetime) -> None:
        """Somebody has seen that time."""
        self._latest = max(self._latest, moment)
