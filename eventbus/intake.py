"""The emitting half of a bus: from the caller's hand into the inbox."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from eventbus.apploop import ticket
from eventbus.errors import NotKept
from eventbus.event import Event, ReadyLine
from eventbus.events.llm import ModelAnswered
from eventbus.inbox import AWAIT_ROOM, Inbox, Preparation, prepare
from eventbus.kinds import is_critical
from eventbus.poison import fallback_line
from eventbus.scope import current_witness, serving
from eventbus.writer import Writer

__all__ = ["LEVELS", "Intake", "Level", "check_level"]

Level = Literal["buffered", "written", "synced"]
"""How safe: in memory, handed to the operating system, on the disk."""
LEVELS = ("buffered", "written", "synced")


class Intake:
    """Takes events in; never raises for the recorder's own trouble."""

    state: Path | None
    _inbox: Inbox
    _waiting: list[Any]
    """The inbox's own list, one look-up nearer."""
    _plans: dict[type, Preparation | None]
    """How an event of a class is made safe from later changes; None: as it is."""
    _watches: dict[type, Callable[[Any], object]]
    """Who is told of an event of a class the moment it is emitted."""
    _writer: Writer | None
    _is_disabled: bool
    _is_forked: bool

    def _resume_after_fork(self) -> None:
        raise NotImplementedError

    def emit_nowait(self, event: Event) -> None:
        """Hand over an event without waiting; never raises for the recorder's own trouble.

        Works from any thread, any loop or none, a finaliser, a signal
        handler. What cannot be taken is counted in `statistics().dropped`.
        """
        if len(self._waiting) < self._inbox.mark:
            try:
                plan = self._plans[event.__class__]
                self._waiting.append(event if plan is None else plan(event))
                return
            except Exception:  # noqa: BLE001, S110  a new class, or a value that will not copy
                pass
        self._emit_carefully(event)

    async def emit(self, event: Event, *, until: Level = "buffered") -> None:
        """Hand over an event; suspend only while some 8,192 are waiting.

        With `until="written"` or `"synced"`, return once it is; raises
        `NotKept` when that cannot be.
        """
        if until == "buffered" and len(self._waiting) < self._inbox.await_mark:
            try:
                plan = self._plans[event.__class__]
                self._waiting.append(event if plan is None else plan(event))
                return
            except Exception:  # noqa: BLE001, S110  a new class, or a value that will not copy
                pass
        await self._emit_waiting(event, until)

    async def emit_many(self, events: Iterable[Event], *, until: Level = "buffered") -> None:
        """Hand over events in order, as `emit` does each; wait for the level once."""
        check_level(until)
        kept = True
        waiting, inbox, plans = self._waiting, self._inbox, self._plans
        for event in events:
            if len(waiting) < inbox.await_mark:
                try:
                    plan = plans[event.__class__]
                    waiting.append(event if plan is None else plan(event))
                    continue
                except Exception:  # noqa: BLE001, S110  a new class, or a value that will not copy
                    pass
            await self._room()
            kept = self._emit_carefully(event) and kept
        if until != "buffered":
            await self._until(until, kept)

    async def _emit_waiting(self, event: Event, until: Level) -> None:
        check_level(until)
        await self._room()
        kept = self._emit_carefully(event)
        if until != "buffered":
            await self._until(until, kept)

    async def _room(self) -> None:
        """Wait while many events wait already."""
        if self.state is None and serving.get() == self.emit_nowait:
            return  # the writer waits for the lane that runs this: what finds no room is dropped
        inbox = self._inbox
        while inbox.is_open and len(self._waiting) >= min(AWAIT_ROOM, inbox.room):
            if self._writer is None or not self._writer.is_alive:
                return
            waiter = ticket()
            inbox.ask(inbox.room_tickets, waiter)
            await waiter.wait()

    async def _until(self, until: Level, kept: bool) -> None:
        if self._is_disabled:
            return
        if not kept:
            raise NotKept(f"the event was not taken: {_dropped_text(self._inbox)}")
        if self.state is None:
            raise NotKept(f"cannot reach {until!r}: this bus keeps nothing on disk")
        if self._writer is None or not self._writer.is_alive:
            raise NotKept(f"cannot reach {until!r}: the bus is not open")
        waiter = ticket()
        self._inbox.ask(self._tickets(until), waiter)
        outcome = await waiter.wait()
        if outcome is not None:
            raise outcome

    def _tickets(self, until: Level) -> list[Any]:
        inbox = self._inbox
        return inbox.written_tickets if until == "written" else inbox.synced_tickets

    def _emit_carefully(self, event: Any) -> bool:
        """The way of an event that is the first of its class, deep, or comes at a busy time."""
        if self._is_disabled:
            return True
        if self._is_forked:
            self._resume_after_fork()
        try:
            item = self._prepared(event)
        except Exception:  # noqa: BLE001  a stranger's object may raise anything here
            self._inbox.dropped.add("not an event")
            return False
        return self._inbox.put(item)

    def _prepared(self, event: Any) -> Any:
        event_class = event.__class__
        if event_class not in self._plans:
            self._plans[event_class] = self._plan(event_class)
        plan = self._plans[event_class]
        if plan is None:
            return event
        try:
            return plan(event)
        except Exception as error:  # noqa: BLE001  its values will not encode, or not copy
            return ReadyLine(fallback_line(event, error))

    def _plan(self, event_class: type) -> Preparation | None:
        """Decide once a class how its events are kept from later changes."""
        if not issubclass(event_class, Event):
            raise TypeError(f"cannot emit {event_class!r}; give an Event")
        if str(event_class.__struct_config__.tag).startswith("bus:"):
            raise TypeError(f"cannot emit {event_class!r}; the topic 'bus' is reserved")
        plan = prepare(event_class)
        if is_critical(event_class):
            plan = self._inbox.alarming(plan)
        watch = self._watches.get(event_class)
        if watch is not None:
            plan = _watched(plan, watch)
        return _watched(plan, _tell_witness) if issubclass(event_class, ModelAnswered) else plan

    def watch(self, event_class: type[Event], function: Callable[[Any], object] | None) -> None:
        """Tell a function of every event of a class as it is emitted; None: no more.

        It runs in the emitter's own thread, has to be quick and may not raise.
        Other classes are emitted no slower for it.
        """
        if function is None:
            self._watches.pop(event_class, None)
        else:
            self._watches[event_class] = function
        self._plans.pop(event_class, None)


def _tell_witness(event: Event) -> None:
    """Tell whoever counts model calls here, if somebody does."""
    witness = current_witness()
    if witness is not None:
        witness(event)


def _watched(plan: Preparation | None, watch: Callable[[Any], object]) -> Preparation:
    def prepared(event: Event) -> Any:
        item = event if plan is None else plan(event)
        watch(event)
        return item

    return prepared


def check_level(until: str) -> None:
    if until not in LEVELS:
        raise ValueError(f"cannot wait until {until!r}; allowed: {', '.join(LEVELS)}")


def _dropped_text(inbox: Inbox) -> str:
    return ", ".join(f"{reason} {number}" for reason, number in inbox.dropped.totals().items())
