"""The seals of log files: of each file of a series that is written, while it is.

A line is sealed only when the cursor behind it is on the disk, so that what
is sealed is never cut off and handed over again.
"""

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import Event
from eventbus.sealing.chain import seals_of
from eventbus.sealing.declaring import declare_pruned, seals_there
from eventbus.sealing.mending import end_dead_chains
from eventbus.sealing.renaming import adopt_seals, says_name
from eventbus.sealing.sealer import Sealer
from eventbus.segments import PACKED, Series

__all__ = ["FileSeals", "NoFileSeals"]


class NoFileSeals:
    """Where nothing is sealed."""

    def begin(self) -> None:
        """Look after what a dead process left."""

    def wrote(self, path: Path, piece: bytes, *, end: int) -> None:
        """This piece was appended, in the step under way; the file ends there now."""

    def commit(self) -> None:
        """The step is done."""

    def roll_back(self) -> None:
        """The step is undone."""

    def rename(self, path: Path, target: Path) -> None:
        """A file is about to be given another name."""

    def follow(self, path: Path, target: Path) -> None:
        """It has that name now."""

    def disturbed(self, path: Path) -> None:
        """Somebody else changed a file, or took it away."""

    def synced(self, sync_cursor: Callable[[], None], in_use: Container[Path]) -> None:
        """All that was written is on the disk; files not in use are let go."""

    def tend(self, sync_cursor: Callable[[], None]) -> None:
        """Seal what is due."""

    def may_prune(self, paths: Iterable[Path]) -> bool:
        """Say that files are about to be deleted; False when it could not be said."""
        return True

    def pruned(self, path: Path) -> None:
        """A file is deleted."""

    def tell(self) -> list[Event]:
        """What went wrong since it was asked last."""
        return []

    def close(self) -> None:
        """No file is written any more."""


class FileSeals(NoFileSeals):
    """Seals every line of a series, in a state directory."""

    def __init__(self, state: Path, series: Series, *, clock: Clock, disk: Disk) -> None:
        self._state = state
        self._series = series
        self._clock = clock
        self._disk = disk
        self._sealers: dict[Path, Sealer] = {}
        self._step: list[tuple[Path, bytes, int]] = []

    def begin(self) -> None:
        with suppress(OSError):  # the seals of the dead wait for the next to come
            adopted = adopt_seals(self._series, self._disk)
            end_dead_chains(self._state, clock=self._clock, disk=self._disk, is_ours=self._is_ours)
            if adopted is not None and not says_name(adopted, self._disk):
                self.rename(adopted, adopted)

    def _is_ours(self, path: Path) -> bool:
        return path.parent == self._series.directory and self._series.parse(path.name) is not None

    def wrote(self, path: Path, piece: bytes, *, end: int) -> None:
        self._step.append((path, piece, end))

    def commit(self) -> None:
        step, self._step = self._step, []
        for path, piece, end in step:
            self._sealer(path, end - len(piece)).note([piece])

    def _sealer(self, path: Path, start: int) -> Sealer:
        sealer = self._sealers.get(path)
        if sealer is None:
            sealer = Sealer(self._state, clock=self._clock, disk=self._disk, seals_all=True)
            sealer.turn_to(path, start=start, lines=None)
            self._sealers[path] = sealer
        return sealer

    def roll_back(self) -> None:
        self._step.clear()

    def rename(self, path: Path, target: Path) -> None:
        if seals_there(path, self._disk):  # else there is nothing that has a name
            self._sealer(path, self._end_of(path)).will_be(target)

    def _end_of(self, path: Path) -> int:
        """Where what is committed ends."""
        starts = (end - len(piece) for other, piece, end in self._step if other == path)
        return min(starts, default=self._disk.stat(path).st_size)

    def follow(self, path: Path, target: Path) -> None:
        self._step = [(target if p == path else p, piece, end) for p, piece, end in self._step]
        with suppress(FileNotFoundError):
            self._disk.rename(seals_of(path), seals_of(target))
        sealer = self._sealers.pop(path, None)
        if sealer is not None:
            self._sealers[target] = sealer
            sealer.follow(target)

    def disturbed(self, path: Path) -> None:
        sealer = self._sealers.pop(path, None)
        if sealer is not None:
            sealer.end("closed")

    def synced(self, sync_cursor: Callable[[], None], in_use: Container[Path]) -> None:
        for sealer in self._sealers.values():
            sealer.mark(then_seal=False)
        self.tend(sync_cursor)
        done = [path for path in self._sealers if path not in in_use]
        if done:
            sync_cursor()
        for path in done:
            self._sealers.pop(path).end("closed")

    def tend(self, sync_cursor: Callable[[], None]) -> None:
        if any(sealer.is_due for sealer in self._sealers.values()):
            sync_cursor()
        for sealer in self._sealers.values():
            sealer.seal_if_due()

    def may_prune(self, paths: Iterable[Path]) -> bool:
        plain = dict.fromkeys(_plain(path) for path in paths)
        sealed = [path for path in plain if seals_there(path, self._disk)]
        try:
            declare_pruned(self._state, sealed, clock=self._clock, disk=self._disk)
        except OSError:
            return False
        return True

    def pruned(self, path: Path) -> None:
        with suppress(OSError):
            self._disk.unlink(seals_of(_plain(path)))

    def tell(self) -> list[Event]:
        return [event for sealer in self._sealers.values() for event in sealer.tell()]

    def close(self) -> None:
        sealers, self._sealers = self._sealers, {}
        for sealer in sealers.values():
            sealer.end("closed")


def _plain(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(PACKED))
