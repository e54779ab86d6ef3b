"""The heartbeat's own jobs: the bus's counts, memory, disk, what is kept where, and backups."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StoreUnusable
from eventbus.event import Event
from eventbus.events.bus import StatsTaken
from eventbus.events.storage import StorageMeasured
from eventbus.events.system import DiskLow, MemoryHigh
from eventbus.producers.schedule import HeartbeatSettings
from eventbus.units import read_part, size_text

if TYPE_CHECKING:
    from eventbus.store.whereabouts import StoreAt

__all__ = ["Measured", "back_up_stores", "measure_areas", "own_functions", "resident_bytes"]

REARM = 0.9
"""A threshold is told again once the value was this far on the good side of it."""
STORE_NAME = "store.db"


class Measured(Protocol):
    """What the heartbeat asks of a bus."""

    @property
    def state(self) -> Path | None: ...
    def emit_nowait(self, event: Event) -> object: ...
    def emit_own(self, event: Event) -> object: ...
    def statistics(self) -> Any: ...


def own_functions(
    bus: Measured,
    settings: HeartbeatSettings,
    *,
    stores: "Callable[[], Iterable[StoreAt]]" = tuple,
    disk: Disk = SYSTEM_DISK,
) -> dict[str, Callable[[], str]]:
    """The heartbeat's own jobs, by name; `stores` says what there is to back up."""
    memory = _Threshold(is_bad_above=True)
    room = _Threshold(is_bad_above=False)
    return {
        "stats": lambda: take_statistics(bus),
        "memory": lambda: check_memory(bus, settings, memory),
        "disk": lambda: check_disk(bus, settings, room, disk=disk),
        "storage": lambda: measure_storage(bus),
        "backup": lambda: back_up_stores(bus, _backed_up(stores(), settings), settings, disk=disk),
    }


class _Threshold:
    """Says when a value crosses to the bad side; once, until it has recovered."""

    def __init__(self, *, is_bad_above: bool) -> None:
        self._is_bad_above = is_bad_above
        self._told = False

    def is_crossed(self, value: int, threshold: int) -> bool:
        is_bad = value > threshold if self._is_bad_above else value < threshold
        if is_bad and not self._told:
            self._told = True
            return True
        if self._told and self._has_recovered(value, threshold):
            self._told = False
        return False

    def _has_recovered(self, value: int, threshold: int) -> bool:
        if self._is_bad_above:
            return value < threshold * REARM
        return value > threshold / REARM


def take_statistics(bus: Measured) -> str:
    """Put the bus's counts on the bus."""
    counts = bus.statistics()
    bus.emit_own(
        StatsTaken(
            accepted=counts.accepted,
            written=counts.written,
            waiting=counts.waiting,
            synced=counts.synced,
            poison=counts.poison,
            dropped=dict(counts.dropped),
            lanes={name: msgspec.to_builtins(lane) for name, lane in counts.lanes.items()},
        )
    )
    return f"written={counts.written} waiting={counts.waiting}"


def check_memory(bus: Measured, settings: HeartbeatSettings, told: _Threshold) -> str:
    """Tell when this process has come to hold too much."""
    used, threshold = resident_bytes(), read_part(settings.memory_most, whole=memory_bytes())
    if told.is_crossed(used, threshold):
        bus.emit_nowait(MemoryHigh(used_bytes=used, threshold_bytes=threshold))
    return f"{size_text(used)} of {size_text(threshold)}"


def check_disk(
    bus: Measured, settings: HeartbeatSettings, told: _Threshold, *, disk: Disk = SYSTEM_DISK
) -> str:
    """Tell when the state directory's disk has come to have too little room."""
    if bus.state is None:
        return "nothing is kept on disk"
    free = disk.free_bytes(bus.state)
    threshold = read_part(settings.disk_least, whole=_disk_bytes(bus.state))
    if told.is_crossed(free, threshold):
        path = str(bus.state)
        bus.emit_nowait(DiskLow(path=path, free_bytes=free, threshold_bytes=threshold))
    return f"{size_text(free)} free"


def measure_storage(bus: Measured) -> str:
    """Tell the bytes and files of each area of the state directory."""
    if bus.state is None:
        return "nothing is kept on disk"
    areas = measure_areas(bus.state)
    for area, (size, files) in areas.items():
        bus.emit_nowait(StorageMeasured(area=area, bytes=size, files=files))
    return f"{len(areas)} areas, {size_text(sum(size for size, _ in areas.values()))}"


def _backed_up(stores: "Iterable[StoreAt]", settings: HeartbeatSettings) -> "list[StoreAt]":
    """A database that machines share is dumped by the one that was told to."""
    return [store for store in stores if store.engine == "sqlite" or settings.dump]


def back_up_stores(
    bus: Measured,
    stores: "Iterable[StoreAt]",
    settings: HeartbeatSettings,
    *,
    disk: Disk = SYSTEM_DISK,
) -> str:
    """Back each store up, and tell how it went; raises when one could not be."""
    from eventbus.store.backups import back_up_store  # once a day, and only where there is one

    if bus.state is None:
        return "nothing is kept on disk"
    told = [back_up_store(store, bus.state, keep=settings.backups, disk=disk) for store in stores]
    made = [each for each in told if each is not None]
    for each in made:
        bus.emit_nowait(each)
    errors = [each.error for each in made if each.error is not None]
    if errors:
        raise StoreUnusable("; ".join(errors))
    return f"{len(made)} made, {size_text(sum(each.bytes or 0 for each in made))}"


def measure_areas(state: Path) -> dict[str, tuple[int, int]]:
    """Bytes and files by area: each directory in it, the store, and the rest."""
    areas: dict[str, tuple[int, int]] = {"journal": (0, 0), "logs": (0, 0)}
    for entry in _entries(state):
        if entry.is_dir(follow_symlinks=False):
            areas[entry.name] = _measure(Path(entry.path))
        else:
            area = "store" if entry.name.startswith(STORE_NAME) else "other"
            size, files = areas.get(area, (0, 0))
            areas[area] = (size + _size(entry), files + 1)
    return areas


def _measure(directory: Path) -> tuple[int, int]:
    size = files = 0
    waiting = [str(directory)]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                size, files = size + _size(entry), files + 1
    return size, files


def _entries(directory: Path | str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:  # gone meanwhile, or not ours to read: nothing to count
        return


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:  # pruned between being listed and being looked at
        return 0


def _disk_bytes(path: Path) -> int:
    there = os.statvfs(path)
    return there.f_blocks * there.f_frsize


def resident_bytes() -> int:
    """Memory this process holds; elsewhere than on Linux, the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_bytes() -> int:
    """Memory this process may have: the machine's, or its container's if less."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return whole
    return min(whole, int(most)) if most.isdigit() else whole
