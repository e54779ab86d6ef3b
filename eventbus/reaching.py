"""Who waits for the lanes to reach a place; each is told once, though the loop ends first."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from eventbus.apploop import Ticket, settle
from eventbus.lane import Lane
from eventbus.loopthread import LoopThread
from eventbus.sink import Place

__all__ = ["Reaching"]


class Reaching:
    """Asked from any thread, done on the lanes' loop."""

    def __init__(self, thread: LoopThread, *, ours: Callable[[], Awaitable[list[Lane]]]) -> None:
        self._thread = thread
        self._ours = ours
        """The lanes served here, once those about to join have."""
        self._lock = threading.Lock()
        self._is_over = False
        self._asked: list[list[Ticket]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_asked(self) -> bool:
        """True while somebody waits."""
        return bool(self._asked)

    def ask(self, place: Place, *, sync: bool, tickets: list[Ticket]) -> None:
        """Tell the tickets once every lane served here has done all up to there."""
        with self._lock:
            if not self._is_over:
                self._asked.append(tickets)
                self._thread.soon(self._begin, place, sync, tickets)
                return
        settle(tickets, {})

    def _begin(self, place: Place, sync: bool, tickets: list[Ticket]) -> None:
        reaching = asyncio.ensure_future(self._reach(place, sync, tickets))
        self._tasks.add(reaching)
        reaching.add_done_callback(self._tasks.discard)

    async def _reach(self, place: Place, sync: bool, tickets: list[Ticket]) -> None:
        told: dict[str, bool] = {}
        try:
            lanes = await self._ours()
            reached = await asyncio.gather(*(_reach_one(lane, place, sync) for lane in lanes))
            told = dict(zip((lane.name for lane in lanes), reached, strict=True))
        finally:
            self._answer(tickets, told)

    def _answer(self, tickets: list[Ticket], told: dict[str, bool]) -> None:
        with self._lock:
            if tickets not in self._asked:
                return
            self._asked.remove(tickets)
        settle(tickets, told)

    def end(self) -> None:
        """Nobody is left to do what they wait for."""
        with self._lock:
            self._is_over = True
            asked = list(self._asked)
        for tickets in asked:
            self._answer(tickets, {})

    def forget_after_fork(self) -> None:
        """In a forked child: who waits is the parent's."""
        self._lock = threading.Lock()
        self._asked, self._tasks, self._is_over = [], set(), False


async def _reach_one(lane: Lane, place: Place, sync: bool) -> bool:
    is_done = await lane.reach(place)
    return await lane.sync() if is_done and sync else is_done
