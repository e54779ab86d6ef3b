"""A chain that is being written: its key, its records, and the end of it."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.sealing.keys import Beginning, chain_key_path, evolved, forget_beginning, take_key
from eventbus.sealing.records import (
    SEALS,
    Begun,
    Ended,
    digest_of,
    leaves_in,
    read_records,
    write_record,
)

__all__ = ["Chain", "LiveKey", "Tally", "cut_to_whole", "is_begun", "said_path", "seals_of"]

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT


class LiveKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a chain's own key file holds while it is written."""

    chain: int
    epoch: int
    """Of the next record, as far as records are on the disk."""
    key: str
    of: str
    seals: str


class Tally:
    """Lines that are to become a block."""

    __slots__ = ("critical", "digest", "every", "leaves", "lines", "size")

    def __init__(self, *, every: bool = False) -> None:
        self.every = every
        """True where every line is critical."""
        self.digest = hashlib.sha256()
        self.leaves = hashlib.sha256()
        self.lines = self.size = self.critical = 0

    def add(
        self,
        blob: bytes,
        *,
        lines: Sequence[bytes] | None = None,
        count: int | None = None,
    ) -> None:
        """Add whole lines: `lines` are those that may be critical, where they are known."""
        self.digest.update(blob)
        self.size += len(blob)
        if lines is None or self.every:
            lines = blob.split(b"\n")[:-1]
        self.lines += blob.count(b"\n") if count is None else count
        if lines:
            leaves = leaves_in(lines, every=self.every)
            self.leaves.update(b"".join(leaves))
            self.critical += len(leaves)

    def copy(self) -> "Tally":
        made = Tally(every=self.every)
        made.digest, made.leaves = self.digest.copy(), self.leaves.copy()
        made.lines, made.size, made.critical = self.lines, self.size, self.critical
        return made


class Chain:
    """A chain that is being written; its methods may raise `OSError`."""

    def __init__(self, live: LiveKey, *, state: Path, before: str, fd: int, disk: Disk) -> None:
        self.number = live.chain
        self.epoch = live.epoch
        self.seals = state / live.seals
        self._of = live.of
        self._key = bytes.fromhex(live.key)
        self._state = state
        self._before = before
        self._fd = fd
        """Of its key file; held by a lock as long as the chain is written."""
        self._disk = disk
        self._is_named = False
        """True once its first record is on the disk, and known to be."""

    @classmethod
    def begin(
        cls,
        state: Path,
        of: Path,
        *,
        start: int,
        lines: int,
        every: bool,
        clock: Clock,
        disk: Disk,
    ) -> "Chain":
        """Take a number, hold its key, and write the first record."""
        seals = seals_of(of)
        before = cut_to_whole(seals, disk)
        told = said_path(seals, state)
        taken = take_key(
            state, Path(told), disk=disk, is_begun=lambda one: is_begun(one, state, disk)
        )
        fd = disk.open(chain_key_path(state, taken.chain), os.O_RDWR | os.O_CREAT)
        disk.lock(fd)
        live = LiveKey(
            chain=taken.chain, epoch=0, key=taken.key.hex(), of=said_path(of, state), seals=told
        )
        chain = cls(live, state=state, before=before, fd=fd, disk=disk)
        try:
            chain._keep_key()
            chain.write(
                Begun,
                of=of.name,
                start=start,
                lines=lines,
                every=every,
                at=clock.now(),
                lost=taken.lost,
            )
        except BaseException:
            with suppress(OSError):  # it has begun nothing
                disk.unlink(chain_key_path(state, taken.chain))
            chain.let_go()
            raise
        return chain

    def write(self, make: Any, **fields: Any) -> None:
        """Append a record of the next epoch: whole, or not at all."""
        record = make(chain=self.number, epoch=self.epoch, before=self._before, **fields)
        line = write_record(record, self._key)
        append_whole(self.seals, line, self._disk)
        self._before = digest_of(line[:-1])
        self.epoch += 1
        self._key = evolved(self._key)

    def keep(self) -> None:
        """Sync what was written; only then is the old key overwritten."""
        if not self._is_named:  # a power cut must not leave records and no key to end them with
            self._disk.sync(self._fd)
            self._disk.sync_directory(self._state / "run")
        self._sync()
        self._keep_key()

    def _sync(self) -> None:
        fd = self._disk.open(self.seals, os.O_RDWR)
        try:
            self._disk.sync(fd)
        finally:
            self._disk.close(fd)
        if not self._is_named:
            self._disk.sync_directory(self.seals.parent)
            forget_beginning(self._state, self.number, self._disk)
            self._is_named = True

    def _keep_key(self) -> None:
        live = LiveKey(
            chain=self.number,
            epoch=self.epoch,
            key=self._key.hex(),
            of=self._of,
            seals=said_path(self.seals, self._state),
        )
        content = msgspec.json.encode(live)
        content += b" " * max(0, self._disk.size(self._fd) - len(content))
        self._disk.pwrite(self._fd, content, 0)

    def end(self, why: str, clock: Clock, named: str | None = None) -> None:
        """Write the last record; the key goes with it."""
        self.write(Ended, why=why, named=named, at=clock.now())
        self._sync()
        with suppress(OSError):
            self._disk.unlink(chain_key_path(self._state, self.number))
        self.let_go()

    def follow(self, path: Path) -> None:
        """Go on where the seals are by now."""
        self.seals, self._of = seals_of(path), said_path(path, self._state)
        self._keep_key()

    def let_go(self) -> None:
        """Have no more to do with it; the next to come ends it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                self._disk.close(fd)


def seals_of(of: Path) -> Path:
    """Where the seals of a file are."""
    return of.with_name(of.name + SEALS)


def said_path(path: Path, state: Path) -> str:
    """A path as it is kept: from the state directory where it is inside it."""
    return str(path.relative_to(state)) if path.is_relative_to(state) else str(path.absolute())


def is_begun(one: Beginning, state: Path, disk: Disk) -> bool:
    """True when the chain's first record is in its file."""
    with suppress(OSError):
        content = disk.read(state / one.seals)
        found = (written.record for written in read_records(content))
        return any(record is not None and record.chain == one.chain for record in found)
    return False


def append_whole(path: Path, line: bytes, disk: Disk, *, sync: bool = False) -> None:
    """Add a line to a file that only we write: all of it, or nothing."""
    fd = disk.open(path, _APPEND)
    try:
        size = disk.size(fd)
        try:
            disk.write_all(fd, line)
            if sync:
                disk.sync(fd)
        except BaseException:
            with suppress(OSError):
                disk.truncate(fd, size)
            raise
    finally:
        disk.close(fd)


def cut_to_whole(path: Path, disk: Disk) -> str:
    """Cut a line that a crash left half; the digest of the last one, or nothing."""
    try:
        content = disk.read(path)
    except FileNotFoundError:
        return ""
    whole = whole_end(content)
    if whole < len(content):
        fd = disk.open(path, os.O_RDWR)
        try:
            disk.truncate(fd, whole)
        finally:
            disk.close(fd)
    last = content[:whole].rstrip(b"\n").rpartition(b"\n")[2]
    return digest_of(last) if last else ""


def whole_end(content: bytes) -> int:
    """Bytes up to the end of the last line that is a record; a crash leaves others behind it."""
    end = content.rfind(b"\n") + 1
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        if next(read_records(content[start:end])).record is not None:
            return end
        end = start
    return 0
