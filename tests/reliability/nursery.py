"""A process with everything imported, which forks writers and ends them when told to.

It reads an `Order` a line from stdin and answers with an `Outcome` a line.
With an order as its argument it is such a writer itself, started cold, and
acknowledges on stdout.
"""

import asyncio
import contextlib
import faulthandler
import fcntl
import os
import random
import select
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
import trio

import eventbus.inherit
from eventbus import EventBus
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import NotKept, StateUnusable
from eventbus.lanes import Serve
from eventbus.repair import Tail, repair_tail
from eventbus.segment import Segment
from eventbus.store.ingest import ingest_file
from eventbus.store.opening import open_store, store_is_there
from eventbus.store.rebuild import rebuild
from eventbus.store.sqlite import SqliteWriter
from tests.reliability.disks import DiskWithoutNames, DiskWithoutSync, ForgetfulDisk, RetryingDisk
from tests.reliability.numbered import numbered
from tests.reliability.orders import Order, Outcome
from tests.store.mixture import mixture

__all__ = ["ACKNOWLEDGEMENT", "Tell"]

ACKNOWLEDGEMENT = struct.Struct("<II")
"""A producer, and the number that is safe."""
TROUBLE = 0xFFFFFFFF
"""In the producer's place: the writer broke; what follows is text of that length."""
PATIENCE = 20.0
"""Seconds for the first acknowledgement before a writer counts as stuck."""
EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = 2

Tell = Callable[[int, int], None]
"""Acknowledge: this producer's number is safe."""


# --- a writer ----------------------------------------------------------------


def write_until_ended(order: Order, tell: Tell, disk: Disk) -> None:
    """Emit and acknowledge; never returns of itself."""
    random.seed(order.run)
    {
        "asyncio": _in_asyncio,
        "trio": _in_trio,
        "threads": _in_threads,
        "mixture": _as_an_agent,
        "rebuild": _as_a_rebuild,
        "ingest": _as_an_ingest,
    }[order.style](order, tell, disk)


def _open(order: Order, disk: Disk) -> EventBus:
    serve: Serve = "auto" if order.sinks else "never"
    return EventBus(order.state, sinks=order.sinks, serve=serve, disk=disk)


def _in_asyncio(order: Order, tell: Tell, disk: Disk) -> None:
    async def main() -> None:
        async with _open(order, disk) as bus:
            await asyncio.gather(
                *(_produce(bus, order, tell, producer) for producer in range(order.producers))
            )

    asyncio.run(main())


def _in_trio(order: Order, tell: Tell, disk: Disk) -> None:
    async def main() -> None:
        async with _open(order, disk) as bus, trio.open_nursery() as nursery:
            for producer in range(order.producers):
                nursery.start_soon(_produce, bus, order, tell, producer)

    trio.run(main)


def _in_threads(order: Order, tell: Tell, disk: Disk) -> None:
    with _open(order, disk) as bus:
        threads = [
            threading.Thread(target=_produce_here, args=(bus, order, tell, producer), daemon=True)
            for producer in range(order.producers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _as_an_agent(order: Order, tell: Tell, disk: Disk) -> None:
    number = 0
    with _open(order, disk) as bus:
        for part in range(1_000_000):
            events = list(mixture(order.run * 1_000 + part, 1 + _company()))
            for event in events:
                bus.emit_nowait(event)
            number += len(events)
            if bus.flush_now(until=order.level, timeout=PATIENCE).reached:
                tell(0, number)


def _as_a_rebuild(order: Order, tell: Tell, disk: Disk) -> None:
    for number in range(1_000_000):
        rebuilt = rebuild(Path(order.state), disk=disk)
        if rebuilt.aside is not None:
            rebuilt.aside.unlink()
        tell(0, number)


def _as_an_ingest(order: Order, tell: Tell, disk: Disk) -> None:
    state = Path(order.state)

    async def ingest(bus: EventBus, number: int) -> None:
        with open_store(state) as store:
            await ingest_file(
                state.parent / "foreign.log",
                emit=bus.emit_many,
                store=store if number == 0 else None,
                progress=lambda progress: tell(number, progress.lines),
                rest_seconds=0,
            )

    async def main() -> None:
        async with _open(order, disk) as bus:
            if order.run % 2:  # else what others left in the journal is emitted again
                await bus.flush(timeout=PATIENCE)
            while not store_is_there(state):
                await asyncio.sleep(0.001)
            await asyncio.gather(*(ingest(bus, number) for number in range(order.producers)))
            await asyncio.sleep(PATIENCE)  # the lane is still at work

    asyncio.run(main())


async def _produce(bus: EventBus, order: Order, tell: Tell, producer: int) -> None:
    number = 0
    with contextlib.suppress(NotKept):
        while True:
            for _ in range(_company()):
                bus.emit_nowait(numbered(order.run, producer, number))
                number += 1
            await bus.emit(numbered(order.run, producer, number), until=order.level)
            tell(producer, number)
            number += 1


def _produce_here(bus: EventBus, order: Order, tell: Tell, producer: int) -> None:
    number = 0
    while True:
        for _ in range(1 + _company()):
            bus.emit_nowait(numbered(order.run, producer, number))
            number += 1
        if bus.flush_now(until=order.level, timeout=PATIENCE).reached:
            tell(producer, number - 1)


def _company() -> int:
    """How many events go unacknowledged before the next that is not."""
    return random.choice((0, 0, 0, 1, 6, 40))


# --- the nursery ---------------------------------------------------------------


def raise_writer(order: Order) -> Outcome:
    """Fork a writer, end it as ordered, and say what was heard of it."""
    heard, says = os.pipe()
    wire, pull = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        os.close(pull)
        _be_writer(order, says, wire)
    os.close(says)
    os.close(wire)
    try:
        said = _listen(heard, order)
        if order.after_first and not said:
            _give_up(pid, "was told nothing is safe")
        _end(order, pid, pull)
        later = _listen_to_the_end(heard, pid)
    finally:
        os.close(heard)
        os.close(pull)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    # A sync under way while ext4 is shut down may answer that all is well, of a
    # plain program as of ours: what was heard later proves nothing.
    return _understand(said if order.ending == "shutdown" else said + later)


def _be_writer(order: Order, says: int, wire: int) -> NoReturn:
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    disk = _disk_of(order)
    if isinstance(disk, ForgetfulDisk):
        threading.Thread(target=_await_the_cut, args=(disk, wire), daemon=True).start()
    try:
        write_until_ended(order, partial(_tell, says), disk)
        signal.pause()
    except StateUnusable:
        if order.ending != "shutdown":  # else the power went while it opened
            _confess(says)
    except BaseException:
        _confess(says)
    os._exit(1)


def _disk_of(order: Order) -> Disk:
    chance = random.Random(order.run)
    if order.disk == "without recovery":
        assert eventbus.inherit.repair_tail is repair_tail, "the mutant replaces nothing"
        setattr(eventbus.inherit, "repair_tail", _leave_the_tail)  # noqa: B010 - not exported
    if order.disk == "store without sync":
        setattr(SqliteWriter, "transaction", _transaction_without_sync)  # noqa: B010
    if order.disk in ("plain", "without recovery", "store without sync"):
        return SYSTEM_DISK
    kinds = {
        "forgetful": ForgetfulDisk,
        "without sync": DiskWithoutSync,
        "without names": DiskWithoutNames,
        "retrying": RetryingDisk,
    }
    return kinds[order.disk](
        fails=lambda: chance.random() < order.sync_failures,
        fails_to_name=lambda: chance.random() < order.name_failures,
    )


def _leave_the_tail(fd: int, segment: Segment, disk: Disk) -> Tail:
    """A mutant of `repair_tail`: whatever stands at the end counts."""
    return Tail(size=disk.size(fd))


_transaction = SqliteWriter.transaction


def _transaction_without_sync(
    writer: SqliteWriter, *, is_synced: bool = False
) -> AbstractContextManager[None]:
    """A mutant of `SqliteWriter.transaction`: nothing is ever synced."""
    return _transaction(writer, is_synced=False)


def _await_the_cut(disk: ForgetfulDisk, wire: int) -> NoReturn:
    os.read(wire, 1)
    disk.cut_power()
    os._exit(0)


def _tell(says: int, producer: int, number: int) -> None:
    os.write(says, ACKNOWLEDGEMENT.pack(producer, number))


def _confess(says: int) -> None:
    text = traceback.format_exc().encode()[-2_000:]
    os.write(says, ACKNOWLEDGEMENT.pack(TROUBLE, len(text)) + text)


def _listen(heard: int, order: Order) -> bytes:
    """Read until the writer's time has come."""
    said = b""
    until = time.monotonic() + (PATIENCE if order.after_first else order.delay)
    begun = not order.after_first
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([heard], [], [], left)
        if not ready:
            break
        part = os.read(heard, 65_536)
        if not part:
            break
        if not begun:
            begun, until = True, time.monotonic() + order.delay
        said += part
    return said


def _listen_to_the_end(heard: int, pid: int) -> bytes:
    """Read until the writer is gone."""
    said = b""
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience:
        if select.select([heard], [], [], 0.5)[0]:
            part = os.read(heard, 65_536)
            if not part:
                return said
            said += part
    return _give_up(pid, "did not end")


def _give_up(pid: int, why: str) -> NoReturn:
    os.kill(pid, signal.SIGUSR2)  # it says on stderr where each thread stands
    time.sleep(0.5)
    raise RuntimeError(f"the writer {why} within {PATIENCE} s")


def _end(order: Order, pid: int, pull: int) -> None:
    if order.ending == "shutdown":
        shut_down(Path(order.mount))
        time.sleep(0.002)  # let it meet the dead file system before it is gone
    if order.ending == "cut":
        os.write(pull, b"!")
    else:
        os.kill(pid, signal.SIGKILL)


def shut_down(mount: Path) -> None:
    """Stop an ext4 file system as a power cut would: nothing more reaches the disk."""
    fd = os.open(mount, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
    finally:
        os.close(fd)


def _understand(said: bytes) -> Outcome:
    acknowledged: dict[int, int] = {}
    place = 0
    while place + ACKNOWLEDGEMENT.size <= len(said):
        producer, number = ACKNOWLEDGEMENT.unpack_from(said, place)
        place += ACKNOWLEDGEMENT.size
        if producer == TROUBLE:
            text = said[place : place + number].decode(errors="replace")
            return Outcome(acknowledged=acknowledged, trouble=text)
        acknowledged[producer] = number
    return Outcome(acknowledged=acknowledged)


def main() -> None:
    """Serve orders, or be the writer of the one given."""
    if len(sys.argv) > 1:
        order = msgspec.json.decode(sys.argv[1], type=Order)
        write_until_ended(order, partial(_tell, 1), _disk_of(order))
        return
    for line in sys.stdin.buffer:
        outcome = raise_writer(msgspec.json.decode(line, type=Order))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
