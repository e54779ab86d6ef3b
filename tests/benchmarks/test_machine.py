"""Where a run takes place."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.figures import Report
from benchmarks.machine import filesystem_of, is_busy, is_memory, this_machine
from benchmarks.table import header_text
from tests.benchmarks.test_figures import MACHINE


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    listed = tmp_path / "mounts"
    listed.write_text(
        "/dev/vda / ext4 rw 0 0\nnone /fast tmpfs rw 0 0\n/dev/vdb /fast/disk xfs rw 0 0\n\n"
    )
    return listed


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/home/a", "ext4"),
        ("/fast", "tmpfs"),
        ("/fast/x", "tmpfs"),
        ("/fast/disk/x", "xfs"),
        ("/faster", "ext4"),
    ],
)
def test_the_innermost_mount_names_the_file_system(directory: str, kind: str, mounts: Path) -> None:
    assert filesystem_of(Path(directory), mounts) == kind


def test_where_mounts_are_not_told_the_file_system_is_unknown(tmp_path: Path) -> None:
    assert filesystem_of(tmp_path, tmp_path / "absent") == "unknown"


def test_memory_is_no_disk() -> None:
    assert is_memory("tmpfs")
    assert not is_memory("ext4")


def test_a_busy_machine_is_warned_of() -> None:
    busy = replace(MACHINE, load=1.9)

    assert is_busy(busy)
    assert "warning: the machine is busy" in header_text(Report(busy, 7, 1, []))


def test_this_machine_is_told(tmp_path: Path) -> None:
    machine = this_machine(tmp_path)

    assert machine.processors >= 1
    assert machine.python.count(".") == 2
    assert machine.filesystem
