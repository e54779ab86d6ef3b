"""Handing one batch to a sink until it is taken, or each event it refuses stands alone."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec

from eventbus.sink import Batch, Cursor, Lost, Refused, Sink, Unavailable

__all__ = ["DATA_ERRORS", "Delivery", "Poisoned"]

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 30.0
"""Seconds between tries; doubled each time, with jitter."""
TRIES_BEFORE_HALVING = 2
"""Tries again of the same batch before it is halved."""
TRIES_BEFORE_BURIAL = 6
"""Tries again of an event that fails alone where others were taken before it."""
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


class Delivery:
    """The retry of one lane; counts what it took."""

    def __init__(self, sink: Sink, bury: Callable[[Poisoned], Awaitable[None]]) -> None:
        self.retries = 0
        self.delivered = 0
        self.dead = 0
        self.last_error: str | None = None
        self.taken: Cursor = {}
        """The cursor of the last batch that was taken: what a sink that keeps its own has."""
        self._sink = sink
        self._bury = bury
        self._hurry = asyncio.Event()
        self._tries = 0
        """Failures since something was taken, as far as the sink may be to blame."""
        self._suspects: list[Poisoned] = []
        """Events that failed alone since something was taken."""
        self._is_halving = False
        self._has_taken = False

    async def deliver(self, batch: Batch, more: Callable[[], Batch | None] = lambda: None) -> None:
        """Return once each event was taken or buried.

        An event that fails alone is to blame once a later one is taken, and
        the sink is to blame until then; `more` gives the next batch, if there
        is one, to find out.
        """
        left = [batch]
        self._begin()
        while left or self._suspects:
            if not left:
                left = await self._without_a_witness(more)
            elif len(self._suspects) >= LONE_FAILURES_MOST + self._tries:
                left += await self._blame_the_sink()
            elif (error := await self._try(left[-1])) is None:
                left.pop()
                await self._blame_the_suspects()
            else:
                left += await self._after(error, left.pop())

    def _begin(self) -> None:
        self._tries, self._suspects = 0, []
        self._is_halving = self._has_taken = False

    async def _after(self, error: Exception, part: Batch) -> list[Batch]:
        """What to try next, the first of it last."""
        if isinstance(error, Unavailable):
            await self._pause()
            return [part]
        is_data = isinstance(error, DATA_ERRORS)
        if not is_data and not self._is_halving and self._tries < TRIES_BEFORE_HALVING:
            await self._pause()
            return [part]
        self._is_halving = True
        if len(part) > 1:
            return [*reversed(part.halves())]
        if is_data:  # it says itself that the event is to blame
            await self._bury_all([Poisoned(part, error)])
        else:
            self._suspects.append(Poisoned(part, error))
        return []

    async def _without_a_witness(self, more: Callable[[], Batch | None]) -> list[Batch]:
        """Nothing is left to try but those that failed alone."""
        next_batch = more()
        if next_batch is not None:
            return [next_batch]
        if self._has_taken and self._tries >= TRIES_BEFORE_BURIAL:
            await self._blame_the_suspects()
            return []
        return await self._blame_the_sink()

    async def _blame_the_sink(self) -> list[Batch]:
        """Wait, and try them again."""
        suspects, self._suspects = self._suspects, []
        await self._pause()
        return [suspect.batch for suspect in reversed(suspects)]

    async def _blame_the_suspects(self) -> None:
        suspects, self._suspects, self._tries = self._suspects, [], 0
        self._has_taken = True
        await self._bury_all(suspects)

    async def _try(self, batch: Batch) -> Exception | None:
        try:
            await self._sink.write(batch)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return self._told(RuntimeError(f"the sink cancelled itself: {error}"))
        except Lost as error:
            self._told(error)
            raise
        except Exception as error:  # noqa: BLE001  counted, told, and tried again
            return self._told(error)
        self.delivered += len(batch)
        if batch.cursor:
            self.taken = batch.cursor
        return None

    def _told(self, error: Exception) -> Exception:
        self.last_error = f"{type(error).__name__}: {error}"[:300]
        return error

    async def _bury_all(self, poisoned: list[Poisoned]) -> None:
        for each in poisoned:
            self.dead += 1
            await self._bury(each)

    async def _pause(self) -> None:
        self.retries += 1
        seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._tries, 16))
        self._tries += 1
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds * random.uniform(0.5, 1.0))
        except TimeoutError:
            return
        await asyncio.sleep(FIRST_PAUSE)

    def hurry(self) -> None:
        """Wait no longer than the shortest pause from now on: the end is near."""
        self._hurry.set()


def _is_cancelled() -> bool:
    """True when somebody cancelled the lane, and not the sink itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
