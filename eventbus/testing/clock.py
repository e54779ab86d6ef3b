"""A clock to turn by hand."""

from datetime import UTC, datetime, timedelta

from eventbus.clock import Clock

__all__ = ["FakeClock"]


class FakeClock(Clock):
    """Stands still until it is turned."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(
        self, seconds: float = 0.0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Let time pass."""
        passed = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        self._now += passed
        self._monotonic += passed.total_seconds()

    def jump(self, to: datetime) -> None:
        """Set the wall clock, while no time passes."""
        self._now = to
