"""The list the app appends to: room, bells, counts, and how events are made safe."""

import enum
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from eventbus import Event, EventBus, NotKept, UnknownEvent
from eventbus.apploop import ThreadTicket
from eventbus.event import decode
from eventbus.inbox import AWAIT_ROOM, COMPANY, ROOM, Drops, Inbox, prepare
from eventbus.testing import FaultyDisk
from tests.letters import LetterBundled, LetterNested, LetterSent, eventually

# --- room ------------------------------------------------------------------------


def test_what_is_put_is_taken_in_order() -> None:
    inbox = Inbox()
    for number in range(5):
        assert inbox.put(number)

    assert inbox.take() == [0, 1, 2, 3, 4]
    assert inbox.take() == []


@pytest.mark.parametrize(("weight", "room"), [(1, 64), (4, 64), (0.5, 128)])
def test_of_large_events_so_many_wait_and_not_one_more(
    tmp_path: Path, weight: float, room: int
) -> None:
    """64 MiB of them, but at least 64 however much they weigh."""
    text = "x" * int(weight * 1024 * 1024 - 400)  # one in memory, whoever holds it
    disk = FaultyDisk()

    with EventBus(tmp_path, disk=disk, serve="never", grace=0.1) as bus:
        disk.fail("writev", for_good=True)
        bus.emit_nowait(LetterSent(n=-1, text=text))
        assert eventually(lambda: bus.statistics().refusals)
        for number in range(2 * room):
            bus.emit_nowait(LetterSent(n=number, text=text))
        counts = bus.statistics()

    assert counts.waiting == room + 1  # and the one in hand
    assert counts.dropped == {"full": room}


def test_without_room_nothing_is_taken_and_it_is_counted() -> None:
    inbox = Inbox()
    inbox.fit_room(64 * 1024 * 1024 / 100)

    taken = [inbox.put(number) for number in range(103)]

    assert taken == [True] * 100 + [False] * 3
    assert inbox.dropped.totals() == {"full": 3}


@pytest.mark.parametrize(
    ("bytes_each", "room"),
    [(0, ROOM), (260, ROOM), (64 * 1024, 1024), (10 * 1024 * 1024, 64)],
)
def test_the_room_is_fit_to_what_events_weigh(bytes_each: float, room: int) -> None:
    inbox = Inbox()

    inbox.fit_room(bytes_each)

    assert inbox.room == room


def test_a_closed_inbox_takes_nothing_and_counts() -> None:
    inbox = Inbox()
    inbox.is_open = False

    assert not inbox.put(1)

    assert inbox.waiting == []
    assert inbox.dropped.totals() == {"closed": 1}


@pytest.mark.parametrize("phase", ["attend", "linger"])
def test_a_closed_inbox_lets_nobody_past_its_mark(phase: str) -> None:
    """The quick way of emit looks at the mark alone."""
    inbox = Inbox()
    inbox.is_open = False
    inbox.is_urgent = True

    inbox.attend() if phase == "attend" else inbox.linger(0)

    assert (inbox.mark, inbox.await_mark) == (0, 0)


# --- bells -----------------------------------------------------------------------


def test_a_sleeping_writer_is_woken_by_the_first_event() -> None:
    inbox = Inbox()
    threading.Timer(0.02, inbox.put, [1]).start()

    assert inbox.sleep(10)
    assert inbox.take() == [1]


def test_a_writer_asleep_makes_everyone_look_twice() -> None:
    inbox = Inbox()
    inbox.attend()
    assert (inbox.mark, inbox.await_mark) == (ROOM, AWAIT_ROOM)

    inbox.sleep(0)

    assert (inbox.mark, inbox.await_mark) == (0, 0)


def test_it_does_not_sleep_while_something_waits_or_somebody_does() -> None:
    waiting, urgent = Inbox(), Inbox()
    waiting.waiting.append(1)
    urgent.is_urgent = True

    assert waiting.sleep(3600)
    assert urgent.sleep(3600)


def test_a_quiet_sleep_ends_by_itself() -> None:
    assert not Inbox().sleep(0.001)


def test_ringing_twice_is_ringing_once() -> None:
    inbox = Inbox()
    inbox.ring()
    inbox.ring()

    assert inbox.sleep(1)
    assert not inbox.sleep(0.001)


def test_a_lingering_writer_is_woken_by_company() -> None:
    inbox = Inbox()
    done = threading.Event()

    def linger() -> None:
        inbox.linger(30)
        done.set()

    threading.Thread(target=linger, daemon=True).start()
    while inbox.mark != COMPANY:
        time.sleep(0.001)
    for number in range(COMPANY):
        inbox.put(number) if len(inbox.waiting) >= inbox.mark - 1 else inbox.waiting.append(number)

    assert done.wait(10)


def test_a_lingering_writer_is_woken_by_whoever_waits() -> None:
    inbox = Inbox()
    threading.Timer(0.02, inbox.hurry).start()
    began = time.monotonic()

    inbox.linger(30)

    assert time.monotonic() - began < 10


def test_tickets_are_given_out_once() -> None:
    inbox = Inbox()
    written, synced, room = ThreadTicket(), ThreadTicket(), ThreadTicket()
    inbox.written_tickets.append(written)
    inbox.synced_tickets.append(synced)
    inbox.room_tickets.append(room)

    assert inbox.tickets("written") == [written]
    assert inbox.tickets("synced") == [synced]
    assert inbox.room_seekers() == [room]
    assert inbox.tickets("written") == inbox.tickets("synced") == inbox.room_seekers() == []


def test_whoever_asks_once_the_writer_has_ended_is_turned_away() -> None:
    inbox = Inbox()
    inbox.is_deserted = True

    for waiting in (inbox.written_tickets, inbox.synced_tickets, inbox.room_tickets):
        waiter = ThreadTicket()
        inbox.ask(waiting, waiter)

        assert waiter.wait_here(0)
        assert isinstance(waiter.outcome, NotKept)
        assert waiting == []


# --- counts ----------------------------------------------------------------------


def test_drops_are_counted_by_reason_from_any_thread() -> None:
    drops = Drops()

    def drop() -> None:
        for _ in range(5_000):
            drops.add("full")
        drops.add("closed")

    threads = [threading.Thread(target=drop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert drops.totals() == {"full": 20_000, "closed": 4}
    assert drops.totals() == {"full": 20_000, "closed": 4}  # looking does not count


def test_each_drop_is_news_once() -> None:
    drops = Drops()
    began = datetime.now(UTC)
    drops.add("full")
    drops.add("full")

    ((reason, number, first, last),) = drops.fresh()
    assert (reason, number) == ("full", 2)
    assert began <= first <= last <= datetime.now(UTC)
    assert drops.fresh() == []
    drops.add("full")
    assert [(reason, number) for reason, number, _, _ in drops.fresh()] == [("full", 1)]
    assert drops.totals() == {"full": 3}


# --- what is recorded is what was true at emit ------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct, frozen=True):
    x: int
    next: "Point | None" = None


class Box(msgspec.Struct):
    content: int = 0


class InboxFrozen(Event, tag="inbox:frozen", frozen=True):
    a: int | str | None = None
    b: tuple[int, ...] = ()
    c: frozenset[str] = frozenset()
    d: Point | None = None
    e: Colour = Colour.RED
    f: Decimal | None = None
    g: UUID | None = None
    h: timedelta | None = None
    i: tuple[Point, str] | None = None


class InboxFlat(Event, tag="inbox:flat", frozen=True):
    a: dict[str, int] | None = None
    b: list[str] = []
    c: set[int] = set()


class InboxAny(Event, tag="inbox:any", frozen=True):
    a: Any = None


class InboxMutable(Event, tag="inbox:mutable", frozen=True):
    a: Box | None = None


class InboxDeep(Event, tag="inbox:deep", frozen=True):
    a: dict[str, list[int]] = {}


class InboxUnreadable(Event, tag="inbox:unreadable", frozen=True):
    """msgspec can write it and not read it back: too many types that look alike."""

    a: Decimal | UUID | None = None


class InboxThawed(Event, tag="inbox:thawed", frozen=True):
    a: tuple[list[int], ...] = ()


@pytest.mark.parametrize("event_class", [LetterSent, InboxFrozen])
def test_an_event_that_cannot_change_goes_as_it_is(event_class: type[Event]) -> None:
    assert prepare(event_class) is None


@pytest.mark.parametrize(
    "event",
    [InboxFlat(a={"x": 1}, b=["y"], c={1}), LetterBundled(marks={"x": "1"})],
    ids=lambda event: event.kind,
)
def test_a_flat_container_is_copied(event: Event) -> None:
    preparation = prepare(type(event))
    assert preparation is not None

    copy = preparation(event)

    assert copy == event
    assert copy is not event
    for name in event.__struct_fields__:
        mine, its = getattr(event, name), getattr(copy, name)
        assert its is not mine or not isinstance(mine, dict | list | set)


@pytest.mark.parametrize(
    "event",
    [
        InboxAny(a=[{}]),
        InboxMutable(a=Box()),
        InboxDeep(a={"x": [1]}),
        InboxThawed(a=([1],)),
        LetterNested(tree={"x": {}}),
    ],
    ids=lambda event: event.kind,
)
def test_what_is_deeper_is_encoded_at_once(event: Event) -> None:
    preparation = prepare(type(event))
    assert preparation is not None

    line = preparation(event)

    assert isinstance(line, msgspec.Raw)
    assert decode(bytes(line)) == event


def test_so_is_what_cannot_be_looked_into() -> None:
    preparation = prepare(InboxUnreadable)
    assert preparation is not None

    assert b'"a":"1.5"' in bytes(preparation(InboxUnreadable(a=Decimal("1.5"))))


def test_a_foreign_record_keeps_its_bytes() -> None:
    stranger = decode(b'{"kind":"a:b",  "odd" : 1}')
    assert isinstance(stranger, UnknownEvent)
    preparation = prepare(UnknownEvent)
    assert preparation is not None

    assert bytes(preparation(stranger)) == stranger.line
