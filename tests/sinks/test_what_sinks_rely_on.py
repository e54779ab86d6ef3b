"""What a bus does for its sinks: each test is a sentence of `docs/sinks.md`."""

import asyncio
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from eventbus import (
    Batch,
    Cursor,
    Event,
    EventBus,
    Lost,
    NamedSink,
    Refused,
    Sink,
    Unavailable,
)
from eventbus.errors import StoreUnusable
from eventbus.sink import Home, find_sink
from eventbus.store.opening import open_store
from eventbus.testing import SinkContract
from sinks import FileSink, SqliteSink

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sinks.md"


class Counted(Event, tag="counted:up"):
    number: int


class Probe(Sink):
    """Notes what it is given, and does what a test tells it to."""

    batch_most = 7

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.inside = 0
        self.overlapped = False
        self.closed = 0
        self.opened = threading.Event()

    async def note(self) -> None:
        self.inside += 1
        self.overlapped |= self.inside > 1
        await asyncio.sleep(0.001)
        self.inside -= 1

    async def open(self, home: Home) -> None:
        await self.note()
        self.opened.set()

    async def write(self, batch: Batch) -> None:
        await self.note()
        self.batches.append([getattr(event, "number", -1) for event in batch.events])

    async def tick(self, now: object) -> None:
        await self.note()

    async def sync(self) -> None:
        await self.note()

    async def close(self) -> None:
        await self.note()
        self.closed += 1

    @property
    def numbers(self) -> list[int]:
        return [number for batch in self.batches for number in batch if number >= 0]


def count(bus: EventBus, most: int, start: int = 0) -> None:
    for number in range(start, most):
        bus.emit_nowait(Counted(number=number))
    assert bus.flush_now(timeout=20).reached


def test_a_batch_is_never_empty(tmp_path: Path) -> None:
    probe = Probe()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        bus.attach(probe_of_nothing := Probe(), kinds="nothing:*")
        count(bus, 20)

    assert all(probe.batches)
    assert probe_of_nothing.batches == []


def test_a_batch_has_no_more_events_than_the_sink_wants(tmp_path: Path) -> None:
    probe = Probe()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        count(bus, 100)

    assert max(map(len, probe.batches)) == 7


def test_events_of_one_process_come_in_the_order_they_were_emitted(tmp_path: Path) -> None:
    probe = Probe()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        count(bus, 500)

    assert probe.numbers == list(range(500))


def test_methods_of_one_sink_never_overlap(tmp_path: Path) -> None:
    probe = Probe()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        for start in range(0, 200, 50):
            count(bus, start + 50, start)
            bus.flush_now(until="synced", timeout=20)

    assert not probe.overlapped


def test_a_batch_that_raised_comes_again(tmp_path: Path) -> None:
    class Failing(Probe):
        failures = 2

        async def write(self, batch: Batch) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("not now")
            await super().write(batch)

    probe = Failing()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        count(bus, 20)

    assert probe.numbers == list(range(20))


def test_an_event_that_is_refused_does_not_keep_its_neighbours_back(tmp_path: Path) -> None:
    class Picky(Probe):
        async def write(self, batch: Batch) -> None:
            if any(getattr(event, "number", 0) == 13 for event in batch.events):
                raise Refused("unlucky")
            await super().write(batch)

    probe = Picky()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        count(bus, 20)

    assert probe.numbers == [number for number in range(20) if number != 13]
    (dead,) = (tmp_path / "dead").iterdir()
    assert '"number":13' in dead.read_text()


def test_a_batch_that_cannot_be_taken_just_now_comes_again_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it fails, and whatever else is taken: no event is held to be the cause."""
    monkeypatch.setattr("eventbus.delivery.LONGEST_PAUSE", 0.01)

    class Locked(Probe):
        sizes: list[int] = []
        failures = 12

        async def write(self, batch: Batch) -> None:
            self.sizes.append(len(batch))
            if self.failures:
                self.failures -= 1
                raise Unavailable("locked")
            await super().write(batch)

    probe = Locked()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        count(bus, 7)
        lane = bus.statistics().lanes["locked"]

    assert len(set(probe.sizes[:13])) == 1
    assert probe.numbers == list(range(7))
    assert (lane.dead, lane.retries) == (0, 12)
    assert lane.last_error == "Unavailable: locked"


def test_a_sink_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    class Hung(Probe):
        async def write(self, batch: Batch) -> None:
            await asyncio.sleep(3_600)

    probe = Probe()
    with EventBus(tmp_path, sinks=[Hung(), probe], grace=0.2) as bus:
        for number in range(20):
            bus.emit_nowait(Counted(number=number))
        until = time.monotonic() + 20
        while len(probe.numbers) < 20 and time.monotonic() < until:
            time.sleep(0.01)

        assert probe.numbers == list(range(20))


def test_what_a_shared_sink_missed_while_it_was_away_is_handed_over_when_it_is_back(
    tmp_path: Path,
) -> None:
    with EventBus(tmp_path) as bus:
        count(bus, 10)
    with EventBus(tmp_path, sinks=[lines_sink()]) as bus:
        count(bus, 20, 10)
    with EventBus(tmp_path) as bus:
        count(bus, 30, 20)
    with EventBus(tmp_path, sinks=[lines_sink()]) as bus:
        count(bus, 31, 30)

    assert numbers_in(tmp_path) == list(range(31))


def test_a_shared_sink_that_keeps_a_cursor_goes_on_from_there(tmp_path: Path) -> None:
    """The lane's own cursor is gone, and nothing is written twice all the same."""
    with EventBus(tmp_path, sinks=[lines_sink()]) as bus:
        count(bus, 20)
    for path in (tmp_path / "journal" / "cursors").iterdir():
        path.unlink()
    with EventBus(tmp_path, sinks=[lines_sink()]) as bus:
        count(bus, 21, 20)

    assert numbers_in(tmp_path) == list(range(21))


def lines_sink() -> NamedSink:
    return NamedSink(use="jsonl", kinds=("counted:*",))


def numbers_in(state: Path) -> list[int]:
    text = (state / "logs" / "events.jsonl").read_text()
    return [int(found) for found in re.findall(r'"number":(\d+)', text)]


def test_a_sink_that_cannot_say_where_it_stands_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.lane.OPEN_PAUSE", 0.01)
    asked = []

    async def cursor(sink: FileSink) -> Cursor | None:
        asked.append(sink)
        if len(asked) < 3:
            raise OSError("not now")
        return None

    monkeypatch.setattr(FileSink, "cursor", cursor)
    with EventBus(tmp_path, sinks=[lines_sink()]) as bus:
        count(bus, 3)

    assert len(asked) == 3
    assert numbers_in(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("call", ["write", "tick", "cursor"])
def test_a_sink_that_has_lost_what_it_held_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A shared one is given all of it again, as far as the journal goes back."""
    monkeypatch.setattr("eventbus.lanes.RECOVERY_PAUSE", 0.01)
    with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        count(bus, 10)
    lose_once(monkeypatch, call, tmp_path / "store.db")

    with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        for number in range(10, 20):
            bus.emit_nowait(Counted(number=number))
        until = time.monotonic() + 20
        while numbers_landed(tmp_path) != list(range(20)) and time.monotonic() < until:
            time.sleep(0.02)

    assert numbers_landed(tmp_path) == list(range(20))


def lose_once(monkeypatch: pytest.MonkeyPatch, call: str, store: Path) -> None:
    """Let the store's file be gone when the sink is next called."""
    real, lost = getattr(SqliteSink, call), []

    async def lose(sink: SqliteSink, *args: Any) -> Any:
        if not lost:
            lost.append(sink)
            store.unlink()
            raise Lost("gone")
        return await real(sink, *args)

    monkeypatch.setattr(SqliteSink, call, lose)


def numbers_landed(state: Path) -> list[int]:
    try:
        with open_store(state) as store:
            rows = store.rows("SELECT message FROM events WHERE event_type = 'counted:up'")
    except StoreUnusable:
        return []
    return sorted(int(row[0].removeprefix("number=")) for row in rows)


def test_leaving_the_block_closes_the_sink(tmp_path: Path) -> None:
    probe = Probe()
    with EventBus(tmp_path, sinks=[probe]):
        assert probe.opened.wait(10)

    assert probe.closed == 1


def test_a_sink_whose_last_sync_fails_is_closed_all_the_same(tmp_path: Path) -> None:
    class Unsafe(Probe):
        async def sync(self) -> None:
            raise OSError("the disk is gone")

    probe = Unsafe()
    with EventBus(tmp_path, sinks=[probe]) as bus:
        count(bus, 3)

    assert probe.closed == 1


# --- the page -------------------------------------------------------------------------


def sentences_under(heading: str) -> list[str]:
    """The sentences in the lists of a section, as names of tests."""
    (section,) = re.findall(
        rf"^## {heading}\n(.*?)(?=^## )", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    sentences = re.findall(r"^- (.+)\.$", section, re.MULTILINE)
    return ["test_" + re.sub(r"[^a-z]+", "_", sentence.lower()) for sentence in sentences]


def test_every_sentence_of_the_contract_is_a_test_and_every_test_a_sentence() -> None:
    tests = [name for name in vars(SinkContract) if name.startswith("test_")]

    assert sentences_under("What a sink promises") == tests


def test_every_sentence_of_what_a_sink_may_rely_on_is_a_test() -> None:
    tests = [name for name in globals() if name.startswith("test_") and "sentence" not in name]

    assert sentences_under("What a sink may rely on") == tests


@pytest.mark.parametrize("name", ["jsonl", "flat", "console", "memory", "null", "sessions"])
def test_every_sentence_about_settings_names_real_ones(name: str) -> None:
    wanted = find_sink(name).Settings

    for field in getattr(wanted, "__struct_fields__", ()):
        assert field in PAGE.read_text()


def test_the_cursor_of_no_sentence_is_kept() -> None:
    cursor: Cursor | None = asyncio.run(Probe().cursor())

    assert cursor is None
