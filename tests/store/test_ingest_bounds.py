"""Whatever the file, ingest reads it in little memory, and says what it cannot read."""

import errno
import gzip
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from eventbus.disk import Disk
from eventbus.errors import IngestRefused
from eventbus.event import Event
from eventbus.store.ingest import Ingested, ingest_file
from tests.reliability.counts import runs

LINE_BYTES = runs(ci=48, long=1_024) * 1024 * 1024
MEMORY_MOST = 8 * 1024 * 1024


async def pass_on(events: Iterable[Event], *, until: str) -> None:
    """A journal that takes everything at once."""


async def measured(path: Path) -> tuple[Ingested, int]:
    """What came of it, and the most memory it took."""
    tracemalloc.start()
    try:
        result = await ingest_file(path, emit=pass_on, rest_seconds=0)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_line_without_an_end_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.truncate(LINE_BYTES)

    result, memory = await measured(path)

    assert (result.lines, result.unparsed, result.bytes) == (1, 1, LINE_BYTES)
    assert memory < MEMORY_MOST


async def test_a_packed_line_without_an_end_is_too(tmp_path: Path) -> None:
    path = tmp_path / "huge.log.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(48):
            file.write(bytes(1024 * 1024))

    result, memory = await measured(path)

    assert (result.unparsed, result.bytes) == (1, 48 * 1024 * 1024)
    assert memory < MEMORY_MOST


async def test_many_short_lines_are_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "short.log"
    path.write_bytes(b"\n" * 70_000)

    result, memory = await measured(path)

    assert result.unparsed == 70_000
    assert memory < MEMORY_MOST


class BadDisk(Disk):
    """One that reads so far."""

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        if offset >= 256 * 1024:
            raise OSError(errno.EIO, "Input/output error")
        return super().pread(fd, size, offset)


async def test_a_disk_that_fails_is_told_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    path.write_bytes(b"2024-12-19T14:30:00.001Z|a:b|x|m\n" * 20_000)

    with pytest.raises(IngestRefused, match=r"cannot read .*agent.log beyond byte 262144"):
        await ingest_file(path, emit=pass_on, rest_seconds=0, disk=BadDisk())
