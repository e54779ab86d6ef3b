"""The thread between inbox and journal: what it does with what it finds, and when."""

import errno
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import Event, EventBus, JournalSettings, NotKept, read_journal
from eventbus.disk import Disk
from eventbus.event import decode
from eventbus.events import ErrorRaised, SnapshotSaved
from eventbus.kinds import is_critical
from eventbus.poison import EVENT_BYTES_MOST
from eventbus.testing import FaultyDisk
from sinks.memory import MemorySink
from tests.letters import PATIENCE, LetterSent, eventually, letters, numbers, segment_paths


def kept(state: Path) -> list[int]:
    return numbers(list(read_journal(state)))


def test_what_comes_together_is_written_together(tmp_path: Path) -> None:
    disk = FaultyDisk()
    bus = EventBus(tmp_path, disk=disk)
    for event in letters(5_000):
        bus.emit_nowait(event)

    with bus:
        bus.flush_now(timeout=PATIENCE)
        writes = disk.calls.count("writev")

    assert writes <= 3
    assert kept(tmp_path) == list(range(5_000))


def test_nobody_who_waits_is_made_to_linger(tmp_path: Path) -> None:
    with EventBus(tmp_path, journal=JournalSettings(linger=30)) as bus:
        bus.emit_nowait(LetterSent(n=1))
        began = time.monotonic()
        assert bus.flush_now(timeout=PATIENCE).reached

    assert time.monotonic() - began < PATIENCE


def test_what_was_written_is_synced_by_itself_after_a_while(tmp_path: Path) -> None:
    with EventBus(tmp_path, journal=JournalSettings(sync_every=0.05)) as bus:
        bus.emit_nowait(LetterSent(n=1))

        assert eventually(lambda: bus.statistics().synced == 1)


def test_what_is_critical_is_synced_at_once(tmp_path: Path) -> None:
    with EventBus(tmp_path, journal=JournalSettings(sync_every=3600)) as bus:
        bus.emit_nowait(LetterSent(n=1))
        bus.flush_now(timeout=PATIENCE)
        before = bus.statistics().synced
        bus.emit_nowait(ErrorRaised(type="Mine"))
        bus.flush_now(timeout=PATIENCE)

        assert eventually(lambda: bus.statistics().synced == 2)

    assert before == 0


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("error:runtime", True),
        ("file:write", True),
        ("llm:response", True),
        ("command:start", True),
        ("command:finish", False),
        ("tool:start", False),
    ],
)
def test_errors_files_costs_and_commands_are_critical(kind: str, answer: bool) -> None:
    from eventbus.event import known_kinds

    assert is_critical(known_kinds()[kind]) is answer


def test_a_line_too_long_is_cut_and_its_neighbours_are_not(tmp_path: Path) -> None:
    sink = MemorySink()

    with EventBus(tmp_path, sinks=[sink]) as bus:
        bus.emit_nowait(LetterSent(n=0))
        bus.emit_nowait(LetterSent(n=1, text="x" * (EVENT_BYTES_MOST + 1)))
        bus.emit_nowait(LetterSent(n=2))
        bus.flush_now(timeout=PATIENCE)

    read = list(read_journal(tmp_path, kinds="letter:*"))
    assert numbers(read) == numbers(sink) == [0, 1, 2]
    assert read == sink.events
    assert "sha256" in read[1].text  # type: ignore[attr-defined]
    longest = max(map(len, segment_paths(tmp_path)[0].read_bytes().splitlines()))
    assert longest <= EVENT_BYTES_MOST


def test_a_snapshot_is_kept_whole_or_it_would_be_of_no_use(tmp_path: Path) -> None:
    state = {"steps": ["x" * 1024] * (16 * 1024 - 100)}
    with EventBus(tmp_path, sinks=["jsonl"]) as bus:
        bus.emit_nowait(SnapshotSaved(chat_id="c", turn_number=1, state=state))
        bus.flush_now(timeout=PATIENCE)

    (read,) = read_journal(tmp_path, kinds="session:snapshot")
    assert read.state == state  # type: ignore[attr-defined]
    (line,) = (tmp_path / "logs" / "events.jsonl").read_bytes().splitlines()
    assert decode(line) == read


class WriterOdd(Event, tag="writer:odd", frozen=True):
    text: str = ""


def test_one_that_will_not_encode_is_marked_and_its_neighbours_are_written(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        for event in letters(5):
            bus.emit_nowait(event)
            bus.emit_nowait(WriterOdd(text="\ud800"))
        bus.flush_now(timeout=PATIENCE)
        counts = bus.statistics()

    assert (counts.written, counts.poison, counts.accepted) == (5, 5, 10)
    assert kept(tmp_path) == list(range(5))
    marked = [
        line for line in segment_paths(tmp_path)[0].read_bytes().splitlines() if b"odd" in line
    ]
    assert len(marked) == 5
    assert all("unencodable" in msgspec.json.decode(line) for line in marked)


def test_it_writes_on_once_the_disk_lets_it(tmp_path: Path) -> None:
    disk = FaultyDisk()

    with EventBus(tmp_path, disk=disk) as bus:
        disk.fail("writev", for_good=True, error=28)
        for event in letters(100):
            bus.emit_nowait(event)
        assert eventually(lambda: bus.statistics().trouble)
        assert "No space" in str(bus.statistics().trouble)
        disk.heal()
        assert bus.flush_now(timeout=PATIENCE).reached
        assert bus.statistics().trouble is None

    assert kept(tmp_path) == list(range(100))


def test_what_the_disk_refuses_to_the_end_is_counted(tmp_path: Path) -> None:
    disk = FaultyDisk()
    bus = EventBus(tmp_path, disk=disk, grace=0.2).open()
    disk.fail("writev", for_good=True)
    for event in letters(10):
        bus.emit_nowait(event)

    report = bus.close()

    assert not report.is_complete
    assert sum(report.dropped.values()) == 10
    assert report.written == 0


async def test_whoever_awaits_then_is_told(tmp_path: Path) -> None:
    disk = FaultyDisk()
    bus = EventBus(tmp_path, disk=disk, grace=0.2).open()
    disk.fail("writev", for_good=True)
    threading.Timer(0.05, bus.close).start()

    with pytest.raises(NotKept):
        await bus.emit(LetterSent(n=1), until="written")


def test_a_sync_that_fails_now_and_then_acknowledges_nothing_early(tmp_path: Path) -> None:
    disk = FaultyDisk()

    with EventBus(tmp_path, disk=disk) as bus:
        disk.fail("sync", for_good=True)
        bus.emit_nowait(LetterSent(n=1))
        assert not bus.flush_now(until="synced", timeout=0.3).reached
        assert bus.statistics().synced == 0
        disk.heal()
        assert bus.flush_now(until="synced", timeout=PATIENCE).reached

    assert kept(tmp_path) == [1]


def test_an_error_nobody_foresaw_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EventBus(tmp_path) as bus:
        writer: Any = bus._writer
        encode = writer._encode
        monkeypatch.setattr(writer, "_encode", lambda *_: 1 / 0)
        bus.emit_nowait(LetterSent(n=1))
        assert eventually(lambda: bus.statistics().trouble)
        monkeypatch.setattr(writer, "_encode", encode)
        bus.emit_nowait(LetterSent(n=2))
        assert bus.flush_now(timeout=PATIENCE).reached
        counts = bus.statistics()

    assert kept(tmp_path) == [2]
    assert counts.accepted == 2
    assert counts.written + sum(counts.dropped.values()) == 2


class OddDisk(Disk):
    """Raises where told to what no disk does."""

    def __init__(self) -> None:
        self.raises: dict[str, Exception] = {}

    def _odd(self, operation: str) -> None:
        if operation in self.raises:
            raise self.raises[operation]

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        if "writev" in self.raises:
            os.write(fd, b"".join(buffers)[:7])
        self._odd("writev")
        return super().writev(fd, buffers)

    def sync(self, fd: int) -> None:
        self._odd("sync")
        super().sync(fd)

    def sync_directory(self, path: Path) -> None:
        self._odd("sync_directory")
        super().sync_directory(path)

    def status(self, fd: int) -> os.stat_result:
        self._odd("status")
        return super().status(fd)

    def rename(self, source: Path, target: Path) -> None:
        if source.suffix == ".new":
            self._odd("rename")
        super().rename(source, target)


@pytest.mark.parametrize("operation", ["writev", "sync", "sync_directory", "status", "rename"])
@pytest.mark.parametrize("error", [MemoryError("no memory"), RuntimeError("odd"), KeyError("odd")])
def test_no_error_of_a_write_a_sync_or_a_new_segment_ends_it(
    tmp_path: Path, operation: str, error: Exception
) -> None:
    disk = OddDisk()
    settings = JournalSettings(segment_bytes=1)  # each sync begins a new one

    with EventBus(tmp_path, disk=disk, journal=settings, serve="never") as bus:
        bus.emit_nowait(LetterSent(n=0))
        disk.raises = {operation: error}
        bus.emit_nowait(LetterSent(n=1))
        bus.flush_now(until="synced", timeout=0.02)
        assert eventually(lambda: bus.statistics().refusals)
        told = str(bus.statistics().trouble)
        disk.raises = {}
        bus.emit_nowait(LetterSent(n=2))
        assert bus.flush_now(until="synced", timeout=PATIENCE).reached
        counts = bus.statistics()

    assert type(error).__name__ in told
    assert counts.trouble is None
    assert (counts.synced, counts.dropped) == (3, {})
    assert kept(tmp_path) == [0, 1, 2]
    assert list((tmp_path / "journal").glob("*.new")) == []


def test_an_odd_error_at_the_end_is_told(tmp_path: Path) -> None:
    disk = OddDisk()
    bus = EventBus(tmp_path, disk=disk, serve="never").open()
    bus.emit_nowait(LetterSent(n=0))
    disk.raises = {"sync": MemoryError("no memory")}

    report = bus.close()

    assert report.trouble == "MemoryError: no memory"
    assert kept(tmp_path) == [0]


def test_a_look_that_fails_again_and_again_costs_no_processor_time(tmp_path: Path) -> None:
    disk = OddDisk()

    with EventBus(tmp_path, disk=disk, serve="never"):
        disk.raises = {"status": OSError(errno.EIO, "Input/output error")}
        began = time.process_time()
        time.sleep(1.2)
        spent = time.process_time() - began

    assert spent < 0.3
