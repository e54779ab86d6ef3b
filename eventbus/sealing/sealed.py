"""What all `.seals` files of a state directory hold."""

import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain as chained
from pathlib import Path

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.sealing.keys import read_state_key
from eventbus.sealing.mending import live_keys
from eventbus.sealing.records import DECLARED, SEALS, Renamed, Written, read_records

__all__ = ["Sealed", "read_declared", "read_sealed"]


class Sealed:
    """What all `.seals` files of a state directory held when they were read."""

    def __init__(self, state: Path, disk: Disk) -> None:
        self.state = state
        self.key = read_state_key(state, disk)
        """Read first: what is begun meanwhile is no finding."""
        self.live = live_keys(state, disk)
        self.files: dict[Path, list[Written]] = {}
        """By the file that is sealed, whatever packing calls it."""
        for path in seal_files(state, disk):
            with suppress(FileNotFoundError):  # pruned meanwhile
                records = _read(path, disk)
                of = path.with_name(path.name.removesuffix(SEALS))
                self.files[_being_renamed(of, records, disk) or of] = records
        self.declared: list[Written] = []
        with suppress(FileNotFoundError):
            self.declared = _read(state / DECLARED, disk)
        self.live_after = live_keys(state, disk)
        self.key_after = read_state_key(state, disk)

    @property
    def has_any(self) -> bool:
        return bool(self.files or self.declared or self.key)

    @property
    def state_of_it(self) -> tuple[object, ...]:
        """The same as long as nobody has sealed, renamed or pruned anything."""
        counts = [(path, len(records)) for path, records in sorted(self.files.items())]
        return self.key_after, len(self.declared), counts

    def records(self) -> Iterator[Written]:
        """Every record that can be read."""
        every = chained(*self.files.values(), self.declared)
        return (written for written in every if written.record is not None)


def _being_renamed(of: Path, records: list[Written], disk: Disk) -> Path | None:
    """The new name of a file whose seals have not followed it yet."""
    named = [one.record.named for one in records if isinstance(one.record, Renamed)]
    if not named or _is_there(of, disk):
        return None
    target = of.with_name(named[-1])
    is_bare = not _is_there(target.with_name(target.name + SEALS), disk)
    return target if is_bare and _is_there(target, disk) else None


def _is_there(path: Path, disk: Disk) -> bool:
    try:
        disk.stat(path)
    except OSError:
        return False
    return True


def seal_files(state: Path, disk: Disk) -> list[Path]:
    """Every `.seals` file beside a sealed one."""
    places = [state / "journal", *_directories(state / "logs", disk)]
    found = [place / name for place in places for name in _names(place, disk)]
    return sorted(path for path in found if path.name.endswith(SEALS))


def _directories(top: Path, disk: Disk) -> list[Path]:
    inside = [top / name for name in sorted(_names(top, disk))]
    return [top, *(path for path in inside if _is_directory(path, disk))]


def _is_directory(path: Path, disk: Disk) -> bool:
    try:
        return stat.S_ISDIR(disk.stat(path).st_mode)
    except OSError:  # gone meanwhile
        return False


def _names(place: Path, disk: Disk) -> list[str]:
    with suppress(NotADirectoryError):
        return disk.names(place)
    return []


def _read(path: Path, disk: Disk) -> list[Written]:
    return list(read_records(disk.read(path)))


def read_declared(state: Path, disk: Disk = SYSTEM_DISK) -> list[Written]:
    """What was said to be pruned or erased there."""
    try:
        return _read(state / DECLARED, disk)
    except FileNotFoundError:
        return []


def read_sealed(state: Path, disk: Disk = SYSTEM_DISK) -> Sealed:
    """All that is sealed there."""
    return Sealed(state, disk)
