"""EventBus: takes events in, writes the journal, runs the lanes."""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from eventbus.apploop import AppLoop, ThreadTicket, Ticket, app_loop, ticket
from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.counts import Flushed, Report, Statistics, count, report
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import BusClosed
from eventbus.event import Event
from eventbus.inbox import Inbox, Preparation
from eventbus.intake import Intake, Level, check_level
from eventbus.journal import Journal, JournalSettings
from eventbus.kinds import KindFilter, Kinds
from eventbus.redact import Redactor
from eventbus.sink import LANE_NAME, NamedSink, Place, Sink, lane_name_of
from eventbus.subscription import Handler, HandlerSink, Subscription
from eventbus.writer import Writer

if TYPE_CHECKING:
    from eventbus.lane import LaneStatistics
    from eventbus.lanes import LaneLoop

__all__ = ["EventBus", "Flushed", "Level", "Report", "Statistics", "open_buses"]

OnFull = Literal["wait", "drop_oldest", "drop_newest"]

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

        Returns what is so; with a timeout, also when that is less.
        """
        import anyio  # only who flushes needs it

        check_level(until)
        if self._is_disabled:
            return Flushed(reached=True, until=until, lanes={})
        here, lanes = self._none_reached(), dict[str, bool]()
        is_kept = False
        with anyio.move_on_after(timeout):
            is_kept = await self._journal_reaches(until)
            lanes = await self._lanes_reach(until)
        return self._flushed(until, is_kept, lanes, here)

    def _none_reached(self) -> dict[str, bool]:
        """The lanes served here as a flush begins: one that leaves meanwhile has not reached it."""
        return {} if self._lanes is None else dict.fromkeys(list(self._lanes.lanes), False)

    async def _journal_reaches(self, until: Level) -> bool:
        if self._writer is None or not self._writer.is_alive:
            return False
        waiter = ticket()
        level: Level = "synced" if until == "synced" and self.state else "written"
        self._inbox.ask(self._tickets(level), waiter)
        return await waiter.wait() is None

    async def _lanes_reach(self, until: Level) -> dict[str, bool]:
        if self._lanes is None or not self._lanes.is_running:
            return {}
        waiter = ticket()
        self._lanes.reach(self._lanes.end, sync=until == "synced", tickets=[waiter])
        reached: dict[str, bool] = await waiter.wait()
        return reached

    def flush_now(self, *, until: Level = "written", timeout: float | None = None) -> Flushed:
        """The same for code with no loop; blocks this thread."""
        check_level(until)
        if self._is_disabled:
            return Flushed(reached=True, until=until, lanes={})
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        first = ThreadTicket()
        here, lanes = self._none_reached(), dict[str, bool]()
        is_kept = False
        if self._writer is not None and self._writer.is_alive:
            level: Level = "synced" if until == "synced" and self.state else "written"
            self._inbox.ask(self._tickets(level), first)
            is_kept = first.wait_here(self._left(deadline)) and first.outcome is None
        second = ThreadTicket()
        if self._lanes is not None and self._lanes.is_running:
            self._lanes.reach(self._lanes.end, sync=until == "synced", tickets=[second])
            if second.wait_here(self._left(deadline)):
                lanes = second.outcome
        return self._flushed(until, is_kept, lanes, here)

    def _left(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._clock.monotonic())

    def _flushed(
        self, until: Level, is_kept: bool, lanes: dict[str, bool], here: dict[str, bool]
    ) -> Flushed:
        told = {} if self._lanes is None else self._lanes.reached(self._lanes.end)
        if until == "synced" or not is_kept:  # having it all is not enough
            told = {name: lanes.get(name, False) for name in told}
        told = {**here, **told, **lanes}
        return Flushed(reached=is_kept and all(told.values()), until=until, lanes=told)

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
        from eventbus.lanes import LaneWish  # asyncio, only where there are lanes

        lanes = self._lane_loop()
        if isinstance(sink, str):
            sink = NamedSink(use=sink)
        self._check_sink(sink)
        wanted = kinds if kinds is not None else sink.kinds
        patterns = KindFilter(wanted).patterns  # a wrong one is refused here, not in the loop
        if isinstance(sink, NamedSink):
            name = self._free_name(sink.lane if name is None else name, is_given=True)
        else:
            own_name = lane_name_of(type(sink).__name__.lower())
            name = self._free_name(own_name if name is None else name, is_given=name is not None)
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

    def _check_sink(self, sink: Sink | NamedSink) -> None:
        if not isinstance(sink, Sink | NamedSink):
            raise TypeError(
                f"cannot attach {sink!r}; give a sink, the name of an installed one or a NamedSink"
            )
        if isinstance(sink, NamedSink) and self.state is None:
            raise BusClosed(
                f"cannot attach {sink.use!r} by name: a bus in memory shares no lanes;"
                " give the sink itself"
            )
        wishes = self._lanes.wishes if self._lanes is not None else {}
        if any(wish.sink is sink for wish in wishes.values()):
            raise ValueError(f"{sink!r} is attached already; a sink serves one lane")

    def _emitted(self) -> int:
        """Events taken in so far."""
        if self._writer is None:
            return len(self._inbox.waiting)
        with self._writer.counts:
            return self._inbox.taken + len(self._inbox.waiting)

    def _free_name(self, name: str, *, is_given: bool) -> str:
        if not LANE_NAME.fullmatch(name):  # files are named after it
            raise ValueError(
                f"cannot name a lane {name!r}; a name is letters, digits, '.', '_' and '-'"
            )
        taken = self._lanes.wishes if self._lanes is not None else {}
        if name in taken and is_given:
            raise ValueError(f"a lane named {name!r} is there already; detach it or name another")
        number = 1
        free = name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        return free

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
        self.attach(sink, kinds=kinds, name=self._free_name(f"on-{sink.name}", is_given=False))

    def subscribe(self, kinds: Kinds = None, *, capacity: int = 1_000) -> Subscription:
        """Events of these kinds from now on, for `async for`; bounded, says what it missed."""
        subscription = Subscription(capacity=capacity, leave=lambda: self.detach(subscription.name))
        subscription.name = self.attach(
            subscription, kinds=kinds, name=self._free_name("subscription", is_given=False)
        )
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
        _open.append(self)
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
        self._lanes.writer = journal.writer if journal is not None else "memory"
        self._lanes.end = journal.place if journal is not None else Place("memory", 0)
        self._lanes.moves = journal.moves if journal is not None else []
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
                told = lanes.end_all(lanes.end, left).result(left + 0.9)
            except TimeoutError:
                told = lanes.statistics()
        if lanes is not None:
            lanes.claims.release_residence()
        _forget(self)
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
        import anyio

        if self.report is not None:
            return self.report
        with anyio.CancelScope(shield=True):
            waiter = ticket()
            outcome: list[Any] = []
            thread = threading.Thread(
                target=self._close_for, args=(grace, waiter, outcome), daemon=True
            )
            thread.start()
            await waiter.wait_out()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        report: Report = outcome[0]
        return report

    def _close_for(self, grace: float | None, waiter: Any, outcome: list[Any]) -> None:
        from eventbus.apploop import settle

        try:
            outcome.append(self.close(grace))
        except BaseException as error:  # noqa: BLE001  carried to the one who waits
            outcome.append(error)
        settle([waiter], None)

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
        if all(each is not self for each in _open):
            _open.append(self)
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:  # its children end without atexit
            multiprocessing.Finalize(self, self.close, exitpriority=10)

    def __repr__(self) -> str:
        state = "memory" if self.state is None else str(self.state)
        return f"EventBus({state!r}, {'open' if self.is_open else 'not open'})"


# --- every open bus of this process ------------------------------------------------------

_open: list[EventBus] = []
"""Held until they are closed: a bus nobody else holds still has events to write."""


def open_buses() -> list[EventBus]:
    """This process's open buses, oldest first."""
    return [bus for bus in list(_open) if bus.is_open]


def _forget(bus: EventBus) -> None:
    _open[:] = [each for each in _open if each is not bus]


def _close_all() -> None:
    """A close that was forgotten: drain at exit."""
    for bus in open_buses():
        bus.close()


def _after_fork_in_child() -> None:
    for bus in open_buses():
        bus._after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
