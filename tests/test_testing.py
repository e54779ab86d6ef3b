"""What is given to people who test: it has to fail where it should."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import Event, EventBus, log_event
from eventbus.disk import Disk
from eventbus.sink import Batch, Cursor, Home, Place, Sink
from eventbus.testing import Crashed, FakeClock, FaultyDisk, SinkContract, check_sink, recorded
from eventbus.testing.disk import OPERATIONS


class TeaMade(Event):
    cups: int = 1


# --- the contract catches what it should ------------------------------------------


class Lines(Sink):
    """A sink that keeps the contract: ids in a file."""

    def __init__(self) -> None:
        self.path = Path()

    async def open(self, home: Home) -> None:
        assert home.logs is not None
        home.logs.mkdir(parents=True, exist_ok=True)
        self.path = home.logs / "ids"

    async def write(self, batch: Batch) -> None:
        with self.path.open("a") as file:
            file.writelines(f"{event.id}\n" for event in batch.events)


def read(state: Path) -> list[str]:
    return (state / "logs" / "ids").read_text().split("\n")[:-1]


def test_a_sink_that_keeps_the_contract_passes() -> None:
    check_sink(lambda state: Lines(), read)


class LeavesFiles(Lines):
    def __init__(self) -> None:
        Path("left").write_text("")


class NeedsItsDirectory(Lines):
    async def open(self, home: Home) -> None:
        assert home.logs is not None
        self.path = home.logs / "ids"
        self.path.touch()


class TakesAnySetting(Lines):
    class Settings(msgspec.Struct):
        no_such_setting: int = 0


class WantsNonsense(Lines):
    kinds = "a*b"


class LosesTheLast(Lines):
    async def write(self, batch: Batch) -> None:
        await super().write(Batch(events=batch.events[:-1]))


class Sorts(Lines):
    async def write(self, batch: Batch) -> None:
        await super().write(Batch(events=list(reversed(batch.events))))


class NeedsEvents(Lines):
    async def write(self, batch: Batch) -> None:
        if batch._events is not None:
            await super().write(batch)


class EatsTheBatch(Lines):
    async def write(self, batch: Batch) -> None:
        await super().write(batch)
        batch.events.clear()


class WantsNewBatches(Lines):
    seen: Cursor | None = None

    async def write(self, batch: Batch) -> None:
        assert not batch.cursor or batch.cursor != self.seen
        self.seen = batch.cursor
        await super().write(batch)


class KnowsItsKinds(Lines):
    async def write(self, batch: Batch) -> None:
        assert all(event.kind.partition(":")[0] != "stranger" for event in batch.events)
        await super().write(batch)


class WantsShortText(Lines):
    async def write(self, batch: Batch) -> None:
        assert all(len(line) < 10_000 for line in batch.lines)
        await super().write(batch)


class FollowsText(Lines):
    async def write(self, batch: Batch) -> None:
        await super().write(batch)
        for event in batch.events:
            if event.scope.session and event.scope.session.startswith(".."):
                (self.path.parents[3] / "out").write_text("")


class Sleeps(Lines):
    async def write(self, batch: Batch) -> None:
        time.sleep(0.02)
        await super().write(batch)


class SulksWhenCancelled(Lines):
    is_hurt = False

    async def write(self, batch: Batch) -> None:
        assert not self.is_hurt
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.is_hurt = True
            raise
        await super().write(batch)


class TrustsTheClock(Lines):
    last: datetime | None = None

    async def tick(self, now: datetime) -> None:
        assert self.last is None or now >= self.last
        self.last = now


class SyncsNothing(Lines):
    async def sync(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(0)


class ClosesOnce(Lines):
    async def open(self, home: Home) -> None:
        await super().open(home)
        self.file = self.path.open("a")

    async def write(self, batch: Batch) -> None:
        await super().write(batch)

    async def close(self) -> None:
        self.file.close()
        del self.file


class LeavesAThread(Lines):
    async def open(self, home: Home) -> None:
        await super().open(home)
        threading.Thread(target=time.sleep, args=(7,), daemon=True).start()


class BeginsAnew(Lines):
    async def open(self, home: Home) -> None:
        await super().open(home)
        self.path.write_text("")


class MakesUpACursor(Lines):
    async def cursor(self) -> Cursor | None:
        return {"writer": Place("elsewhere", 7)}


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (LeavesFiles, "making_a_sink_does_nothing_yet"),
        (NeedsItsDirectory, "it_opens_where_nothing_is_yet"),
        (TakesAnySetting, "it_refuses_settings_that_it_does_not_know"),
        (WantsNonsense, "the_kinds_it_wants_are_patterns_or_event_classes"),
        (LosesTheLast, "every_event_is_there_once_and_in_order"),
        (Sorts, "every_event_is_there_once_and_in_order"),
        (NeedsEvents, "a_batch_of_lines_is_as_good_as_a_batch_of_events"),
        (EatsTheBatch, "a_batch_is_left_as_it_was"),
        (WantsNewBatches, "a_batch_may_come_a_second_time"),
        (KnowsItsKinds, "it_takes_kinds_it_does_not_know"),
        (WantsShortText, "it_takes_any_text"),
        (FollowsText, "no_text_leads_it_out_of_its_place"),
        (Sleeps, "it_does_not_hold_up_the_loop"),
        (SulksWhenCancelled, "it_writes_on_after_a_write_was_cancelled"),
        (TrustsTheClock, "it_writes_on_after_a_tick_whatever_the_clock_says"),
        (SyncsNothing, "it_writes_on_after_a_sync"),
        (ClosesOnce, "closing_twice_is_harmless"),
        (ClosesOnce, "closing_what_was_never_opened_is_harmless"),
        (LeavesAThread, "closing_leaves_no_thread_and_no_descriptor"),
        (BeginsAnew, "a_new_one_goes_on_where_the_last_one_closed"),
        (MakesUpACursor, "a_cursor_it_keeps_is_the_last_it_was_given"),
    ],
)
def test_each_part_of_the_contract_catches_a_sink_that_breaks_it(
    make: Callable[[], Sink], test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(SinkContract):
        def make(self, state: Path) -> Sink:
            return make()

        def read(self, state: Path) -> list[str]:
            return read(state)

    monkeypatch.setattr("eventbus.testing.contract.PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr("eventbus.testing.contract.LATE_SECONDS", 0.1)
    monkeypatch.chdir(tmp_path)

    with pytest.raises((AssertionError, AttributeError, OSError, ValueError)):
        getattr(Broken(), f"test_{test}")(tmp_path)


def test_each_part_of_the_contract_is_tried_on_a_broken_sink() -> None:
    (mark,) = (
        mark
        for mark in test_each_part_of_the_contract_catches_a_sink_that_breaks_it.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    )
    tried = {f"test_{test}" for _, test in mark.args[1]}

    assert tried == {name for name in vars(SinkContract) if name.startswith("test_")}


# --- a clock to turn by hand ------------------------------------------------------


def test_a_fake_clock_stands_still_until_it_is_turned() -> None:
    clock = FakeClock(datetime(2026, 3, 10, tzinfo=UTC))
    before = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == before

    clock.advance(1, minutes=1, hours=1, days=1)

    passed = timedelta(days=1, hours=1, minutes=1, seconds=1)
    assert clock.now() - before[0] == passed
    assert clock.monotonic() - before[1] == passed.total_seconds()


def test_a_fake_clock_that_jumps_lets_no_time_pass() -> None:
    clock = FakeClock()
    steady = clock.monotonic()

    clock.jump(datetime(1970, 1, 1, tzinfo=UTC))

    assert clock.now().year == 1970
    assert clock.monotonic() == steady


# --- a disk that fails --------------------------------------------------------------


def open_new(disk: Disk, path: Path) -> int:
    return disk.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)


def test_a_call_fails_where_it_was_told_to_once_or_for_good(tmp_path: Path) -> None:
    disk = FaultyDisk()
    fd = open_new(disk, tmp_path / "a")
    disk.fail("write", 2, error=errno.ENOSPC)
    disk.fail("sync", for_good=True)

    assert disk.write(fd, b"one") == 3
    with pytest.raises(OSError, match="No space left"):
        disk.write(fd, b"two")
    assert disk.write(fd, b"three") == 5
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            disk.sync(fd)
    disk.heal()
    disk.sync(fd)

    assert (tmp_path / "a").read_bytes() == b"onethree"
    assert disk.calls == ["open", *["write"] * 3, *["sync"] * 4]
    disk.close(fd)


def test_a_call_may_be_done_and_fail_all_the_same(tmp_path: Path) -> None:
    disk = FaultyDisk()
    (tmp_path / "a").write_text("")
    disk.fail("rename", after=True)

    with pytest.raises(OSError, match="Input/output"):
        disk.rename(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "b").exists()


def test_a_descriptor_is_closed_even_if_closing_fails(tmp_path: Path) -> None:
    disk = FaultyDisk()
    fd = open_new(disk, tmp_path / "a")
    disk.fail("close")

    with pytest.raises(OSError, match="Input/output"):
        disk.close(fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_short_write_takes_half(tmp_path: Path) -> None:
    disk = FaultyDisk()
    fd = open_new(disk, tmp_path / "a")
    disk.shorten(2)

    disk.write(fd, b"1234")
    assert disk.write(fd, b"5678") == 2
    disk.write_all(fd, b"78")

    assert (tmp_path / "a").read_bytes() == b"12345678"
    disk.close(fd)


def test_after_a_crash_nothing_is_done_any_more_and_locks_are_free(tmp_path: Path) -> None:
    disk = FaultyDisk()
    fd = open_new(disk, tmp_path / "a")
    assert disk.lock(fd)
    disk.crash(2)
    disk.write(fd, b"whole")
    with pytest.raises(Crashed):
        disk.write(fd, b"half")
    with pytest.raises(Crashed):
        disk.unlink(tmp_path / "a")

    other = Disk()
    again = open_new(other, tmp_path / "a")
    assert other.lock(again)
    assert other.read(tmp_path / "a") == b"wholeha"
    other.close(again)


def test_every_call_of_a_disk_goes_through_what_can_fail(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.replace(tmp_path / "a", b"content")
    assert disk.read(tmp_path / "a") == b"content"
    assert {"open", "write", "close", "rename", "size", "pread"} <= set(disk.calls)
    assert set(disk.calls) <= set(OPERATIONS)


# --- what was emitted ----------------------------------------------------------------


def test_what_is_emitted_inside_the_block_is_recorded() -> None:
    with recorded() as record:
        record.bus.emit_nowait(TeaMade(cups=2))
        log_event("app:start", "main")

        assert [event.kind for event in record.events] == ["tea:made", "app:start"]
        assert record.of(TeaMade) == record.of("tea:*") == record.events[:1]


def test_what_was_recorded_is_there_after_the_block() -> None:
    with recorded() as record:
        record.bus.emit_nowait(TeaMade())

    assert len(record.of(TeaMade)) == 1


async def test_a_coroutine_is_recorded_like_any_other_code() -> None:
    with recorded() as record:
        await record.bus.emit(TeaMade())

        assert len(record.events) == 1


def test_nothing_is_written_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with recorded() as record:
        log_event("app:start", "main")
        _ = record.events

    assert list(tmp_path.iterdir()) == []


def test_the_stand_ins_fit_a_bus(tmp_path: Path) -> None:
    clock, disk = FakeClock(), FaultyDisk()
    with EventBus(tmp_path, clock=clock, disk=disk) as bus:
        bus.emit_nowait(TeaMade())

    assert bus.report is not None
    assert bus.report.is_complete
    assert "writev" in disk.calls


def test_a_crash_is_no_exception_that_anybody_catches() -> None:
    crash: Any = Crashed("write")

    assert not isinstance(crash, Exception)
