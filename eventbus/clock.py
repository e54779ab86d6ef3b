"""The clock, and where a test replaces it."""

import time
from datetime import UTC, datetime
from functools import partial

__all__ = ["SYSTEM_CLOCK", "Clock", "utc_now"]

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
