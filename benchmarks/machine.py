"""Where a run takes place: processor, Python, file system, load."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Machine

__all__ = ["filesystem_of", "is_busy", "is_memory", "this_machine"]

IN_MEMORY = frozenset({"tmpfs", "ramfs", "rootfs"})
BUSY_PART = 0.3
"""Load for each processor above which ratios wander."""


def this_machine(directory: Path) -> Machine:
    """What the figures depend on, as it is now."""
    return Machine(
        taken=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        processors=_processors(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        filesystem=filesystem_of(directory),
        load=round(os.getloadavg()[0], 2),
    )


def is_busy(machine: Machine) -> bool:
    """True if others were using the machine when the run began."""
    return machine.load > BUSY_PART * machine.processors


def is_memory(filesystem: str) -> bool:
    """True if nothing written there ever reaches a disk."""
    return filesystem in IN_MEMORY


def filesystem_of(directory: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system that holds a directory."""
    if not mounts.exists():
        return "unknown"
    held_by, kind = "", "unknown"
    for line in mounts.read_text(errors="replace").split("\n"):
        _, point, type_, *_ = [*line.split(" "), "", "", ""]
        if len(point) >= len(held_by) and point and directory.resolve().is_relative_to(point):
            held_by, kind = point, type_
    return kind


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor(facts: Path = Path("/proc/cpuinfo")) -> str:
    if facts.exists():
        for line in facts.read_text(errors="replace").split("\n"):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
