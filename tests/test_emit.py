"""From the caller's hand into the journal: what emit promises."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eventbus import Event, EventBus, NotKept, UnknownEvent, read_journal, scope
from eventbus.event import decode
from eventbus.events.bus import GapLeft
from eventbus.inbox import AWAIT_ROOM, ROOM
from sinks.memory import MemorySink
from tests.letters import LetterBundled, LetterNested, LetterSent, letters, numbers


def kept(state: Path, kinds: Any = "letter:*") -> list[Event]:
    return list(read_journal(state, kinds=kinds))


def test_an_event_comes_back_equal_to_what_was_emitted(tmp_path: Path) -> None:
    with scope(session="s1", component="brain"):
        sent = LetterSent(n=1, text='"quotes" \n newlines \u2028 and ünïcode 🙂')

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(sent)

    assert kept(tmp_path) == [sent]


@pytest.mark.on_both_backends
async def test_every_way_to_emit_keeps_one_order(tmp_path: Path) -> None:
    sent = letters(6)

    async with EventBus(tmp_path) as bus:
        await bus.emit(sent[0])
        bus.emit_nowait(sent[1])
        await bus.emit_many(sent[2:4])
        await bus.emit(sent[4], until="written")
        await bus.emit(sent[5], until="synced")

    assert kept(tmp_path) == sent


@pytest.mark.on_both_backends
@pytest.mark.parametrize("until", ["written", "synced"])
async def test_an_event_awaited_is_in_the_file_when_emit_returns(
    tmp_path: Path, until: Any
) -> None:
    async with EventBus(tmp_path) as bus:
        for event in letters(3):
            await bus.emit(event, until=until)
            assert kept(tmp_path)[-1] == event


async def test_many_emitted_and_awaited_are_in_the_file(tmp_path: Path) -> None:
    async with EventBus(tmp_path) as bus:
        await bus.emit_many(letters(5_000), until="written")
        assert numbers(kept(tmp_path)) == list(range(5_000))


async def test_a_hundred_who_await_a_sync_share_few_of_them(tmp_path: Path) -> None:
    from eventbus.testing import FaultyDisk

    disk = FaultyDisk()
    async with EventBus(tmp_path, disk=disk) as bus:
        await asyncio.gather(*(bus.emit(event, until="synced") for event in letters(100)))
        syncs = disk.calls.count("sync")

    assert 1 <= syncs <= 10


@pytest.mark.parametrize("until", ["", "sealed", "Written", None])
async def test_a_level_that_does_not_exist_is_refused_by_name(tmp_path: Path, until: Any) -> None:
    async with EventBus(tmp_path) as bus:
        with pytest.raises(ValueError, match="allowed: buffered, written, synced"):
            await bus.emit(LetterSent(n=1), until=until)

    assert kept(tmp_path) == []


async def test_in_memory_nothing_above_buffered_can_be_reached() -> None:
    async with EventBus(None) as bus:
        await bus.emit(LetterSent(n=1))
        with pytest.raises(NotKept, match="keeps nothing on disk"):
            await bus.emit(LetterSent(n=2), until="written")


async def test_before_the_bus_is_open_nothing_above_buffered_can_be_reached(
    tmp_path: Path,
) -> None:
    bus = EventBus(tmp_path)

    with pytest.raises(NotKept, match="not open"):
        await bus.emit(LetterSent(n=1), until="written")


def test_what_is_emitted_before_the_bus_is_open_is_written_once_it_is(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)
    bus.emit_nowait(LetterSent(n=1))

    with bus:
        bus.emit_nowait(LetterSent(n=2))

    assert numbers(kept(tmp_path)) == [1, 2]


# --- what is recorded is what was true at emit -------------------------------------


def test_a_flat_container_is_recorded_as_it_was_at_emit(tmp_path: Path) -> None:
    marks, names = {"a": "1"}, ["x"]
    with EventBus(tmp_path) as bus:
        for _ in range(3):  # the first of a class takes another way than the next
            bus.emit_nowait(LetterBundled(marks=marks, names=names))
            marks["a"] = "changed"
            names.append("more")
            marks["a"], names[:] = "1", ["x"]
        bus.emit_nowait(LetterBundled(marks=marks, names=names))
        marks.clear()
        names.clear()

    assert [(each.marks, each.names) for each in kept(tmp_path)] == [({"a": "1"}, ["x"])] * 4  # type: ignore[attr-defined]


def test_a_deep_container_is_recorded_as_it_was_at_emit(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"branch": {"leaves": [1, 2]}}
    with EventBus(tmp_path) as bus:
        for _ in range(3):
            bus.emit_nowait(LetterNested(tree=tree))
        tree["branch"]["leaves"].append("changed")

    assert [each.tree for each in kept(tmp_path)] == [{"branch": {"leaves": [1, 2]}}] * 3  # type: ignore[attr-defined]


def test_the_callers_own_event_is_left_as_it_was(tmp_path: Path) -> None:
    marks, tree = {"a": "1"}, {"b": [1]}
    flat, deep = LetterBundled(marks=marks), LetterNested(tree=tree)

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(flat)
        bus.emit_nowait(deep)

    assert flat.marks is marks
    assert deep.tree is tree
    assert (marks, tree) == ({"a": "1"}, {"b": [1]})


def test_one_event_emitted_twice_has_one_id(tmp_path: Path) -> None:
    sent = LetterSent(n=1)

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(sent)
        bus.emit_nowait(sent)

    assert [event.id for event in kept(tmp_path)] == [sent.id, sent.id]


def test_an_event_of_a_kind_not_known_here_goes_out_unchanged(tmp_path: Path) -> None:
    line = b'{"kind":"stranger:seen","id":"7","ts":"2026-01-01T00:00:00Z","x" : [1,  2]}'
    stranger = decode(line)
    assert isinstance(stranger, UnknownEvent)

    with EventBus(tmp_path) as bus:
        bus.emit_nowait(stranger)

    (back,) = kept(tmp_path, "stranger:*")
    assert isinstance(back, UnknownEvent)
    assert back.line == line


# --- who may emit, and from where ----------------------------------------------------


def test_what_is_no_event_is_counted_and_never_raises(tmp_path: Path) -> None:
    class Odd:
        @property
        def __class__(self) -> Any:
            raise ZeroDivisionError

    with EventBus(tmp_path) as bus:
        for thing in (None, 1, "text", {"kind": "a:b"}, object(), LetterSent, Odd()):
            bus.emit_nowait(thing)  # type: ignore[arg-type]
        dropped = bus.statistics().dropped

    assert dropped == {"not an event": 7}


def test_nobody_can_forge_what_the_bus_says_of_itself(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(GapLeft(reason="forged", count=1))
        bus.flush_now()
        dropped = bus.statistics().dropped

    assert dropped == {"not an event": 1}
    assert not any(getattr(gap, "reason", "") == "forged" for gap in kept(tmp_path, "bus:gap"))


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"bus:gap","id":"1","wrong":"payload"}',
        b'{"kind":"bus:gap","id":"1","reason":"forged","count":1}',
        b'{"kind":"bus:never","id":"1"}',
        b'{"kind":"a:b"}\n{"kind":"a:b"}',
    ],
)
def test_a_foreign_line_cannot_forge_it_either(tmp_path: Path, line: bytes) -> None:
    with EventBus(tmp_path) as bus:
        for named in ("bus:gap", "a:b"):
            bus.emit_nowait(UnknownEvent(line=line, named=named))
        bus.flush_now()
        counts = bus.statistics()

    assert (counts.poison, counts.written) == (2, 0)
    assert kept(tmp_path, ("bus:gap", "bus:never")) == []
    assert len(kept(tmp_path, "*")) == 2


def test_many_threads_lose_nothing_and_each_keeps_its_order(tmp_path: Path) -> None:
    threads, each = 8, 2_000

    def send(start: int) -> None:
        for event in letters(each, start=start):
            bus.emit_nowait(event)

    with EventBus(tmp_path) as bus:
        running = [threading.Thread(target=send, args=(n * each,)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        bus.flush_now()
        counts = bus.statistics()

    found = numbers(kept(tmp_path))
    assert counts.dropped == {}
    assert sorted(found) == list(range(threads * each))
    for n in range(threads):
        mine = [number for number in found if number // each == n]
        assert mine == sorted(mine)


def test_a_finaliser_may_emit(tmp_path: Path) -> None:
    class Ends:
        def __del__(self) -> None:
            bus.emit_nowait(LetterSent(n=7))

    with EventBus(tmp_path) as bus:
        Ends()

    assert numbers(kept(tmp_path)) == [7]


def test_a_second_bus_has_its_own_events(tmp_path: Path) -> None:
    with EventBus(tmp_path / "a") as one, EventBus(tmp_path / "b") as two:
        one.emit_nowait(LetterSent(n=1))
        two.emit_nowait(LetterSent(n=2))

    assert numbers(kept(tmp_path / "a")) == [1]
    assert numbers(kept(tmp_path / "b")) == [2]


def test_two_buses_may_share_a_directory_in_one_process(tmp_path: Path) -> None:
    with EventBus(tmp_path) as one, EventBus(tmp_path) as two:
        assert one.writer_id != two.writer_id
        one.emit_nowait(LetterSent(n=1))
        two.emit_nowait(LetterSent(n=2))

    assert sorted(numbers(kept(tmp_path))) == [1, 2]


# --- when there is no room -----------------------------------------------------------


def test_without_room_the_newest_are_dropped_counted_and_told(tmp_path: Path) -> None:
    bus = EventBus(tmp_path)  # nobody writes yet
    for event in letters(ROOM + 10):
        bus.emit_nowait(event)
    before = bus.statistics()

    with bus:
        bus.flush_now()
        after = bus.statistics()

    assert before.waiting == ROOM
    assert before.dropped == after.dropped == {"full": 10}
    assert numbers(kept(tmp_path)) == list(range(ROOM))
    (gap,) = kept(tmp_path, "bus:gap")
    assert isinstance(gap, GapLeft)
    assert (gap.reason, gap.count, gap.lane) == ("full", 10, None)
    assert gap.first_ts is not None
    assert gap.last_ts is not None
    assert gap.first_ts <= gap.last_ts <= datetime.now(UTC)


@pytest.mark.on_both_backends
async def test_emit_suspends_while_many_wait_and_loses_nothing(tmp_path: Path) -> None:
    most = 0

    async with EventBus(tmp_path) as bus:
        for event in letters(40_000):
            await bus.emit(event)
            most = max(most, len(bus._inbox.waiting))
        dropped = bus.statistics().dropped

    assert most <= AWAIT_ROOM
    assert dropped == {}
    assert numbers(kept(tmp_path)) == list(range(40_000))


def test_large_events_leave_room_for_fewer(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        for event in letters(20):
            bus.emit_nowait(LetterSent(n=event.n, text="x" * 500_000))
        bus.flush_now(timeout=30)
        room = bus._inbox.room

    assert room < 1_000
    assert len(kept(tmp_path)) == 20


# --- the quick way counts as the slow one ---------------------------------------------


def test_the_sums_hold_while_threads_emit(tmp_path: Path) -> None:
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            bus.emit_nowait(LetterSent(n=1))

    wrong = []
    with EventBus(tmp_path, sinks=[MemorySink(capacity=10)]) as bus:
        running = [threading.Thread(target=send) for _ in range(2)]
        for thread in running:
            thread.start()
        for _ in range(300):
            now = bus.statistics()
            parts = (now.written, now.waiting, now.poison, *now.dropped.values())
            if now.accepted != sum(parts) or min(parts) < 0:
                wrong.append(now)
        stop.set()
        for thread in running:
            thread.join()

    assert wrong == []
