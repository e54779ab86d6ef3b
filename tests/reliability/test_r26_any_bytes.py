"""R26: any bytes in a segment are read without a crash, and no whole record among them is lost.

A segment that holds garbage, a line of a hundred megabytes or JSON nested a
hundred thousand deep is read within bounded memory; what stands in a segment's
place and is no plain file is neither followed nor waited for.
"""

import os
import shutil
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus import Event, EventBus, JournalSettings, read_journal
from eventbus.disk import Disk
from eventbus.event import UnknownEvent, encode
from eventbus.journal import Journal
from sinks.memory import MemorySink
from tests.reliability.counts import runs, timeout_for

FUZZED = runs(ci=400, long=50_000)
SERVED = runs(ci=25, long=1_000)
LINE_BYTES = runs(ci=100, long=1_000) * 1024 * 1024
MEMORY_MOST = 96 * 1024 * 1024
"""Bytes reading may take at once: one longest line, and what stands around it."""
DEPTHS = (100, 1_000, 10_000, 100_000)
NAME = "20260101T000000000000-abcdef01.jsonl"
NEXT = "20260101T000000000001-abcdef01.jsonl"

Figure = Callable[[str, object], None]


class Whole(Event, tag="proof:whole", frozen=True):
    number: int


class QuickDisk(Disk):
    """Syncs nothing: what is proven here does not hang on it."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


def segment_with(state: Path, content: bytes, *, name: str = NAME) -> Path:
    """A state directory whose segment of that name holds that."""
    path = state / "journal" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def whole(number: int) -> bytes:
    return encode(Whole(number=number)) + b"\n"


def numbers_in(state: Path) -> list[int]:
    return [event.number for event in read_journal(state) if isinstance(event, Whole)]


# --- whatever the bytes -----------------------------------------------------------

BOOKKEEPING = (
    b'{"kind":"bus:close","id":"c","ts":"2026-01-01T00:00:00Z","writer":"abcdef01","before":3}',
    b'{"kind":"bus:close","id":"c","ts":"9999-12-31T23:59:59Z","writer":"","before":-9}',
    b'{"kind":"bus:open","id":"o","previous_end":-1}',
    b'{"kind":"bus:gap"',
)
NEARLY = (
    b"{}",
    b"null",
    b'{"kind":7,"id":[],"ts":"yesterday"}',
    b'{"kind":"proof:whole","id":"x","ts":"2026-01-01T00:00:00","number":"no"}',
    b'{"kind":"proof:whole","id":"x","ts":"0001-01-01T00:00:00+14:00","number":"no"}',
    b'{"kind":"a:b","id":"\xff\xfe","ts":"2026-01-01T00:00:00Z"}',
    b'{"kind":"a:b","id":"\\ud800","ts":"2026-01-01T00:00:00Z"}',
    b"\xef\xbb\xbf{}",
    b"[" * 5_000,
    b"\0" * 4_096,
)
garbage = st.one_of(st.binary(max_size=200), st.sampled_from(NEARLY), st.sampled_from(BOOKKEEPING))
"""Bytes that are no record of ours, or are nearly one; they may hold newlines."""
lines = st.lists(st.one_of(st.none(), garbage), max_size=12)
"""What a segment holds, line after line; None stands for a whole record."""


def content_of(parts: list[bytes | None], tail: bytes) -> tuple[bytes, list[int]]:
    """The segment's bytes, and the numbers of the whole records in it."""
    made = [whole(number) if part is None else part + b"\n" for number, part in enumerate(parts)]
    return b"".join(made) + tail, [n for n, part in enumerate(parts) if part is None]


@pytest.fixture
def states(ram: Path) -> Iterator[Path]:
    """State directories, each new and each gone when the next is taken."""

    def one_after_the_other() -> Iterator[Path]:
        number = 0
        while True:
            state = ram / str(number)
            yield state
            shutil.rmtree(state, ignore_errors=True)
            number += 1

    return one_after_the_other()


@pytest.mark.timeout(timeout_for(FUZZED, each=0.01))
def test_any_bytes_are_read_and_opened_and_no_whole_record_is_lost(
    states: Iterator[Path], record_property: Figure
) -> None:
    """R26: reading, mending and reading again give every whole record, in order."""
    tried = [0, 0]

    @settings(
        max_examples=FUZZED, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(parts=lines, tail=garbage)
    def survive(parts: list[bytes | None], tail: bytes) -> None:
        state = next(states)
        content, expected = content_of(parts, tail)
        segment_with(state, content)

        assert numbers_in(state) == expected

        journal = Journal(state, JournalSettings(), disk=QuickDisk())
        journal.open()
        journal.append([whole(1_000)], 1)
        journal.end({})
        found = numbers_in(state)
        assert [number for number in found if number != 1_000] == expected
        assert len(found) == len(expected) + 1
        tried[0] += 1
        tried[1] += len(expected)

    survive()

    record_property("figure", f"{tried[0]:,} segments of any bytes: {tried[1]:,} records, 0 lost")


@pytest.mark.timeout(timeout_for(SERVED, each=0.2))
def test_a_lane_gets_every_whole_record_out_of_any_bytes(
    states: Iterator[Path], record_property: Figure
) -> None:
    tried = [0, 0]

    @settings(
        max_examples=SERVED, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(parts=lines, tail=garbage, opening=garbage)
    def survive(parts: list[bytes | None], tail: bytes, opening: bytes) -> None:
        state = next(states)
        content, expected = content_of(parts, tail)
        with EventBus(state) as bus:
            sink = MemorySink()
            bus.attach(sink, writers="all")
            path = segment_with(state, content, name=NAME)  # as another process would write it
            segment_with(state, opening + b"\n" + whole(999), name=NEXT)
            bus.emit_nowait(Whole(number=1_000))
            found: list[int] = []
            while 999 not in found or 1_000 not in found:
                bus.flush_now(timeout=0.05)
                found = [event.number for event in list(sink.events) if isinstance(event, Whole)]
        assert path.exists()
        assert [number for number in found if number < 999] == expected
        tried[0] += 1
        tried[1] += len(expected)

    survive()

    record_property(
        "figure", f"{tried[0]} such segments through a lane: {tried[1]} records, 0 lost"
    )


# --- too long, too deep, no text ----------------------------------------------------


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_torn", [False, True], ids=["a line", "a torn end"])
def test_a_huge_line_takes_bounded_memory_and_hides_nothing(
    ram: Path, is_torn: bool, record_property: Figure
) -> None:
    path = segment_with(ram, whole(0))
    with path.open("r+b") as file:  # a hole: it takes no room
        file.truncate(len(whole(0)) + LINE_BYTES)
        file.seek(0, os.SEEK_END)
        if not is_torn:
            file.write(b"\n" + whole(1))
    expected = [0] if is_torn else [0, 1]

    tracemalloc.start()
    try:
        assert numbers_in(ram) == expected
        with EventBus(ram) as bus:
            bus.emit_nowait(Whole(number=2))
        assert numbers_in(ram) == [*expected, 2]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < MEMORY_MOST
    megabytes = LINE_BYTES // 1024**2
    record_property("figure", f"{megabytes:,} MB without a newline: {peak // 1024**2} MB taken")


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_nested_too_deep_is_kept_as_it_is(
    tmp_path: Path, opening: bytes, closing: bytes, record_property: Figure
) -> None:
    head = b'{"kind":"proof:%s","id":"deep-%d","ts":"2026-01-01T00:00:00Z","number":%s}'
    deep = [
        head % (verb, depth, opening * depth + b"1" + closing * depth)
        for depth in DEPTHS
        for verb in (b"whole", b"stranger")
    ]
    state = tmp_path / "state"
    unclosed = b"".join(opening * depth + b"\n" for depth in DEPTHS)
    segment_with(state, whole(0) + b"".join(line + b"\n" for line in deep) + unclosed + whole(1))

    found = list(read_journal(state))
    with EventBus(state):
        pass

    kept = [event.line for event in found if isinstance(event, UnknownEvent)]
    assert kept == deep
    assert numbers_in(state) == [0, 1]
    record_property("figure", f"{len(deep)} records up to {DEPTHS[-1]:,} deep: kept byte for byte")


def test_records_that_are_no_text_are_kept_as_they_are(
    tmp_path: Path, record_property: Figure
) -> None:
    head = b'{"kind":"proof:odd","id":"odd-%d","ts":"2026-01-01T00:00:00Z","text":"%s"}'
    texts = [bytes([byte]) for byte in range(0x7F, 0x100)]
    odd = [head % (number, text) for number, text in enumerate([*texts, b"\xed\xa0\x80", b"\xc0"])]
    state = tmp_path / "state"
    segment_with(state, whole(0) + b"".join(line + b"\n" for line in odd) + whole(1))

    found = [event.line for event in read_journal(state) if isinstance(event, UnknownEvent)]

    assert found == odd
    assert numbers_in(state) == [0, 1]
    record_property("figure", f"{len(odd)} lines with one odd byte each: kept byte for byte")


# --- what is no plain file --------------------------------------------------------


def a_fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def a_directory(path: Path, _: Path) -> None:
    path.mkdir()
    (path / NAME).write_bytes(whole(7))


def a_link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def a_link_to_endless_bytes(path: Path, _: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link_to_itself(path: Path, _: Path) -> None:
    path.symlink_to(path)


def a_socket(path: Path, _: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:  # its own path may be too long for one
        server.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


STAND_INS = [a_fifo, a_directory, a_link, a_link_to_endless_bytes, a_link_to_itself, a_socket]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("stand_in", STAND_INS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", [NAME, NEXT], ids=["alone", "after a segment"])
def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(
    tmp_path: Path,
    stand_in: Callable[[Path, Path], None],
    name: str,
    record_property: Figure,
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(whole(666) + b"torn")
    state = tmp_path / "state"
    (state / "journal").mkdir(parents=True)
    if name == NEXT:
        segment_with(state, whole(0))
    stand_in(state / "journal" / name, secret)
    keeping = JournalSettings(keep_bytes=0, keep_days=1)

    before = numbers_in(state)
    sink = MemorySink()
    with EventBus(state) as bus:
        bus.attach(sink, writers="all")
        bus.emit_nowait(Whole(number=1))
        flushed = bus.flush_now(until="synced", timeout=10)
    after = numbers_in(state)
    with EventBus(state, journal=keeping):
        pass

    assert flushed.reached
    assert before == [0] * (name == NEXT)
    assert after == [*before, 1]
    assert 1 in [event.number for event in sink.events if isinstance(event, Whole)]
    assert secret.read_bytes().endswith(b"torn")
    assert os.path.lexists(state / "journal" / name)
    record_property(
        "figure", f"{stand_in.__name__.replace('_', ' ')}: not followed, not waited for"
    )
