"""Ending the chains of those who died: what they left unsealed is sealed as it is found."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import UNREADABLE
from eventbus.sealing.chain import Chain, LiveKey, Tally, cut_to_whole, is_begun, said_path
from eventbus.sealing.keys import Beginning, chain_key_path, evolved
from eventbus.sealing.records import SEALS, Begun, Block, Ended, Record, is_authentic, read_records

__all__ = ["dead_keys", "end_dead_chains", "live_keys"]

_KEY_FILE = re.compile(r"seal-(\d+)\.key")
PART_BYTES = 1 << 20


def end_dead_chains(
    state: Path, *, clock: Clock, disk: Disk, is_ours: Callable[[Path], bool]
) -> None:
    """End the chains over files that `is_ours` takes, whose writers have died.

    Lines behind the last block are sealed late: they may have been altered
    before, and that is said.
    """
    for live, fd in dead_keys(state, disk):
        is_closed = False
        try:
            if is_ours(state / live.of):
                with suppress(OSError):  # the next to come tries again
                    there = _where_it_is(live, state, disk)
                    is_closed = _end(there, fd, state=state, clock=clock, disk=disk)
        finally:
            if not is_closed:
                disk.close(fd)


def dead_keys(state: Path, disk: Disk) -> Iterator[tuple[LiveKey, int]]:
    """The keys nobody holds, each locked while it is looked at."""
    for number in _numbers(state, disk):
        with suppress(OSError):
            fd = disk.open(chain_key_path(state, number), os.O_RDWR)
            live = _read(fd, disk) if disk.lock(fd) else None
            if live is None:
                disk.close(fd)
            else:
                yield live, fd


def live_keys(state: Path, disk: Disk) -> dict[int, LiveKey]:
    """What the key files of chains without an end say, whoever holds them."""
    keys: dict[int, LiveKey] = {}
    for number in _numbers(state, disk):
        with suppress(OSError):
            fd = disk.open(chain_key_path(state, number), os.O_RDONLY)
            try:
                live = _read(fd, disk)
            finally:
                disk.close(fd)
            if live is not None:
                keys[number] = live
    return keys


def _numbers(state: Path, disk: Disk) -> list[int]:
    with suppress(NotADirectoryError):
        found = (_KEY_FILE.fullmatch(name) for name in disk.names(state / "run"))
        return sorted(int(match[1]) for match in found if match is not None)
    return []


def _read(fd: int, disk: Disk) -> LiveKey | None:
    try:
        return msgspec.json.decode(disk.pread(fd, 64 * 1024, 0), type=LiveKey)
    except UNREADABLE:
        return None


def _where_it_is(live: LiveKey, state: Path, disk: Disk) -> LiveKey:
    """The same, of the name its file has by now: its writer may have died renaming it."""
    said = state / live.seals
    names = [name for name in disk.names(said.parent) if name.endswith(SEALS)]
    for name in sorted(names, key=lambda each: each != said.name):
        seals = said.with_name(name)
        if is_begun(Beginning(live.chain, str(seals)), state, disk):
            of = said_path(seals.with_name(name.removesuffix(SEALS)), state)
            return msgspec.structs.replace(live, seals=said_path(seals, state), of=of)
    return live


def _end(live: LiveKey, fd: int, *, state: Path, clock: Clock, disk: Disk) -> bool:
    """End a chain; True when that let its key go."""
    seals = state / live.seals
    before = cut_to_whole(seals, disk)
    try:
        records = [one for one in read_records(disk.read(seals)) if one.record is not None]
    except FileNotFoundError:  # it had begun nothing, or somebody took it away
        disk.unlink(chain_key_path(state, live.chain))
        return False
    ours = [one for one in records if one.record is not None and one.record.chain == live.chain]
    epoch, key = live.epoch, bytes.fromhex(live.key)
    for one in ours:
        if one.record is not None and one.record.epoch == epoch and is_authentic(one.line, key):
            epoch, key = epoch + 1, evolved(key)
    last = ours[-1].record if ours else None
    if last is None or isinstance(last, Ended):
        disk.unlink(chain_key_path(state, live.chain))
        return False
    now = msgspec.structs.replace(live, epoch=epoch, key=key.hex())
    chain = Chain(now, state=state, before=before, fd=fd, disk=disk)
    every = any(isinstance(one.record, Begun) and one.record.every for one in ours)
    of = state / live.of
    places = [one.record for one in ours if isinstance(one.record, (Begun, Block))]
    _seal_late(chain, places[-1], of, Tally(every=every), clock, disk)
    begun = {one.record.of for one in ours if isinstance(one.record, Begun)}
    chain.end("mended", clock, None if of.name in begun else of.name)
    return True


def _seal_late(
    chain: Chain, last: Record, of: Path, tally: Tally, clock: Clock, disk: Disk
) -> None:
    start, line = _behind(last)
    with suppress(FileNotFoundError):
        fd = disk.open(of, os.O_RDONLY)
        try:
            for blob in _whole_lines(fd, start, disk):
                tally.add(blob)
        finally:
            disk.close(fd)
    if tally.size:
        chain.write(
            Block,
            first=line + 1,
            last=line + tally.lines,
            start=start,
            end=start + tally.size,
            digest=tally.digest.hexdigest(),
            leaves=tally.leaves.hexdigest(),
            critical=tally.critical,
            at=clock.now(),
            late=True,
        )


def _behind(last: Record) -> tuple[int, int]:
    """Bytes and lines that stand before what the chain has not sealed."""
    if isinstance(last, Block):
        return last.end, last.last
    if isinstance(last, Begun):
        return last.start, last.lines
    return 0, 0


def _whole_lines(fd: int, start: int, disk: Disk) -> Iterator[bytes]:
    rest = b""
    while part := disk.pread(fd, PART_BYTES, start):
        start += len(part)
        end = (rest + part).rfind(b"\n") + 1
        blob, rest = (rest + part)[:end], (rest + part)[end:]
        if blob:
            yield blob
