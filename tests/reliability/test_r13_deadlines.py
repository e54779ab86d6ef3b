"""R13: close has a deadline, also against a hung write; a normal close loses nothing."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from eventbus import Batch, EventBus, Sink
from tests.reliability.counts import Tell
from tests.reliability.crash import ROOT
from tests.reliability.disks import HungDisk
from tests.reliability.numbered import Producer, numbered, read_numbers

GRACE = 0.4
SLACK = 1.0
WHO = Producer(run=0, producer=0)


@pytest.fixture
def disk() -> Iterator[HungDisk]:
    """A disk whose hung writes are let go when the test is over."""
    disk = HungDisk()
    yield disk
    disk.go()


class HungSink(Sink):
    """Never comes back from a write."""

    async def write(self, batch: Batch) -> None:
        await asyncio.sleep(3600)


class BlockedSink(Sink):
    """Blocks the loop it is written on."""

    def __init__(self) -> None:
        self.seconds = 3.0

    async def write(self, batch: Batch) -> None:
        time.sleep(self.seconds)


def test_close_keeps_its_deadline_against_a_hung_write(
    tmp_path: Path, disk: HungDisk, record_property: Tell
) -> None:
    """R13: close has a deadline, also against a hung write."""
    bus = EventBus(tmp_path, grace=GRACE, disk=disk, serve="never")

    with bus:
        disk.hang()
        bus.emit_nowait(numbered(*WHO, 0))
        began = time.monotonic()

    took = time.monotonic() - began
    assert took <= GRACE + SLACK
    record_property("figure", f"closed in {took:.2f} s, where {GRACE} s were given")


async def _leave_while_hung(state: Path, disk: HungDisk) -> float:
    """Seconds it takes to leave the block."""
    async with EventBus(state, grace=GRACE, disk=disk, serve="never") as bus:
        disk.hang()
        bus.emit_nowait(numbered(*WHO, 0))
        began = time.monotonic()
    return time.monotonic() - began


def test_in_asyncio_too_and_the_loop_goes_on_meanwhile(tmp_path: Path, disk: HungDisk) -> None:
    latest = 0.0

    async def watch_the_loop() -> None:
        nonlocal latest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            latest = max(latest, time.monotonic() - before - 0.01)

    async def main() -> float:
        watch = asyncio.create_task(watch_the_loop())
        await asyncio.sleep(0)
        took = await _leave_while_hung(tmp_path, disk)
        watch.cancel()
        return took

    assert asyncio.run(main()) <= GRACE + SLACK
    assert latest < GRACE


def test_in_trio_too(tmp_path: Path, disk: HungDisk) -> None:
    assert trio.run(_leave_while_hung, tmp_path, disk) <= GRACE + SLACK


@pytest.mark.parametrize("sink", [HungSink(), BlockedSink()], ids=["waits", "blocks"])
def test_a_hung_sink_delays_close_no_longer_and_costs_the_journal_nothing(
    tmp_path: Path, sink: Sink
) -> None:
    bus = EventBus(tmp_path, sinks=[sink], grace=GRACE)

    with bus:
        for number in range(100):
            bus.emit_nowait(numbered(*WHO, number))
        began = time.monotonic()

    assert time.monotonic() - began <= GRACE + SLACK
    assert read_numbers(tmp_path)[WHO] == list(range(100))


def test_a_normal_close_loses_nothing(tmp_path: Path) -> None:
    """R13: a normal close loses nothing."""
    with EventBus(tmp_path, serve="never") as bus:
        for number in range(20_000):
            bus.emit_nowait(numbered(*WHO, number))

    assert read_numbers(tmp_path)[WHO] == list(range(20_000))


PROGRAM = """
import sys
from eventbus import EventBus
from tests.reliability.disks import HungDisk
from tests.reliability.numbered import numbered

disk = HungDisk()
bus = EventBus(sys.argv[1], grace=0.4, disk=disk, serve="never").__enter__()
disk.hang()
bus.emit_nowait(numbered(0, 0, 0))
print("ending", flush=True)
"""


def test_a_process_that_forgot_to_close_ends_in_time_though_the_disk_hangs(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ending\n"
        began = time.monotonic()
        process.wait(timeout=20)

    assert time.monotonic() - began <= GRACE + SLACK + 0.5  # the interpreter's own end included
