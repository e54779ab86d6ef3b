"""Sealing one file after the other as it is written: what was noted becomes blocks.

Nothing here raises for the disk's trouble: a seal that could not be written
is tried again, and until then its lines are as unsealed as new ones.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import Event
from eventbus.events.error import IoFailed
from eventbus.sealing.absent import Lines
from eventbus.sealing.chain import Chain, Tally
from eventbus.sealing.mending import end_dead_chains
from eventbus.sealing.records import Block, Renamed

__all__ = ["Sealer"]

BLOCK_SECONDS = 1.0
"""After so long a block with a critical line is sealed."""
PLAIN_SECONDS = 60.0
"""The same for a block without one."""
BLOCK_CRITICAL = 1_000
BLOCK_LINES = 16_384
"""At so many critical lines, or so many at all, it is sealed at once."""
PAUSE_SECONDS = 5.0
"""Between tries while the disk refuses."""
KEEP_SECONDS = 1.0
"""Between syncs of the seals."""


class Sealer:
    """Seals one file after the other as it is written; used by one thread at a time.

    What is written is noted, what is synced is marked, and what is marked
    becomes a block when it is due. The chain begins with the first critical line.
    """

    def __init__(self, state: Path, *, clock: Clock, disk: Disk, seals_all: bool = False) -> None:
        self.trouble: str | None = None
        """What the disk said to the last seal, while it refuses."""
        self._told: str | None = None
        """The same, as it was last told."""
        self.doubtful = False
        """True when what is noted may hold what somebody else put there."""
        self._state = state
        self._clock = clock
        self._disk = disk
        self._seals_all = seals_all
        """True where every line is as critical as any."""
        self._of: Path | None = None
        self._start = self._lines = 0
        self._counts_lines = False
        """True when the lines before are still to be counted."""
        self._noted = Tally(every=self._seals_all)
        self._marked: Tally | None = None
        self._begun_at: float | None = None
        """When the first line of the block was noted."""
        self._kept_at = float("-inf")
        self._is_unkept = False
        self._unsaid: str | None = None
        """The name the file is given, until it is said."""
        self._again_at = float("-inf")
        """Not before then, after a seal that failed: each beginning uses up a number."""
        self._chain: Chain | None = None

    def mend(self, directory: Path) -> None:
        """End the chains that dead writers left over files in a directory."""
        try:
            end_dead_chains(
                self._state,
                clock=self._clock,
                disk=self._disk,
                is_ours=lambda of: of.parent == directory,
            )
        except OSError as error:
            self.trouble = str(error)

    def turn_to(self, of: Path, *, start: int, lines: int | None = 0) -> None:
        """Seal this file from there on; None: its lines before are counted when it matters."""
        if self._of is not None:
            self.end("turned")
        self._of, self._start, self._lines = of, start, lines or 0
        self._counts_lines = lines is None
        self._unsaid = None
        self._forget()

    def will_be(self, target: Path) -> None:
        """The file is about to be given another name: say so where its seals are."""
        self._unsaid = target.name
        try:
            self._say_name()
        except (OSError, ValueError) as error:
            self.trouble = str(error)

    def _say_name(self) -> None:
        if self._unsaid is not None and self._of is not None:
            self._chain = self._chain or self._begin(self._of)
            self._chain.write(Renamed, named=self._unsaid, at=self._clock.now())
            self._unsaid = None
            self._keep()

    def follow(self, path: Path) -> None:
        """The file has another name by now, and so have its seals."""
        self._of = path
        try:
            if self._chain is not None:
                self._chain.follow(path)
        except OSError as error:
            self.trouble = str(error)

    def _forget(self) -> None:
        self._noted, self._marked, self._begun_at = Tally(every=self._seals_all), None, None
        self.doubtful = False

    def note(self, blobs: Sequence[bytes], *, lines: Lines | None = None) -> None:
        """These whole lines were just appended.

        `lines` has for each blob how many they are, and those that may be critical.
        """
        if lines is None:
            for blob in blobs:
                self._noted.add(blob)
        else:
            for blob, (count, some) in zip(blobs, lines, strict=True):
                self._noted.add(blob, lines=some, count=count)
        if self._begun_at is None:
            self._begun_at = self._clock.monotonic()

    def mark(self, *, then_seal: bool = True) -> None:
        """All that was noted is on the disk; seal it if that is due."""
        if self._noted.size:
            self._marked = self._noted.copy()
        if then_seal:
            self.seal_if_due()

    @property
    def is_due(self) -> bool:
        """True when a block is to be made of what is marked."""
        marked = self._marked
        if marked is None or self._begun_at is None or not self._wants(marked):
            return False
        if self._clock.monotonic() < self._again_at:
            return False
        if marked.size != self._noted.size:  # the others are not on the disk yet
            return False
        if marked.critical >= BLOCK_CRITICAL or marked.lines >= BLOCK_LINES:
            return True
        passed = self._clock.monotonic() - self._begun_at
        return passed >= (BLOCK_SECONDS if marked.critical else PLAIN_SECONDS)

    def _wants(self, marked: Tally) -> bool:
        return self._chain is not None or marked.critical > 0

    def seal_if_due(self) -> None:
        """Look whether a block is to be sealed, or seals to be synced."""
        try:
            if self.is_due:
                self._say_name()
                self._seal()
                self.trouble = None
            if self._is_unkept and self._clock.monotonic() - self._kept_at >= KEEP_SECONDS:
                self._keep()
        except (OSError, ValueError) as error:
            self.trouble = str(error)
            self._again_at = self._clock.monotonic() + PAUSE_SECONDS

    def _seal(self) -> None:
        """Make a block of what is marked."""
        marked, of = self._marked, self._of
        if marked is None or of is None:
            return
        chain = self._chain = self._chain or self._begin(of)
        chain.write(
            Block,
            first=self._lines + 1,
            last=self._lines + marked.lines,
            start=self._start,
            end=self._start + marked.size,
            digest=marked.digest.hexdigest(),
            leaves=marked.leaves.hexdigest(),
            critical=marked.critical,
            at=self._clock.now(),
            late=self.doubtful,
        )
        self._start += marked.size
        self._lines += marked.lines
        self._is_unkept = True
        self._forget()

    def _begin(self, of: Path) -> Chain:
        if self._counts_lines:
            self._lines = count_lines(of, self._start, self._disk)
            self._counts_lines = False
        return Chain.begin(
            self._state,
            of,
            start=self._start,
            lines=self._lines,
            every=self._seals_all,
            clock=self._clock,
            disk=self._disk,
        )

    def _keep(self) -> None:
        if self._chain is not None:
            self._chain.keep()
        self._kept_at, self._is_unkept = self._clock.monotonic(), False

    def end(self, why: str) -> None:
        """Seal what is marked, and end the chain; what fails is left to the next to come."""
        try:
            self._say_name()
            if self._marked is not None and self._wants(self._marked):
                self._seal()
            if self._chain is not None:
                self._chain.end(why, self._clock)
        except (OSError, ValueError) as error:
            self.trouble = str(error)
        finally:
            self.abandon()

    def tell(self) -> list[Event]:
        """That lines stay unsealed, once for each trouble."""
        trouble, before, self._told = self.trouble, self._told, self.trouble
        if trouble is None or trouble == before:
            return []
        message = f"cannot seal {self._of.name if self._of else 'a file'}: {trouble}"
        return [IoFailed(ts=self._clock.now(), type="SealFailed", message=message)]

    def abandon(self) -> None:
        """Let the chain go as it is."""
        chain, self._chain = self._chain, None
        if chain is not None:
            chain.let_go()
        self._of = None
        self._is_unkept = False
        self._forget()


def count_lines(path: Path, stop: int, disk: Disk) -> int:
    """Lines that end before that byte."""
    number = 0
    fd = disk.open(path, os.O_RDONLY)
    try:
        for start in range(0, stop, 1 << 18):
            number += disk.pread(fd, min(1 << 18, stop - start), start).count(b"\n")
    finally:
        disk.close(fd)
    return number
