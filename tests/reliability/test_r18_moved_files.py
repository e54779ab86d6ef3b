"""R18: a file deleted, renamed, truncated or replaced under us is noticed, reopened, counted."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus, JournalSettings, read_journal
from eventbus.events.bus import BusOpened, Recovered
from eventbus.testing import FaultyDisk
from sinks.file import FileSink
from sinks.memory import MemorySink
from tests.letters import PATIENCE, eventually, letters, numbers, segment_paths

SOON = 1.0
"""Seconds after which it must have been noticed."""
TRIES = 3
"""How often it may be late, on a machine others use too."""

Act = Callable[[Path], None]


def delete(path: Path) -> None:
    path.unlink()


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_inside_a_line(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def cut_the_last_byte(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def replace(path: Path) -> None:
    """As an editor does it: another file of the same content under the name."""
    other = path.with_name("edited")
    other.write_bytes(path.read_bytes())
    other.rename(path)


def replace_by_another(path: Path) -> None:
    other = path.with_name("edited")
    other.write_bytes(b"something else\n")
    other.rename(path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"a line somebody added\n")


def remove_the_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


ACTS = {
    delete: "gone",
    rename: "gone",
    remove_the_directory: "gone",
    replace: "replaced",
    replace_by_another: "replaced",
    empty: "cut",
    cut_inside_a_line: "cut",
    cut_the_last_byte: "cut",
    grow: "grown",
}
each_act = pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)


def seconds_to_notice(state: Path, notice: Callable[[Path], float]) -> float:
    """How long it takes to notice; the first time that is not too late."""
    for turn in range(TRIES):
        took = notice(state / str(turn))
        if took <= SOON:
            break
    return took


def seconds_until(is_so: Callable[[], object]) -> float:
    began = time.monotonic()
    assert eventually(is_so)
    return time.monotonic() - began


def told(state: Path) -> list[Recovered]:
    return [event for event in read_journal(state, kinds=Recovered) if isinstance(event, Recovered)]


def send(bus: EventBus, start: int, count: int) -> None:
    for event in letters(count, start=start):
        bus.emit_nowait(event)
    bus.flush_now(timeout=PATIENCE)


# --- segments of the journal -----------------------------------------------------------


@each_act
def test_what_became_of_a_segment_is_noticed_within_a_second(
    tmp_path: Path, act: Act, record_property: Callable[[str, object], None]
) -> None:
    """R18: a segment deleted, renamed, truncated or replaced: noticed ≤ 1 s, reopened, counted."""

    def notice(state: Path) -> float:
        with EventBus(state) as bus:
            send(bus, 0, 50)
            bus.flush_now(until="synced", timeout=PATIENCE)
            (segment,) = segment_paths(state)
            size = segment.stat().st_size
            act(segment)
            took = seconds_until(lambda: told(state))
            (event,) = told(state)
            send(bus, 50, 50)
        assert (event.segment, event.reason) == (segment.name, ACTS[act])
        if ACTS[act] == "gone":
            assert event.cut_bytes == size
        assert [n for n in numbers(list(read_journal(state))) if n >= 50] == list(range(50, 100))
        return took

    took = seconds_to_notice(tmp_path, notice)

    assert took <= SOON
    record_property("figure", f"{act.__name__.replace('_', ' ')}: noticed in {took:.1f} s")


@each_act
def test_what_was_not_yet_synced_is_written_again(tmp_path: Path, act: Act) -> None:
    settings = JournalSettings(sync_every=60)
    sink = MemorySink()

    with EventBus(tmp_path, journal=settings, sinks=[sink]) as bus:
        send(bus, 0, 50)
        bus.flush_now(until="synced", timeout=PATIENCE)
        segment = segment_paths(tmp_path)[-1]
        send(bus, 50, 50)
        act(segment)
        send(bus, 100, 50)
        flushed = bus.flush_now(until="synced", timeout=PATIENCE)
        found = [n for n in numbers(list(read_journal(tmp_path))) if n >= 50]
        send(bus, 150, 50)

    assert flushed.reached
    assert found == list(range(50, 150))
    found = [n for n in numbers(list(read_journal(tmp_path))) if n >= 50]
    assert found == list(range(50, 200))
    assert numbers(sink) == list(range(200))


@each_act
def test_lanes_of_this_and_other_processes_get_each_event_once(tmp_path: Path, act: Act) -> None:
    own, follower = MemorySink(), MemorySink()

    with EventBus(tmp_path) as bus, EventBus(tmp_path) as other:
        bus.attach(own, name="own")
        other.attach(follower, name="follower", writers="all")
        number = 0
        for _ in range(3):
            send(bus, number, 40)
            assert eventually(lambda: len(numbers(follower)) == number + 40)  # noqa: B023
            number += 40
            segment = max(path for path in segment_paths(tmp_path) if bus.writer_id in path.name)
            if act is not remove_the_directory:  # the other bus has its segment there
                act(segment)
            send(bus, number, 40)
            number += 40
            assert bus.flush_now(until="synced", timeout=PATIENCE).reached
            assert eventually(lambda: len(numbers(follower)) >= number)  # noqa: B023
        lane = bus.statistics().lanes["own"]

    assert numbers(own) == list(range(number))
    assert numbers(follower) == list(range(number))
    assert lane.lag == 0
    assert lane.seen == lane.delivered + lane.filtered + lane.pruned


@each_act
def test_it_is_noticed_at_the_end_too(tmp_path: Path, act: Act) -> None:
    settings = JournalSettings(sync_every=60)

    with EventBus(tmp_path, journal=settings) as bus:
        send(bus, 0, 50)
        act(segment_paths(tmp_path)[-1])
        bus.emit_nowait(letters(1, start=50)[0])

    assert numbers(list(read_journal(tmp_path))) == list(range(51))
    assert [event.reason for event in told(tmp_path)] == [ACTS[act]]
    with EventBus(tmp_path) as bus:
        assert bus.statistics().written == 0  # nothing is left to repair


def test_the_new_segment_says_what_it_follows(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        send(bus, 0, 50)
        bus.flush_now(until="synced", timeout=PATIENCE)
        (segment,) = segment_paths(tmp_path)
        size = segment.stat().st_size
        delete(segment)
        assert eventually(lambda: told(tmp_path))

    opened = next(iter(read_journal(tmp_path, kinds=BusOpened)))
    assert isinstance(opened, BusOpened)
    assert (opened.previous, opened.previous_end) == (segment.name, size)
    assert opened.before == 51


def test_it_is_tried_until_there_is_a_disk_again(tmp_path: Path) -> None:
    disk = FaultyDisk()

    with EventBus(tmp_path, disk=disk) as bus:
        send(bus, 0, 50)
        disk.fail("rename", for_good=True)
        delete(segment_paths(tmp_path)[-1])
        send(bus, 50, 50)
        assert eventually(lambda: bus.statistics().trouble)
        assert not bus.flush_now(until="synced", timeout=0.3).reached
        disk.heal()
        assert bus.flush_now(until="synced", timeout=PATIENCE).reached

    assert [n for n in numbers(list(read_journal(tmp_path))) if n >= 50] == list(range(50, 100))


def test_a_lane_that_had_not_read_what_is_gone_is_told(tmp_path: Path) -> None:
    from tests.letters import GatedSink, LetterSent

    sink, settings = GatedSink(), JournalSettings(segment_bytes=2_000_000, sync_every=0.01)
    gaps = MemorySink()
    gaps.kinds = "bus:gap"

    with EventBus(tmp_path, journal=settings, sinks=[sink, gaps]) as bus:
        for number in range(20_000):  # five times what a lane is fed ahead
            bus.emit_nowait(LetterSent(n=number, text="x" * 800))
            if number % 1_000 == 0:
                bus.flush_now(until="synced", timeout=0.02)
        segment_paths(tmp_path)[-3].unlink()
        sink.gate.open()
        bus.flush_now(timeout=PATIENCE)
        bus.emit_nowait(LetterSent(n=20_000))
        bus.flush_now(timeout=PATIENCE)
        lane = bus.statistics().lanes["gatedsink"]
        assert eventually(lambda: gaps.events)
        missing = 20_001 - len(numbers(sink))

    assert missing > 100
    assert (lane.pruned, lane.lag) == (missing, 0)
    assert [(gap.lane, gap.reason, gap.count) for gap in gaps.events] == [  # type: ignore[attr-defined]
        ("gatedsink", "gone", missing)
    ]


# --- log files ---------------------------------------------------------------------------


def logged(log: Path) -> list[int]:
    return [
        record["n"]
        for line in log.read_bytes().splitlines()
        if line.startswith(b'{"kind":"letter:send"') and line.endswith(b"}")
        for record in [msgspec.json.decode(line)]
    ]


@pytest.mark.parametrize("act", [act for act in ACTS if act is not grow], ids=lambda a: a.__name__)
def test_a_log_file_is_reopened_and_goes_on(
    tmp_path: Path, act: Act, record_property: Callable[[str, object], None]
) -> None:
    """R18: so is a log file."""

    def notice(state: Path) -> float:
        log = state / "elsewhere-too" / "events.jsonl"
        sink = FileSink(path=str(log))
        with EventBus(state / "state", sinks=[sink]) as bus:
            send(bus, 0, 50)
            assert logged(log) == list(range(50))
            act(log)
            took = seconds_until(lambda: sink.reopened == 1)
            send(bus, 50, 50)
            assert [n for n in logged(log) if n >= 50] == list(range(50, 100))
            reopened = sink.reopened
        assert reopened == 1
        assert [n for n in logged(log) if n >= 50] == list(range(50, 100))
        return took

    took = seconds_to_notice(tmp_path, notice)

    assert took <= SOON
    record_property("figure", f"{act.__name__.replace('_', ' ')}: noticed in {took:.1f} s")


def test_a_line_somebody_adds_to_a_log_file_stays_there(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"

    with EventBus(tmp_path / "state", sinks=[FileSink(path=str(log))]) as bus:
        send(bus, 0, 50)
        grow(log)
        send(bus, 50, 50)

    assert logged(log) == list(range(100))
    assert b"\na line somebody added\n" in log.read_bytes()
