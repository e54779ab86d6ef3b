"""Sealed journals that the tests of seals share, made without waiting."""

import errno
import json
import random
from pathlib import Path
from typing import Any

from eventbus.disk import Disk
from eventbus.event import encode
from eventbus.events.file import FileWritten
from eventbus.journal import Journal
from eventbus.keeping import JournalSettings
from eventbus.sealing.keys import VerificationKey, verification_key
from eventbus.testing import FakeClock
from eventbus.verify import Verified, verify_journal
from tests.letters import LetterSent

__all__ = [
    "BLOCK_LINES",
    "NoSync",
    "Pens",
    "SealsFail",
    "flaws",
    "seal_lines",
    "segments_of",
    "told",
    "verified",
]

BLOCK_LINES = 6


class NoSync(Disk):
    """A disk on which syncing costs nothing: what is tried here is not the power."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


class SealsFail(NoSync):
    """A disk on which the nth call on a file of seals or keys fails."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self._fds: set[int] = set()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise OSError(errno.EIO, "Input/output error")

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        is_ours = "seal" in path.name
        if is_ours:
            self._count()
        fd = super().open(path, flags, mode)
        if is_ours:
            self._fds.add(fd)
        else:
            self._fds.discard(fd)
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if fd in self._fds:
            self._count()
        return super().write(fd, data)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if fd in self._fds:
            self._count()
        return super().pwrite(fd, data, offset)

    def rename(self, source: Path, target: Path) -> None:
        if "seal" in target.name:
            self._count()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        if "seal" in path.name:
            self._count()
        super().unlink(path)

    def sync(self, fd: int) -> None:
        if fd in self._fds:
            self._count()


class Pens:
    """Writes a state directory's journal, run after run, a block at a time."""

    def __init__(self, state: Path, *, segment_bytes: int = 5_000, seed: int = 7) -> None:
        self.state = state
        self.clock = FakeClock()
        self.disk = NoSync()
        self.key: VerificationKey = verification_key(state, self.disk)
        self._settings = JournalSettings(segment_bytes=segment_bytes)
        self._random = random.Random(seed)
        self._written = 0

    def open(self) -> Journal:
        journal = Journal(self.state, self._settings, clock=self.clock, disk=self.disk)
        for event in journal.open():
            journal.append([encode(event) + b"\n"], 1)
        return journal

    def line(self) -> bytes:
        self._written += 1
        n = self._written
        if self._random.random() < 0.5:
            return encode(FileWritten(path=f"src/{n}.py", size_bytes=n)) + b"\n"
        return encode(LetterSent(n=n, text="x" * self._random.randrange(60))) + b"\n"

    def block(self, journal: Journal, lines: int = BLOCK_LINES) -> None:
        """Write some lines, and let the second pass after which they are sealed."""
        journal.append([self.line() for _ in range(lines)], lines)
        self.clock.advance(1.5)
        journal.sync()
        journal.roll_if_due()

    def run(self, blocks: int) -> None:
        """One run that ends well."""
        journal = self.open()
        for _ in range(blocks):
            self.block(journal)
        journal.end({})

    def die(self, blocks: int, *, unsealed: int = 0) -> None:
        """One run that is killed, some lines behind its last seal."""
        journal = self.open()
        for _ in range(blocks):
            self.block(journal)
        if unsealed:
            journal.append([self.line() for _ in range(unsealed)], unsealed)
        journal.abandon()


def segments_of(state: Path) -> list[Path]:
    return sorted((state / "journal").glob("*.jsonl"))


def seal_lines(segment: Path) -> list[dict[str, Any]]:
    """The records over a segment; none where nothing is sealed."""
    seals = segment.with_name(segment.name + ".seals")
    if not seals.exists():
        return []
    return [json.loads(line) for line in seals.read_bytes().splitlines()]


def verified(state: Path, key: VerificationKey | None = None) -> Verified:
    return verify_journal(state, key=key, disk=NoSync())


def told(found: Verified, *, also_unsealed: bool = False) -> list[tuple[str, int, int, str]]:
    """Everything that is amiss: file, first and last line, what."""
    seals = found.seals
    spans = [*seals.altered, *seals.incomplete, *(seals.unsealed if also_unsealed else ())]
    findings = [(one.segment, one.line or 0, one.line or 0, one.what) for one in found.findings]
    return [*findings, *((one.file, one.first, one.last, one.what) for one in spans)]


def flaws(state: Path, key: VerificationKey | None = None) -> list[tuple[str, int, int, str]]:
    """What verifying finds."""
    return told(verified(state, key))
