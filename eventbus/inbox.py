"""What was emitted and is not yet written.

The hot path lives in `EventBus.emit_nowait`: one look at `mark`, one append.
Everything here is safe from any thread, a finaliser or a signal handler: no
lock is taken, nothing is logged, no call can wait.
"""

from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from eventbus.apploop import Ticket, settle
from eventbus.clock import utc_now
from eventbus.errors import NotKept
from eventbus.event import UNRESOLVABLE, Event, UnknownEvent, encode

__all__ = ["AWAIT_ROOM", "ROOM", "ROOM_LEAST", "Drops", "Inbox", "prepare"]

AWAIT_ROOM = 8_192
"""Events waiting at which `await emit` suspends."""
ROOM = 65_536
"""Events waiting at which `emit_nowait` drops."""
BYTES_ROOM = 64 * 1024 * 1024
"""Bytes waiting at which `emit_nowait` drops, by the size events had of late."""
ROOM_LEAST = 64
"""Events that have room however large they are: one is cut only as it is written,
and one that was far larger must not leave the small ones after it without room."""
COMPANY = 2_048
"""Events waiting at which a lingering writer is woken early."""


class Drops:
    """Events that could not be kept, counted by reason from any thread."""

    __slots__ = ("_counts", "_seen", "_since")

    def __init__(self) -> None:
        self._counts: dict[str, count[int]] = {}
        self._seen: dict[str, int] = {}
        self._since: dict[str, datetime] = {}

    def add(self, reason: str) -> None:
        """Count one; a single C call, so that no thread's count is lost."""
        counter = self._counts.get(reason)
        if counter is None:
            counter = self._counts.setdefault(reason, count())
            self._since.setdefault(reason, utc_now())
        next(counter)

    def totals(self) -> dict[str, int]:
        """How many, by reason."""
        counters = list(self._counts.items())
        return {reason: _value(counter) for reason, counter in counters}

    def fresh(self) -> list[tuple[str, int, datetime, datetime]]:
        """What came since this was asked before: reason, count, first and last time."""
        now = utc_now()
        news = []
        for reason, total in self.totals().items():
            before = self._seen.get(reason, 0)
            if total > before:
                news.append((reason, total - before, self._since.get(reason, now), now))
                self._seen[reason] = total
                self._since[reason] = now
        return news


def _value(counter: "count[int]") -> int:
    """Where a counter stands: the one question it answers without counting on."""
    return int(repr(counter)[len("count(") : -1])


class Inbox:
    """A list the app appends to and the writer empties, and a bell."""

    __slots__ = (
        "_bell",
        "await_mark",
        "dropped",
        "is_critical",
        "is_deserted",
        "is_open",
        "is_urgent",
        "mark",
        "room",
        "room_tickets",
        "synced_tickets",
        "taken",
        "waiting",
        "written_tickets",
    )

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        """Events, or `msgspec.Raw` lines where the event could change."""
        self.mark = 0
        """At this many waiting, `emit_nowait` must look twice; 0 while the writer sleeps."""
        self.await_mark = 0
        """The same for `await emit`."""
        self.room = ROOM
        self.is_open = True
        self.is_deserted = False
        """True once the writer has ended."""
        self.is_urgent = False
        """True when somebody waits: the writer does not linger."""
        self.is_critical = False
        """True when something waits that is synced at once."""
        self.taken = 0
        """Events the writer has taken out."""
        self.dropped = Drops()
        self.written_tickets: list[Ticket] = []
        self.synced_tickets: list[Ticket] = []
        self.room_tickets: list[Ticket] = []
        self._bell = allocate_lock()
        self._bell.acquire()

    # --- the app's side ------------------------------------------------------

    def put(self, item: Any, *, room: int | None = None) -> bool:
        """Append, waking the writer if it sleeps; False when there is no room."""
        if not self.is_open:
            self.dropped.add("closed")
            return False
        waiting = self.waiting
        if len(waiting) >= (self.room if room is None else room):
            self.dropped.add("full")
            self.ring()
            return False
        waiting.append(item)
        if self.mark == 0 or len(waiting) >= COMPANY:
            self.mark = self.room
            self.await_mark = min(self.room, AWAIT_ROOM)
            self.ring()
        return True

    def ring(self) -> None:
        """Wake the writer; ringing twice is ringing once."""
        try:
            self._bell.release()
        except RuntimeError:  # it rings already
            return

    def hurry(self) -> None:
        """Wake the writer and keep it from lingering."""
        self.is_urgent = True
        self.ring()

    def alarming(self, preparation: "Preparation | None") -> "Preparation | None":
        """The same preparation, for lines whose class the writer can no longer see."""
        if preparation is not _seal:
            return preparation

        def seal(event: Event) -> msgspec.Raw:
            self.is_critical = True
            return _seal(event)

        return seal

    def ask(self, waiting: list[Ticket], waiter: Ticket) -> None:
        """Have a ticket settled by the writer, or at once when it has ended."""
        waiting.append(waiter)
        self.hurry()
        if self.is_deserted:  # looked at after the append: the writer turns away those before
            self.turn_away()

    def turn_away(self) -> None:
        """Tell whoever waits that nothing more will be written."""
        for waiting in (self.written_tickets, self.synced_tickets, self.room_tickets):
            with suppress(IndexError):
                while True:
                    settle([waiting.pop()], NotKept("the bus has closed"))

    # --- the writer's side -----------------------------------------------------

    def take(self) -> list[Any]:
        """All that waits; each step is one C call, so appends are never lost."""
        number = len(self.waiting)
        taken = self.waiting[:number]
        del self.waiting[:number]
        return taken

    def sleep(self, timeout: float) -> bool:
        """Sleep until there is something to write; True when the bell rang."""
        self.mark = self.await_mark = 0
        if self.waiting or self.is_urgent:
            return True
        return self._bell.acquire(timeout=timeout)

    def linger(self, seconds: float) -> None:
        """Wait for company, unless somebody waits or much has come."""
        self.mark = self.await_mark = COMPANY if self.is_open else 0
        if not self.is_urgent and len(self.waiting) < COMPANY:
            self._bell.acquire(timeout=seconds)

    def attend(self) -> None:
        """Be awake: nobody needs to ring. After the end everyone must look twice."""
        self.mark = self.room if self.is_open else 0
        self.await_mark = min(self.mark, AWAIT_ROOM)

    def fit_room(self, bytes_each: float) -> None:
        """Hold fewer events when they are large."""
        self.room = max(ROOM_LEAST, min(ROOM, int(BYTES_ROOM / max(bytes_each, 1.0))))
        if self.mark > self.room:  # at once: the write that follows may take its time
            self.mark = self.room
            self.await_mark = min(self.await_mark, self.room)

    def tickets(self, level: str) -> list[Ticket]:
        """Who waits for a level; asked before `take`, so that their events are in it."""
        waiting = self.written_tickets if level == "written" else self.synced_tickets
        number = len(waiting)
        taken = waiting[:number]
        del waiting[:number]
        return taken

    def room_seekers(self) -> list[Ticket]:
        number = len(self.room_tickets)
        taken = self.room_tickets[:number]
        del self.room_tickets[:number]
        return taken


# --- what is recorded is what was true at emit ---------------------------------

Preparation = Callable[[Event], Any]


def prepare(event_class: type[Event]) -> Preparation | None:
    """How an event of that class is made safe from later changes; None: it goes as it is."""
    if issubclass(event_class, UnknownEvent):
        return _seal_unknown
    try:
        fields = msgspec.inspect.type_info(event_class).fields  # type: ignore[attr-defined]
    except UNRESOLVABLE:  # a type out of reach says nothing: taken as it is at emit
        return _seal
    flat = []
    for field in fields:
        if _is_flat(field.type):
            flat.append(field.name)
        elif not _is_frozen(field.type):
            return _seal
    return _copier(tuple(flat)) if flat else None


def _seal(event: Event) -> msgspec.Raw:
    return msgspec.Raw(encode(event))


def _seal_unknown(event: Event) -> msgspec.Raw:
    """A line somebody gives us must be one record, and none of the bus's own."""
    line = encode(event)
    if b"\n" in line or _read_kind(line).kind.startswith("bus:"):
        raise ValueError("the line is not one record of an app's")
    return msgspec.Raw(line)


class _Kinded(msgspec.Struct):
    kind: str


_read_kind = msgspec.json.Decoder(_Kinded).decode


def _copier(names: tuple[str, ...]) -> Preparation:
    """Copies the event and its flat containers; the caller's own stay untouched."""
    force = msgspec.structs.force_setattr

    def copy_one(event: Event) -> Event:
        own: Event = event.__copy__()  # type: ignore[attr-defined]
        value = getattr(own, only)
        if value is not None:
            force(own, only, value.copy())
        return own

    def copy_several(event: Event) -> Event:
        own: Event = event.__copy__()  # type: ignore[attr-defined]
        for name in names:
            value = getattr(own, name)
            if value is not None:
                force(own, name, value.copy())
        return own

    only = names[0]
    return copy_one if len(names) == 1 else copy_several


def _is_flat(node: msgspec.inspect.Type) -> bool:
    """A dict, list or set of values that never change."""
    inspect = msgspec.inspect
    if isinstance(node, inspect.UnionType):
        rest = [each for each in node.types if not isinstance(each, inspect.NoneType)]
        return len(rest) == 1 and _is_flat(rest[0])
    if isinstance(node, inspect.DictType):
        return _is_frozen(node.key_type) and _is_frozen(node.value_type)
    return isinstance(node, inspect.ListType | inspect.SetType) and _is_frozen(node.item_type)


def _frozen_leaves() -> tuple[type, ...]:
    inspect = msgspec.inspect
    return (
        inspect.NoneType,
        inspect.BoolType,
        inspect.IntType,
        inspect.FloatType,
        inspect.StrType,
        inspect.BytesType,
        inspect.DateTimeType,
        inspect.TimeType,
        inspect.DateType,
        inspect.TimeDeltaType,
        inspect.UUIDType,
        inspect.DecimalType,
        inspect.EnumType,
        inspect.LiteralType,
    )


_FROZEN = _frozen_leaves()


def _is_frozen(node: msgspec.inspect.Type, inside: tuple[Any, ...] = ()) -> bool:
    """True when a value of that type can never change."""
    inspect = msgspec.inspect
    if isinstance(node, _FROZEN):
        return True
    if isinstance(node, inspect.UnionType):
        return all(_is_frozen(each, inside) for each in node.types)
    if isinstance(node, inspect.VarTupleType | inspect.FrozenSetType):
        return _is_frozen(node.item_type, inside)
    if isinstance(node, inspect.TupleType):
        return all(_is_frozen(each, inside) for each in node.item_types)
    if isinstance(node, inspect.StructType):
        if node.cls in inside:
            return True
        frozen = bool(node.cls.__struct_config__.frozen)
        return frozen and all(_is_frozen(f.type, (*inside, node.cls)) for f in node.fields)
    return False
