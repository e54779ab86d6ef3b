"""What events weigh while they wait, and what a stalled sink adds."""

import asyncio
import gc
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event as Gate

from benchmarks.sample import acting, tool_called
from eventbus import Batch, EventBus, Sink
from eventbus.disk import Disk

__all__ = ["inbox", "plain_list", "stalled"]

PAGE_BYTES = resource.getpagesize()
HELD_SECONDS = 20


class _HeldDisk(Disk):
    """Lets nothing through while it is held."""

    def __init__(self) -> None:
        self.may_write = Gate()
        self.may_write.set()
        self.is_waiting = Gate()

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._wait()
        return super().write(fd, data)

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        self._wait()
        return super().writev(fd, buffers)

    def _wait(self) -> None:
        if not self.may_write.is_set():
            self.is_waiting.set()
            self.may_write.wait()


def inbox(directory: Path, *, events: int) -> dict[str, float]:
    """Bytes of memory an event while the disk takes nothing."""
    disk = _HeldDisk()
    with EventBus(directory / "state", disk=disk) as bus, acting():
        disk.may_write.clear()
        bus.emit_nowait(tool_called(0))
        if not disk.is_waiting.wait(HELD_SECONDS):
            raise SystemExit("the writer never came to write")
        waiting, before = bus.statistics().waiting, _resident_bytes()
        for number in range(events):
            bus.emit_nowait(tool_called(number))
        each = (_resident_bytes() - before) / (bus.statistics().waiting - waiting)
        disk.may_write.set()
    return {"bytes": each}


def plain_list(directory: Path, *, events: int) -> dict[str, float]:
    """Bytes of memory an event in a list and nothing else."""
    with acting():
        tool_called(0)
        before = _resident_bytes()
        kept = [tool_called(number) for number in range(events)]
        each = (_resident_bytes() - before) / len(kept)
    return {"bytes": each}


class _Stalled(Sink):
    """Takes a batch and never comes back."""

    async def write(self, batch: Batch) -> None:
        await asyncio.Event().wait()


class _Swift(Sink):
    """Takes a batch and forgets it."""

    async def write(self, batch: Batch) -> None:
        return


def stalled(directory: Path, *, events: int, stalls: bool) -> dict[str, float]:
    """The most memory the process ever held, in MiB."""
    asyncio.run(_emit_past(directory, events, _Stalled() if stalls else _Swift()))
    return {"peak_mib": _peak_bytes() / 2**20}


async def _emit_past(directory: Path, events: int, sink: Sink) -> None:
    async with EventBus(directory / "state", sinks=[sink], grace=0.5) as bus:
        with acting():
            for number in range(events):
                await bus.emit(tool_called(number))


def _resident_bytes() -> int:
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * PAGE_BYTES
    return _peak_bytes()


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: what that tells includes the parent's peak.
        peak = status.read_text().partition("VmHWM:")[2].split()[0]
        return int(peak) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
