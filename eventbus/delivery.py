"""Handing one batch to a sink until it is taken, or each event it refuses stands alone."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec

from eventbus.sink import Batch, Refused, Sink

__all__ = ["Delivery", "Poisoned"]

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 30.0
"""Seconds between tries; doubled each time, with jitter."""
TRIES_BEFORE_HALVING = 3
LONE_FAILURES_MOST = 4
"""Lone failures, with nothing taken in between, after which the sink is held to be down."""
DATA_ERRORS = (
    Refused,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)
"""What an event can cause; anything else is the sink's own trouble until proven otherwise."""


class Poisoned(msgspec.Struct, frozen=True):
    """An event the sink will not take, alone in its batch."""

    batch: Batch
    error: Exception


class _SinkDown(Exception):
    """Nothing is taken: the sink's trouble, not an event's."""


class Delivery:
    """The retry of one lane; counts what it took."""

    def __init__(self, sink: Sink, bury: Callable[[Poisoned], Awaitable[None]]) -> None:
        self.retries = 0
        self.delivered = 0
        self.dead = 0
        self.last_error: str | None = None
        self._sink = sink
        self._bury = bury
        self._hurry = asyncio.Event()

    async def deliver(self, batch: Batch) -> None:
        """Return once each event was taken or buried."""
        tries = 0
        while True:
            error = await self._try(batch)
            if error is None:
                return
            tries += 1
            is_data = isinstance(error, DATA_ERRORS)
            if is_data or (tries >= TRIES_BEFORE_HALVING and len(batch) > 1):
                try:
                    await self._halve(batch, error, patience=LONE_FAILURES_MOST + tries)
                    return
                except _SinkDown:
                    pass
            self.retries += 1
            await self._pause(tries)

    async def _try(self, batch: Batch) -> Exception | None:
        try:
            await self._sink.write(batch)
        except Exception as error:  # noqa: BLE001  counted, told, and tried again
            self.last_error = f"{type(error).__name__}: {error}"[:300]
            return error
        self.delivered += len(batch)
        return None

    async def _halve(self, batch: Batch, error: Exception, *, patience: int) -> None:
        """Find the events that fail alone, in order; bury them if others are taken."""
        taken = False
        failed: list[Poisoned] = []
        left: list[Batch] = [batch] if len(batch) == 1 else [*reversed(batch.halves())]
        while left:
            part = left.pop()
            why = error if len(batch) == 1 else await self._try(part)
            if why is None:
                taken = True
            elif len(part) > 1:
                left += reversed(part.halves())
            else:
                failed.append(Poisoned(part, why))
                if not taken and not isinstance(why, DATA_ERRORS) and len(failed) >= patience:
                    raise _SinkDown
        if not taken and not all(isinstance(each.error, DATA_ERRORS) for each in failed):
            raise _SinkDown
        for poisoned in failed:
            self.dead += 1
            await self._bury(poisoned)

    async def _pause(self, tries: int) -> None:
        seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 16))
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds * random.uniform(0.5, 1.0))
        except TimeoutError:
            return
        await asyncio.sleep(FIRST_PAUSE)

    def hurry(self) -> None:
        """Wait no longer than the shortest pause from now on: the end is near."""
        self._hurry.set()
