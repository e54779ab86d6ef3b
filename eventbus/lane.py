"""One sink's cursor and the loop that serves it."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from eventbus.backlog import Backlog
from eventbus.clock import Clock
from eventbus.deadletters import DeadLetters
from eventbus.delivery import Delivery
from eventbus.disk import Disk
from eventbus.kinds import KindFilter
from eventbus.resume import keep_cursor
from eventbus.sink import Batch, Cursor, Home, Lost, Place, Sink
from eventbus.stretch import Stretch

__all__ = ["Lane", "LaneStatistics"]

Begin = Callable[[Cursor | None], tuple[Backlog, Cursor]]
"""Where a lane begins, given what its sink says; asked once the sink is open."""

TICK_EVERY = (0.7, 0.9)
"""Seconds, at random: sinks that are ticked at the same moment hold up the app's loop.

What becomes of a file is noticed by a tick, and within a second.
"""
BATCH_BYTES = 4 * 1024 * 1024
OPEN_PAUSE = 1.0
"""Seconds between tries to open a sink."""


class LaneStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A lane's counts; `seen` is the sum of the others."""

    seen: int
    delivered: int
    filtered: int
    dead: int
    pruned: int
    lag: int
    retries: int = 0
    last_error: str | None = None
    is_served: bool = True
    """False when another process serves it."""


class Lane:
    """Reads the journal from its own cursor and hands batches to its sink."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        wanted: KindFilter,
        home: Home,
        begin: Begin,
        say_gap: Callable[[str, str, int], None],
        cursor_path: Path | None = None,
        dead_path: Path | None = None,
        skip_before: int = 0,
    ) -> None:
        self.name = name
        self.sink = sink
        self.wanted = wanted
        self.backlog: Backlog | None = None
        self.cursor: Cursor = {}
        """What is done, by writer."""
        self._ahead: Cursor = self.cursor
        """What is in hand or done."""
        self._held: Batch | None = None
        """What was in hand when the lane broke; it comes first."""
        self.seen = 0
        """Counted by the writer's thread for own events, here for those read back."""
        self.read = 0
        self.filtered = 0
        self.pruned = 0
        """Events dropped or pruned before this lane had them."""
        self.untold = 0
        """Those no gap record speaks of yet."""
        self._lost = 0
        self.delivery = Delivery(sink, DeadLetters(dead_path, name, home).bury)
        self.news = asyncio.Event()
        self.moved = asyncio.Event()
        """Set whenever the cursor has moved."""
        self.is_open = False
        self.is_leaving = False
        self.is_finishing = False
        """True once all it is still to get has been offered."""
        self.is_over = False
        self.own_before = 0
        """This process's events that stand before the next of them this lane gets."""
        self.stop_at: int | None = None
        """How many of them there were when it was detached; it gets no later ones."""
        self._home = home
        self._clock: Clock = home.clock
        self._disk: Disk = home.disk
        self.join = self.begin
        """How it takes up its place; replaced where others must be held off meanwhile."""
        self._begin = begin
        self._say_gap = say_gap
        self._cursor_path = cursor_path
        self._skip_before = skip_before
        self._is_dirty = False
        self._saved: Cursor = {}
        self._next_tick = 0.0
        self._busy = asyncio.Lock()
        self._is_dry = False
        """True once it had collected all that was there."""
        self._is_lingering = False
        self.is_told_of_others = False
        """True when somebody looks for it whether other writers have written."""
        self._is_to_look = False

    # --- counts ----------------------------------------------------------------

    def statistics(self) -> LaneStatistics:
        """The counts now; lag is what is left."""
        # Each is read once: the lane goes on meanwhile, on a thread of its own.
        delivered, dead = self.delivery.delivered, self.delivery.dead
        filtered, pruned = self.filtered, self.pruned
        done = delivered + dead + filtered + pruned
        seen = max(done, self.seen + self.read)
        return LaneStatistics(
            seen=seen,
            delivered=delivered,
            filtered=filtered,
            dead=dead,
            pruned=pruned,
            lag=seen - done,
            retries=self.delivery.retries,
            last_error=self.delivery.last_error,
        )

    @property
    def _done(self) -> int:
        return self.delivery.delivered + self.delivery.dead + self.filtered + self.pruned

    # --- the loop --------------------------------------------------------------

    async def open(self) -> None:
        """Open the sink, trying until it opens; find the cursor."""
        while True:
            try:
                await self.sink.open(self._home)
                break
            except Exception as error:  # noqa: BLE001  told in the lane's counts, and tried again
                self.delivery.last_error = f"open: {type(error).__name__}: {error}"[:300]
                self.delivery.retries += 1
            await asyncio.sleep(OPEN_PAUSE)
        self.is_open = True
        if self.backlog is None:
            self.join(await self._where_it_stands())

    async def _where_it_stands(self) -> Cursor | None:
        """Ask the sink, until it can say."""
        while True:
            try:
                return await self.sink.cursor()
            except Lost:
                raise
            except Exception as error:  # noqa: BLE001  told in the lane's counts, and asked again
                self.delivery.last_error = f"cursor: {type(error).__name__}: {error}"[:300]
                self.delivery.retries += 1
            await asyncio.sleep(OPEN_PAUSE)

    def begin(self, told: Cursor | None = None) -> None:
        """Take up the place it starts from."""
        self.delivery.taken = told or {}
        self.backlog, self.cursor = self._begin(told)
        self._ahead = self.cursor

    def offer(self, stretch: Stretch) -> None:
        """Called by the writer's thread, right after it has written."""
        if self.backlog is None or self.backlog.own is None:
            return
        self.seen += stretch.count
        dropped = self.backlog.own.offer(stretch)
        if dropped:
            self.pruned += dropped
            self.untold += dropped

    def leave(self) -> bool:
        """Ask it to end between two batches; False when it is held up and must be cancelled."""
        self.is_leaving = True
        self.news.set()
        return self.is_open and not self._busy.locked()

    def finish(self) -> None:
        """Ask it to end once it has done what is left for it."""
        self.is_finishing = True
        self.news.set()

    async def run(self) -> None:
        """Serve until asked to leave, or cancelled."""
        backlog = self.backlog
        if backlog is None:
            return
        while not self.is_leaving:
            self.news.clear()
            at_once, self._is_to_look = self._is_to_look, False
            backlog.look(self._clock.monotonic(), at_once=at_once)
            batch = self._held or self._collect(backlog)
            is_idle = batch is None and self._ahead is self.cursor
            if not is_idle:
                await self._hand_over(batch, backlog)
            if self._clock.monotonic() >= self._next_tick:
                await self.tick()
            if self.is_finishing and (is_idle or self.own_before >= (self.stop_at or 0)):
                self.is_leaving = True
            elif is_idle:
                await self._wait(backlog)
            elif self._is_dry and self.sink.linger:
                await self._linger()

    async def _wait(self, backlog: Backlog) -> None:
        seconds = max(0.0, self._next_tick - self._clock.monotonic())
        if backlog.follows_others and not self.is_told_of_others:
            seconds = min(seconds, 0.1)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), seconds)

    async def _linger(self) -> None:
        """Let events gather, unless somebody waits for them or they fill a batch."""
        seconds = self.sink.linger * random.uniform(0.75, 1.25)  # lanes are not to go in step
        seconds = min(seconds, max(0.0, self._next_tick - self._clock.monotonic()))
        self.news.clear()
        self._is_lingering = True
        if not self._is_wanted():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), seconds)
        self._is_lingering = False

    def _is_wanted(self) -> bool:
        own = self.backlog.own if self.backlog is not None else None
        is_full = own is not None and own.is_full
        gathered = self.seen + self.read - self._done
        is_enough = is_full or gathered >= self.sink.batch_most
        return is_enough or self.is_finishing or self.is_leaving

    def bring_news(self, *, of_others: bool = False) -> None:
        """There is more for it; it looks at once, unless it lets events gather."""
        self._is_to_look |= of_others
        if not self._is_lingering or self._is_wanted():
            self.news.set()

    def _collect(self, backlog: Backlog) -> Batch | None:
        """What to hand over next; `_ahead` says where the cursor then stands."""
        parts: list[tuple[Stretch, list[int] | None]] = []
        cursor: Cursor = {}
        number, size, most = 0, 0, self.sink.batch_most
        while number < most and size < BATCH_BYTES:
            stretch = self._next_of(backlog, is_first=not cursor)
            self._is_dry = stretch is None
            if stretch is None:
                break
            before = self._before(stretch, backlog)
            fit = min(most, _most_by_size(stretch), self._most_of(stretch, before))
            taken = min(fit, stretch.count)
            if taken < min(1, stretch.count) or (number and number + taken > most):
                backlog.put_back(stretch)
                break
            if stretch.count > fit:
                stretch, rest = stretch.cut(fit)
                backlog.put_back(rest)
            self.read += _unseen(stretch, backlog)
            picked = stretch.pick(self.wanted, skip=self._pass(stretch, before))
            taken = stretch.count if picked is None else len(picked)
            self.filtered += stretch.count - taken
            cursor[stretch.writer] = stretch.end
            size += stretch.size
            if taken:
                parts.append((stretch, picked))
                number += taken
        if cursor:
            self._ahead = {**self._ahead, **cursor}
        return Batch(parts=parts, count=number, cursor=self._ahead) if parts else None

    def _next_of(self, backlog: Backlog, *, is_first: bool) -> Stretch | None:
        """The next records; a disk that refuses them is no reason to lose those before."""
        try:
            return backlog.next()
        except OSError:
            if is_first:
                raise
            return None

    def _before(self, stretch: Stretch, backlog: Backlog) -> int | None:
        """This process's events that stand before it; None: others', or older than the lane."""
        own = backlog.own
        if own is None or stretch.writer != own.writer or stretch.end <= own.since:
            return None
        return self.own_before if stretch.first is None else stretch.first

    def _most_of(self, stretch: Stretch, before: int | None) -> int:
        """How many of its records are still for this lane."""
        if before is None or self.stop_at is None:
            return stretch.count
        return self.stop_at - before + _opening(stretch) if self.stop_at > before else 0

    def _pass(self, stretch: Stretch, before: int | None) -> int:
        """Count it; how many of its first records were emitted before the lane was attached."""
        if before is None:
            return 0
        own = stretch.count - _opening(stretch)
        lost = before - self.own_before if stretch.start.segment != "memory" else 0
        self.pruned += lost  # their segment was gone before this lane had read it
        self._lost += lost
        self.own_before = before + own
        skip = min(own, self._skip_before - before)
        return skip + _opening(stretch) if skip > 0 else 0

    async def _hand_over(self, batch: Batch | None, backlog: Backlog) -> None:
        self._held = batch
        if batch is not None:
            async with self._busy:
                await self.delivery.deliver(batch, partial(self._collect, backlog))
            self._is_dirty = True
        self._held = None
        self.cursor = self._ahead
        self.moved.set()

    async def tick(self) -> None:
        """Let the sink tend itself, sync it, keep the cursor."""
        self._next_tick = self._clock.monotonic() + random.uniform(*TICK_EVERY)
        self._tell_gaps()
        if self.backlog is not None and self._ahead is self.cursor:
            self._ahead = self.cursor = self.backlog.forget_pruned(self.cursor, self._clock.now())
        try:
            async with self._busy:
                await self.sink.tick(self._clock.now())
                if self._is_dirty:
                    self._is_dirty = False
                    await self.sink.sync()
            self._save_cursor()
        except Lost:
            raise
        except Exception as error:  # noqa: BLE001  told in the lane's counts; the next tick tries again
            self._is_dirty = True
            self.delivery.last_error = f"tick: {type(error).__name__}: {error}"[:300]

    def _tell_gaps(self) -> None:
        """Leave a record of what this lane missed, at most one a tick."""
        untold, self.untold = self.untold, 0
        if untold:
            self._say_gap(self.name, "full", untold)
        lost, self._lost = self._lost, 0
        if lost:
            self._say_gap(self.name, "gone", lost)
        gone, unknown = self.backlog.lost() if self.backlog is not None else (0, 0)
        if gone:
            self._say_gap(self.name, "gone", gone)
        if unknown:
            self._say_gap(self.name, "gone, number unknown", 0)

    async def sync(self) -> bool:
        """Return when what was handed over is safe from a power cut; False when it is not."""
        try:
            async with self._busy:
                await self.sink.sync()
        except Exception as error:  # noqa: BLE001  told in the lane's counts; the next tick tries again
            self._is_dirty = True
            self.delivery.last_error = f"sync: {type(error).__name__}: {error}"[:300]
            return False
        self._is_dirty = False
        return True

    async def open_again(self) -> None:
        """Let a sink that has lost what it held go, and open it anew; the lane keeps its place."""
        self.is_open = False
        with suppress(Exception):  # it has nothing left to close
            await self.sink.close()
        await self.open()

    async def close(self) -> None:
        """Sync, keep the cursor, let the sink go."""
        try:
            if self.is_open and not self._busy.locked():  # else a call of it never came back
                await self._sync_and_save()
                await self.sink.close()
        except Exception as error:  # noqa: BLE001  told in the report
            self.delivery.last_error = f"close: {type(error).__name__}: {error}"[:300]
        finally:
            self.is_open = False
            self.is_over = True
            self.moved.set()
            if self.backlog is not None:
                self.backlog.close()

    async def _sync_and_save(self) -> None:
        try:
            await self.sink.sync()
            self._save_cursor()
        except Exception as error:  # noqa: BLE001  told in the report; the sink is closed all the same
            self.delivery.last_error = f"sync: {type(error).__name__}: {error}"[:300]

    async def reach(self, place: Place) -> bool:
        """Return once this process's events up to there are done; False if it ended first."""
        while not self.has_reached(place):
            if self.is_over:
                return False
            self.moved.clear()
            self.news.set()
            await self.moved.wait()
        return True

    def has_reached(self, place: Place) -> bool:
        """True when all of this process's events up to there are done."""
        own = self.backlog.own if self.backlog is not None else None
        if own is None:
            return False
        done = self.cursor.get(own.writer)
        return done is not None and own.moved(done) >= own.moved(place)

    # --- what is kept beside the journal --------------------------------------------

    def _save_cursor(self) -> None:
        if self._cursor_path is None or self.cursor == self._saved:
            return
        keep_cursor(self._cursor_path, self.cursor, taken=self.delivery.taken, disk=self._disk)
        self._saved = self.cursor


def _unseen(stretch: Stretch, backlog: Backlog) -> int:
    """Records the writer's thread has not counted for this lane."""
    own = backlog.own
    if own is None or stretch.writer != own.writer or stretch.end <= own.since:
        return stretch.count
    return _opening(stretch)


def _most_by_size(stretch: Stretch) -> int:
    """How many of its records are one batch."""
    if stretch.size <= BATCH_BYTES:
        return stretch.count
    return max(1, stretch.count * BATCH_BYTES // stretch.size)


def _opening(stretch: Stretch) -> int:
    """1 when its first record is the segment's own."""
    return int(stretch.start.offset == 0 and stretch.start.segment != "memory")
