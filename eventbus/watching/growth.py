"""Whether a tree grows: many new directories, one after another."""

__all__ = ["Growth"]

MANY, GROWN_S, GROWS_MOST_S = 10, 0.3, 2.0
"""So many new directories without a pause of that many seconds are a tree that grows; after
the longer time it is listened to all the same."""


class Growth:
    """Whether directories come in numbers just now."""

    def __init__(self) -> None:
        self._number = 0
        self._began_s = self._latest_s = 0.0

    def count(self, now_s: float) -> None:
        """One more has come."""
        if now_s - self._latest_s > GROWN_S:
            self._number, self._began_s = 0, now_s
        self._number += 1
        self._latest_s = now_s

    def goes_on(self, now_s: float) -> bool:
        """True while many come, though not for ever."""
        is_recent = now_s - self._latest_s <= GROWN_S and now_s - self._began_s <= GROWS_MOST_S
        return is_recent and self._number >= MANY
