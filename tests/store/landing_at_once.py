"""An `emit` that lands at once, or ends as a kill would."""

from collections.abc import Iterable

from eventbus.event import Event, encode
from eventbus.sink import Batch
from eventbus.store.engine import Writer
from eventbus.store.landing import land

__all__ = ["Killed", "Landing"]


class Killed(BaseException):
    """What no code catches."""


class Landing:
    """Lands what it is given, some at a time, and is killed after so many events."""

    def __init__(self, writer: Writer, *, killed_after: int | None = None, most: int = 100) -> None:
        self.emitted = 0
        self._writer = writer
        self._left = killed_after
        self._most = most

    async def __call__(self, events: Iterable[Event], *, until: str) -> None:
        waiting = list(events)
        self.emitted += len(waiting)
        while waiting:
            part, waiting = waiting[: self._most], waiting[self._most :]
            if self._left is not None and len(part) > self._left:
                self._land(part[: self._left])
                raise Killed
            self._land(part)

    def _land(self, events: list[Event]) -> None:
        if self._left is not None:
            self._left -= len(events)
        if events:
            lines = [encode(event) for event in events]
            land(self._writer, Batch(events=events, lines=lines), lane="x")
