"""The recorder's second thread: the loop that serves every lane, and who serves which."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from eventbus.apploop import Ticket, ticket
from eventbus.claims import Claims, Serve
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import Event
from eventbus.lane import Lane, LaneStatistics
from eventbus.lanemaking import LaneMaker, Standing
from eventbus.loopthread import LoopThread
from eventbus.pulse import Pulse
from eventbus.reaching import Reaching
from eventbus.resume import read_cursor
from eventbus.scope import serving
from eventbus.segment import NOWHERE, Move
from eventbus.sink import Cursor, Lost, NamedSink, Place, Sink, find_sink
from eventbus.stretch import Stretch
from eventbus.wish import LaneWish

__all__ = ["LaneLoop", "Serve"]

Serving = asyncio.Task[None]

YIELD_CHECK = 0.4
"""Seconds between looks whether a resident wants the lane, or a lane is free."""
HASTE = 0.05
"""The same for a resident, and for one that wants to leave with everything delivered."""
RECOVERY_PAUSE = 0.5
"""Seconds before a lane that was given up, or broke, is taken up again."""
FAREWELL = 5.0
"""Seconds a detached lane gets to do what is left."""
LAST_BREATH = 0.3
"""Seconds a lane gets to close its sink once the time to drain is over."""


class LaneLoop:
    """Serves lanes on a loop and a thread of its own; starts with the first lane."""

    def __init__(
        self,
        state: Path | None,
        *,
        serve: Serve,
        emit: Callable[[Event], None],
        say_gap: Callable[[str, str, int], None],
        when_written: Callable[[Ticket], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self.lanes: dict[str, Lane] = {}
        """The lanes served here now."""
        self.wishes: dict[str, LaneWish] = {}
        self.standing = Standing()
        self.claims = Claims(state, serve, clock=clock, disk=disk)
        self._thread = LoopThread("eventbus-lanes")
        self._make = LaneMaker(
            state,
            self.standing,
            emit=emit,
            say_gap=say_gap,
            wake=partial(self._thread.soon, self._bring_news),
            clock=clock,
            disk=disk,
        )
        self._reaching = Reaching(self._thread, ours=self._ours_once_joined)
        self._emit = emit
        self._when_written = when_written
        self._disk = disk
        self._tasks: dict[str, Serving] = {}
        self._leaving: set[Lane] = set()
        """Lanes that were detached and still do what is left."""
        self._retiring: set[Serving] = set()
        self._pulse = Pulse(state / "journal", disk) if state is not None else None
        self._beating: Serving | None = None
        self._is_armed = True
        self._is_ending = False
        self._roll_call = threading.Lock()
        """Held while a lane joins or leaves, and while the writer counts who is there."""
        self._ready_made: dict[str, Sink] = {}
        self._departed: dict[str, LaneStatistics] = {}

    # --- the writer's side ---------------------------------------------------------

    def feed(self, stretches: list[Stretch]) -> None:
        """Offer what was just written to every lane; called by the writer's thread."""
        with self._roll_call:
            self.standing.end = stretches[-1].end
            self.standing.offered += sum(stretch.count for stretch in stretches)
            lanes = [*self.lanes.values(), *self._leaving]
        for lane in lanes:
            for stretch in stretches:
                lane.offer(stretch)
        if self.standing.moves and not self._reaching.is_asked:
            self._drop_moves(lanes)
        if lanes and self._is_armed:
            self._is_armed = False
            self._thread.soon(self._bring_news)

    def _drop_moves(self, lanes: list[Lane]) -> None:
        """Forget where that went which every lane has passed; nobody asks for a place in it."""
        moves = self.standing.moves
        while moves and all(self._has_passed(lane, moves[0]) for lane in lanes):
            del moves[0]

    def _has_passed(self, lane: Lane, move: Move) -> bool:
        """True when it stands behind all of it, and by a place that needs no move."""
        done = lane.cursor.get(self.standing.writer)
        has_left = done is not None and done.segment > move.old.segment
        return has_left and lane.has_reached(move.end)

    def _bring_news(self) -> None:
        self._is_armed = True
        with self._roll_call:
            lanes = [*self.lanes.values(), *self._leaving]
        for lane in lanes:
            lane.bring_news()

    # --- life ------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._thread.is_running

    def add(self, wish: LaneWish) -> None:
        """Begin to serve a lane; a local one sees what is written from now on.

        Raises `SinkNotFound` or `SettingsError` for a name or settings that cannot be.
        """
        if isinstance(wish.sink, NamedSink) and self.claims.serve != "never":
            self._ready_made[wish.name] = find_sink(wish.sink.use, wish.sink.settings)
        self._thread.start(at_end=self._reaching.end)
        self.wishes[wish.name] = wish
        if isinstance(wish.sink, NamedSink):
            if self.claims.serve != "never":
                self._thread.soon(self._begin_task, wish.name, self._serve_shared, wish)
            return
        lane = self._make.local(wish, wish.sink)
        with self._roll_call:
            lane.begin()
            lane.own_before = self.standing.offered
            self.lanes[wish.name] = lane
        self._thread.soon(self._begin_task, wish.name, self._serve_local, lane)

    def take_up_again(self) -> None:
        """After a fork: shared lanes are the child's too, once their locks are free."""
        for wish in list(self.wishes.values()):
            if wish.is_shared and wish.name not in self._tasks:
                self.add(wish)

    def _begin_task(self, name: str, serve: Callable[[Any], Awaitable[None]], what: Any) -> None:
        wish = self.wishes.get(name)
        if self._pulse is not None and self._beating is None and wish and wish.follows_others:
            self._beating = asyncio.ensure_future(self._pulse.run(self._bring_news_of_others))
        self._tasks[name] = asyncio.ensure_future(serve(what))

    def _bring_news_of_others(self) -> None:
        for lane in [*self.lanes.values(), *self._leaving]:
            lane.bring_news(of_others=True)

    def remove(self, name: str, *, emitted: int) -> bool:
        """Let a lane do what was emitted so far, then close its sink; its name is free at once."""
        if self.wishes.pop(name, None) is None:
            return False
        with self._roll_call:
            lane = self.lanes.pop(name, None)
            if lane is not None:
                lane.stop_at = emitted
                self._leaving.add(lane)
        self._thread.soon(self._begin_to_retire, name, lane)
        return True

    def _begin_to_retire(self, name: str, lane: Lane | None) -> None:
        retiring = asyncio.ensure_future(self._retire(self._tasks.pop(name, None), lane))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _retire(self, task: Serving | None, lane: Lane | None) -> None:
        if lane is not None and task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finish(lane, task), FAREWELL)
        await self._stop(task, lane)

    async def _finish(self, lane: Lane, task: Serving) -> None:
        """Return when it has done all that was emitted before, and ended."""
        waiter = ticket()
        self._when_written(waiter)
        await waiter.wait()
        lane.finish()
        await asyncio.wait([task])

    # --- serving ---------------------------------------------------------------------

    async def _serve_local(self, lane: Lane) -> None:
        serving.set(self._emit)
        await lane.open()
        while not lane.is_leaving:
            try:
                await lane.run()
            except Exception as error:  # noqa: BLE001  told in its counts; the lane goes on
                lane.delivery.last_error = f"lane: {type(error).__name__}: {error}"[:300]
                await asyncio.sleep(RECOVERY_PAUSE)
                if isinstance(error, Lost):
                    await lane.open_again()

    async def _serve_shared(self, wish: LaneWish) -> None:
        """Serve a shared lane whenever it is ours to serve."""
        while self.wishes.get(wish.name) is wish:
            try:
                await self._serve_in_turn(wish)
            except Exception as error:  # noqa: BLE001  told in its counts; begun again
                self._tell_trouble(wish.name, error)
            if self._is_ending:
                return
            await asyncio.sleep(RECOVERY_PAUSE)

    async def _serve_in_turn(self, wish: LaneWish) -> None:
        """Wait for the lock, and serve until somebody else should."""
        fd = await self._claim(wish.name)
        try:
            await self._serve_claimed(wish)
        finally:
            self.claims.let_go(wish.name, fd)

    def _tell_trouble(self, name: str, error: Exception) -> None:
        last = self._departed.get(name, _NOTHING)
        told = f"lane: {type(error).__name__}: {error}"[:300]
        self._departed[name] = msgspec.structs.replace(last, last_error=told)

    async def _serve_claimed(self, wish: LaneWish) -> None:
        named = wish.sink
        if not isinstance(named, NamedSink):
            return
        sink = self._ready_made.pop(wish.name, None) or find_sink(named.use, named.settings)
        lane = self._make.shared(wish, sink)
        serving = asyncio.ensure_future(self._open_and_run(wish.name, lane))
        try:
            while not serving.done():
                await asyncio.wait([serving], timeout=YIELD_CHECK)
                if self._must_yield():
                    lane.leave()
                    await asyncio.wait([serving], timeout=LAST_BREATH)
                    return
            await serving
        finally:
            serving.cancel()
            await asyncio.wait([serving], timeout=LAST_BREATH)
            await self._part_with(lane)

    async def _open_and_run(self, name: str, lane: Lane) -> None:
        lane.join = partial(self._join, name, lane)
        await lane.open()
        await lane.run()

    def _join(self, name: str, lane: Lane, told: Cursor | None) -> None:
        with self._roll_call:
            lane.begin(told)
            lane.own_before = self.standing.offered
            self.lanes[name] = lane

    async def _part_with(self, lane: Lane) -> None:
        with self._roll_call:
            if lane in self._leaving:
                self._leaving.discard(lane)
            else:
                self._departed[lane.name] = self._last_counts(lane)
            if self.lanes.get(lane.name) is lane:
                del self.lanes[lane.name]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lane.close(), LAST_BREATH)

    def _last_counts(self, lane: Lane) -> LaneStatistics:
        """Its counts; one that never came to its place has all before it."""
        counts = lane.statistics()
        if lane.backlog is None:
            offered = self.standing.offered
            return msgspec.structs.replace(counts, seen=offered, lag=offered)
        return counts

    async def _claim(self, name: str) -> int:
        """Wait until the lane's lock is ours; its descriptor."""
        while True:
            if not self._must_yield():
                fd = self.claims.try_lane(name)
                if fd is not None:
                    return fd
            is_hasty = self.claims.serve == "resident" or self._is_ending
            await asyncio.sleep(HASTE if is_hasty else YIELD_CHECK)

    def _must_yield(self) -> bool:
        """True when a resident is there to serve, and we are not about to leave."""
        return not self._is_ending and self.claims.has_resident()

    # --- questions ---------------------------------------------------------------------

    def statistics(self) -> dict[str, LaneStatistics]:
        """Every lane asked for, by name."""
        told = {name: lane.statistics() for name, lane in list(self.lanes.items())}
        for name in list(self.wishes):
            if name not in told:
                gone = self._departed.get(name, _NOTHING)
                told[name] = msgspec.structs.replace(gone, is_served=False)
        return told

    def reach(self, place: Place, *, sync: bool, tickets: list[Ticket]) -> None:
        """Tell the tickets once every lane served here has done all up to there."""
        self._reaching.ask(place, sync=sync, tickets=tickets)

    async def _ours_once_joined(self) -> list[Lane]:
        await self._wait_for_joining(1.0)
        return self._ours()

    def reached(self, place: Place) -> dict[str, bool]:
        """Which lanes served here have done all up to there by now."""
        return {name: lane.has_reached(place) for name, lane in list(self.lanes.items())}

    def _ours(self) -> list[Lane]:
        return list(self.lanes.values())

    # --- the end -----------------------------------------------------------------------

    def end_all(self, place: Place, grace: float) -> "Future[dict[str, LaneStatistics]]":
        """Drain every lane up to there, close the sinks, stop the loop."""
        told: Future[dict[str, LaneStatistics]] = Future()
        self._is_ending = True
        if not self._thread.soon(lambda: asyncio.ensure_future(self._end(place, grace, told))):
            told.set_result({})
        return told

    async def _end(
        self, place: Place, grace: float, told: "Future[dict[str, LaneStatistics]]"
    ) -> None:
        try:
            ours = await self._drain(place, grace)
            last = self.statistics()
            last.update({name: self._departed[name] for name in ours if name in self._departed})
            told.set_result(last)
        finally:
            if not told.done():
                told.set_result({})
            await _cancel_the_others()
            asyncio.get_running_loop().stop()

    async def _drain(self, place: Place, grace: float) -> set[str]:
        """Let every lane do what is left; which of them were served here."""
        await asyncio.sleep(0)  # lanes that were just asked for begin
        deadline = asyncio.get_running_loop().time() + grace
        if self._retiring:  # one of them may hold the lock that its successor waits for
            await asyncio.wait(self._retiring, timeout=grace / 2)
        await self._wait_for_joining(grace)
        for lane in self._ours():
            lane.delivery.hurry()
        draining = [asyncio.ensure_future(self._see_done(name, place)) for name in self.wishes]
        if draining:
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait(draining, timeout=max(0.0, left))
        names = {*self.claims.held, *(lane.name for lane in self._ours())}
        stopping = [self._stop(self._tasks.pop(n), self.lanes.get(n)) for n in list(self._tasks)]
        await asyncio.gather(*stopping)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=LAST_BREATH * 3)
        return names

    async def _see_done(self, name: str, place: Place) -> None:
        """Return once a lane has done all up to there, whoever serves it.

        When another process leaves before it has, the lane becomes ours, for
        as long as we may stay. A resident is trusted to do it.
        """
        while not await self._is_done(name, place):  # noqa: ASYNC110  others tell us nothing
            await asyncio.sleep(HASTE)

    async def _is_done(self, name: str, place: Place) -> bool:
        lane = self.lanes.get(name)
        if lane is not None:
            lane.delivery.hurry()
            return await lane.reach(place) or name not in self.claims.held
        if name not in self._tasks or self._tasks[name].done() or self.claims.has_resident():
            return True
        if name in self.claims.held:
            return False
        if place == NOWHERE:  # nothing was written
            return True
        done = read_cursor(self._make.cursor_path(name), self._disk).get(self.standing.writer)
        return done is not None and done >= place

    async def _wait_for_joining(self, grace: float) -> None:
        """A lane that has its lock but not yet its place gets a moment to begin."""
        for _ in range(int(min(grace, 1.0) / 0.02)):
            names = list(self.wishes)
            if all(name in self.lanes or not self._could_join(name) for name in names):
                return
            await asyncio.sleep(0.02)

    def _could_join(self, name: str) -> bool:
        if name not in self._tasks or self._tasks[name].done():
            return False
        return not self.claims.is_foreign(name)

    async def _stop(self, task: Serving | None, lane: Lane | None) -> None:
        """End a lane's task and close its sink, in bounded time."""
        if task is not None:
            if lane is not None and lane.leave():
                await asyncio.wait([task], timeout=LAST_BREATH)
            task.cancel()
            await asyncio.wait([task], timeout=LAST_BREATH * 2 + 0.1)
        if lane is not None and not lane.is_over:
            await self._part_with(lane)

    def forget_after_fork(self) -> None:
        """In a forked child: nothing of the parent's runs here."""
        self._tasks, self.lanes, self._leaving, self._retiring = {}, {}, set(), set()
        self._beating = None
        for part in (self._thread, self._reaching, self.claims):
            part.forget_after_fork()
        self.standing.offered = 0
        self._roll_call = threading.Lock()
        self._is_armed, self._is_ending = True, False


async def _cancel_the_others() -> None:
    """Let nobody wait for a loop that ends."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=LAST_BREATH)


_NOTHING = LaneStatistics(seen=0, delivered=0, filtered=0, dead=0, pruned=0, lag=0)
