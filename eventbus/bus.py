"""EventBus: takes events in, writes the journal, runs the lanes."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from eventbus.apploop import AppLoop, Ticket, app_loop, outlast
from eventbus.barrier import Barrier
from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.counts import Flushed, Report, Statistics, count, report
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import BusClosed
from eventbus.event import Event
from eventbus.inbox import Inbox, Preparation
from eventbus.intake import Intake, Level, check_level
from eventbus.journal import Journal, JournalSettings
from eventbus.kinds import KindFilter, Kinds
from eventbus.openbuses import OpenOnes
from eventbus.redact import Redactor
from eventbus.sink import NamedSink, Place, Sink
from eventbus.subscription import Handler, HandlerSink, Subscription
from eventbus.wish import LaneWish, OnFull, check_sink, free_name, lane_name
from eventbus.writer import Writer

if TYPE_CHECKING:
    from eventbus.lane import LaneStatistics
    from eventbus.lanes import LaneLoop

__all__ = ["EventBus", "Flushed", "Level", "Report", "Statistics", "open_buses"]

H = TypeVar("H", bound=Handler)
LAST_LOOK = 0.2
"""Seconds the writer gets, once the time is over, to say what it could not write."""
_YES = ("1", "true", "yes", "on")


class EventBus(Intake):
    """Takes typed events in and carries them to the journal and to sinks.

    `state` is the directory of the journal; None keeps everything in memory.
    Names in `sinks` are found by entry point and shared between processes;
    instances are taken as they are and see this process's events.
    """

    def __init__(
        self,
        state: str | os.PathLike[str] | None = ".state",
        *,
        sinks: Iterable[str | NamedSink | Sink] = (),
        serve: Literal["auto", "resident", "never"] = "auto",
        grace: float = 5.0,
        journal: JournalSettings = JournalSettings(),  # noqa: B008  frozen
        redact: Redactor | None = None,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.state = Path(state).absolute() if state is not None else None
        """The state directory; None in memory."""
        self.report: Report | None = None
        """How it ended, once it has."""
        self.grace = grace
        self.is_resident = False
        """True while this bus serves the shared lanes for every process."""
        self._sinks = tuple(sinks)
        self._serve = serve
        self._settings = journal
        self._redact = redact
        self._clock = clock
        self._disk = disk
        self._inbox = Inbox()
        self._waiting = self._inbox.waiting
        self._plans: dict[type, Preparation | None] = {}
        self._watches: dict[type, Callable[[Any], object]] = {}
        self._writer: Writer | None = None
        self._lanes: LaneLoop | None = None
        self._handlers: list[tuple[Handler, Kinds]] = []
        self._silent: list[Subscription] = []
        """Subscriptions of a disabled bus: nothing comes, and they end with it."""
        self._app: AppLoop | None = None
        self._lane_number = 0
        self._is_disabled = os.environ.get("EVENTBUS_DISABLED", "").lower() in _YES
        self._is_forked = False
        self._ending = threading.Lock()

    def emit_own(self, event: Event) -> None:
        """Put an event of the recorder's own into the stream, `bus:*` kinds too."""
        if not self._is_disabled:
            self._inbox.put(event)

    # --- waiting for what was emitted ------------------------------------------------

    async def flush(  # the timeout is part of the question: what is so is returned, not raised
        self,
        *,
        until: Level = "written",
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Flushed:
        """Wait until all that was emitted before is so safe, in the journal and every lane here.

        Returns what is so; with a timeout, also when that is less. In memory
        nothing is ever synced.
        """
        check_level(until)
        if self._is_disabled:
            return Flushed(reached=True, until=until, lanes={})
        return await self._barrier(until).wait(timeout)

    def flush_now(self, *, until: Level = "written", timeout: float | None = None) -> Flushed:
        """The same for code with no loop; blocks this thread."""
        check_level(until)
        if self._is_disabled:
            return Flushed(reached=True, until=until, lanes={})
        return self._barrier(until).wait_here(timeout)

    def _barrier(self, until: Level) -> Barrier:
        return Barrier(
            until, inbox=self._inbox, writer=self._writer, lanes=self._lanes, clock=self._clock
        )

    # --- lanes -----------------------------------------------------------------------

    def attach(
        self,
        sink: Sink | NamedSink | str,
        *,
        kinds: Kinds = None,
        name: str | None = None,
        writers: Literal["own", "all"] = "own",
        capacity: int = 10_000,
        on_full: OnFull = "wait",
    ) -> str:
        """Serve one more sink from now on; the name of its lane.

        `capacity` and `on_full` count only where the bus keeps nothing on disk.
        """
        lanes = self._lane_loop()
        if isinstance(sink, str):
            sink = NamedSink(use=sink)
        check_sink(sink, self._wishes, is_in_memory=self.state is None)
        wanted = kinds if kinds is not None else sink.kinds
        patterns = KindFilter(wanted).patterns  # a wrong one is refused here, not in the loop
        name = lane_name(sink, name, self._wishes)
        if lanes is None:
            return name
        wish = LaneWish(
            name=name,
            sink=sink,
            kinds=None if wanted is None else patterns,
            follows_all=writers == "all",
            capacity=capacity,
            on_full=on_full,
            skip_before=self._emitted(),
        )
        lanes.add(wish)
        return name

    @property
    def _wishes(self) -> "dict[str, LaneWish]":
        return self._lanes.wishes if self._lanes is not None else {}

    def _emitted(self) -> int:
        """Events taken in so far."""
        if self._writer is None:
            return len(self._inbox.waiting)
        with self._writer.counts:
            return self._inbox.taken + len(self._inbox.waiting)

    def detach(self, name: str) -> bool:
        """Let a lane finish what was emitted so far and close its sink; False if unknown."""
        return self._lanes is not None and self._lanes.remove(name, emitted=self._emitted())

    def on(self, kinds: Kinds) -> Callable[[H], H]:
        """Call a function for every such event, on the app's side; its errors are recorded."""

        def register(handler: H) -> H:
            if self._writer is None:
                self._handlers.append((handler, kinds))
            else:
                self._attach_handler(handler, kinds)
            return handler

        KindFilter(kinds)
        return register

    def _attach_handler(self, handler: Handler, kinds: Kinds) -> None:
        sink = HandlerSink(handler, self._app)
        self.attach(sink, kinds=kinds, name=free_name(f"on-{sink.name}", self._wishes))

    def subscribe(self, kinds: Kinds = None, *, capacity: int = 1_000) -> Subscription:
        """Events of these kinds from now on, for `async for`; bounded, says what it missed."""
        subscription = Subscription(capacity=capacity, leave=lambda: self.detach(subscription.name))
        name = free_name("subscription", self._wishes)
        subscription.name = self.attach(subscription, kinds=kinds, name=name)
        if self._is_disabled:
            self._silent.append(subscription)
        return subscription

    def _lane_loop(self) -> "LaneLoop | None":
        """The loop that serves lanes; None while the bus is disabled."""
        if not self._inbox.is_open:
            raise BusClosed("the bus has ended; make another")
        if self._is_disabled:
            return None
        if self._lanes is None or self._writer is None:
            raise BusClosed("the bus is not open; use it as a block, or call open()")
        return self._lanes

    # --- questions -------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """The counts at this moment; their sums hold."""
        writer, inbox = self._writer, self._inbox
        if writer is None:
            waiting = len(inbox.waiting)
            return count(inbox, written=0, poison=0, synced=0, waiting=waiting, unkept=0)
        lanes = self._lanes.statistics() if self._lanes is not None else {}
        journal = writer.journal
        with writer.counts:
            in_flight = inbox.taken - writer.written - writer.poison - writer.unkept
            return count(
                inbox,
                written=writer.written,
                poison=writer.poison,
                synced=writer.synced,
                waiting=len(inbox.waiting) + in_flight,
                unkept=writer.unkept,
                unsynced_bytes=journal.unsynced_bytes if journal is not None else 0,
                trouble=writer.trouble,
                refusals=writer.refusals,
                lanes=lanes,
            )

    @property
    def writer_id(self) -> str:
        """The name this process's writer has in the journal."""
        journal = self._writer.journal if self._writer is not None else None
        return journal.writer if journal is not None else "memory"

    @property
    def is_open(self) -> bool:
        is_begun = self._writer is not None or self._is_forked  # it begins at the first emit
        return is_begun and self._inbox.is_open

    def use_journal_settings(self, settings: JournalSettings) -> None:
        """Keep the journal by other settings from now on."""
        self._settings = settings
        writer = self._writer
        if writer is not None:
            writer.linger, writer.sync_every = settings.linger, settings.sync_every
            if writer.journal is not None:
                writer.journal.settings = settings

    # --- life ------------------------------------------------------------------------

    def open(self) -> Self:
        """Open the journal and start the writer; `with` and `async with` do it."""
        if self.report is not None:
            raise BusClosed("the bus has ended; make another")
        if self._writer is not None or self._is_disabled:
            return self
        self._app = app_loop()
        self._begin()
        _open.hold(self)
        try:
            for sink in self._sinks:
                self.attach(sink)
            for handler, kinds in self._handlers:
                self._attach_handler(handler, kinds)
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self) -> None:
        journal = None
        recovered: list[Event] = []
        if self.state is not None:
            journal = Journal(self.state, self._settings, clock=self._clock, disk=self._disk)
            recovered = [*journal.open(), *journal.prune()]
        writer = Writer(
            self._inbox,
            journal,
            clock=self._clock,
            redactor=self._redact,
            linger=self._settings.linger,
            sync_every=self._settings.sync_every,
        )
        if self._lanes is None:
            self._lanes = self._make_lanes()
        standing = self._lanes.standing
        standing.writer = journal.writer if journal is not None else "memory"
        standing.end = journal.place if journal is not None else Place("memory", 0)
        standing.moves = journal.moves if journal is not None else []
        writer.feed = self._lanes.feed
        self._writer = writer
        for event in recovered:
            self._inbox.put(event)
        writer.start()
        self._lanes.take_up_again()
        if self._serve == "resident" and self.state is not None:
            self.is_resident = self._lanes.claims.claim_residence()

    def _make_lanes(self) -> "LaneLoop":
        from eventbus.lanes import LaneLoop  # asyncio, only in a bus that is open

        return LaneLoop(
            self.state,
            serve=self._serve,
            emit=self.emit_nowait,
            say_gap=self._say_gap,
            when_written=self._when_written,
            clock=self._clock,
            disk=self._disk,
        )

    def _say_gap(self, lane: str, reason: str, number: int) -> None:
        if self._writer is not None:
            self._writer.say_gap(lane, reason, number)
            self._inbox.ring()

    def _when_written(self, waiter: Ticket) -> None:
        """Settle it once all that was emitted before is written."""
        self._inbox.ask(self._inbox.written_tickets, waiter)

    def close(self, grace: float | None = None) -> Report:
        """Drain within `grace` seconds and end; blocks. Closing twice is harmless."""
        with self._ending:
            if self.report is not None:
                return self.report
            self.report = self._end(self.grace if grace is None else grace)
            return self.report

    def _end(self, grace: float) -> Report:
        deadline = self._clock.monotonic() + grace
        inbox, writer, lanes = self._inbox, self._writer, self._lanes
        inbox.is_open = False
        inbox.mark = inbox.await_mark = 0
        if writer is None:
            for subscription in self._silent:
                subscription.cancel()
            return report(self.statistics(), {}, is_finished=True)
        finished = self._end_writer(writer, deadline)
        told: dict[str, LaneStatistics] = {}
        if lanes is not None and lanes.is_running:
            left = max(0.0, deadline - self._clock.monotonic())
            try:
                told = lanes.end_all(lanes.standing.end, left).result(left + 0.9)
            except TimeoutError:
                told = lanes.statistics()
        if lanes is not None:
            lanes.claims.release_residence()
        _open.let_go(self)
        return report(self.statistics(), told, is_finished=finished)

    def _end_writer(self, writer: Writer, deadline: float) -> bool:
        writer.end(deadline)
        if not writer.is_alive and not writer.finished.is_set():
            writer.run()  # its thread went with the interpreter's end: drain here
        finished = writer.finished.wait(max(0.0, deadline - self._clock.monotonic()) + LAST_LOOK)
        if not finished:
            writer.leave_them()
        return finished

    async def aclose(self, grace: float | None = None) -> Report:
        """Drain within `grace` seconds and end, shielded from cancellation."""
        if self.report is not None:
            return self.report
        return await outlast(partial(self.close, grace))

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        import anyio  # noqa: F401  its time is spent here, not at the first flush or the close

        return self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- fork --------------------------------------------------------------------------

    def _after_fork(self) -> None:
        """In a forked child: the parent's events are the parent's; begin anew at the first emit."""
        if self._writer is None:
            return
        self._inbox = Inbox()
        self._waiting = self._inbox.waiting
        self._ending = threading.Lock()
        journal = self._writer.journal
        if journal is not None:
            journal.abandon()
        self._writer = None
        self.report = None
        if self._lanes is not None:
            self._lanes.forget_after_fork()
        self._is_forked = True

    def _resume_after_fork(self) -> None:
        self._is_forked = False
        try:
            self._begin()
        except Exception:  # noqa: BLE001  counted: what is emitted from here on waits and is dropped when full
            self._inbox.dropped.add("cannot begin after fork")
            return
        _open.hold(self)
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:  # its children end without atexit
            multiprocessing.Finalize(self, self.close, exitpriority=10)

    def __repr__(self) -> str:
        state = "memory" if self.state is None else str(self.state)
        return f"EventBus({state!r}, {'open' if self.is_open else 'not open'})"


_open = OpenOnes(close=EventBus.close, after_fork=EventBus._after_fork)
"""Every open bus of this process."""


def open_buses() -> list[EventBus]:
    """This process's open buses, oldest first."""
    return _open.now()
