"""Putting a packed file in the place of a plain one."""

import os
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from eventbus.disk import Disk
from eventbus.errors import SettingsError
from eventbus.segments import PACKED, LogSegment, Series, load_zstd, next_number

__all__ = ["finish_interrupted", "pack"]

PART_BYTES = 1024 * 1024
"""Bytes packed at a step."""


def pack(path: Path, disk: Disk) -> Generator[None]:
    """Pack a file, a part at a step.

    Wherever it is interrupted, the lines are whole in one of the two.
    """
    beside = path.with_name(_temporary(path.name))
    source = disk.open(path, os.O_RDONLY)
    try:
        target = disk.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            yield from _pack_parts(source, target, disk)
            disk.sync(target)
        except BaseException:
            with suppress(OSError):
                disk.unlink(beside)
            raise
        finally:
            disk.close(target)
    finally:
        disk.close(source)
    disk.rename(beside, path.with_name(path.name + PACKED))
    disk.sync_directory(path.parent)
    disk.unlink(path)


def _pack_parts(source: int, target: int, disk: Disk) -> Generator[None]:
    packer = load_zstd().ZstdCompressor()
    for part in _parts(source, disk):
        disk.write_all(target, packer.compress(part))
        yield
    disk.write_all(target, packer.flush())


def _parts(fd: int, disk: Disk) -> Iterator[bytes]:
    start = 0
    while part := disk.pread(fd, PART_BYTES, start):
        yield part
        start += len(part)


def _temporary(name: str) -> str:
    return f".{name}{PACKED}.tmp"


def finish_interrupted(series: Series, disk: Disk) -> None:
    """Clear up what a crash in the middle of packing left."""
    names = set(disk.names(series.directory))
    for name in names:
        plain = name.removeprefix(".").removesuffix(f"{PACKED}.tmp")
        if name == _temporary(plain) and series.parse(plain) is not None:
            disk.unlink(series.directory / name)
    for segment in series.all_in(names):
        if segment.is_packed and segment.plain_name in names:
            with suppress(SettingsError):  # without zstd the two stay; the plain one is read
                _settle(segment, series, disk)


def _settle(packed: LogSegment, series: Series, disk: Disk) -> None:
    """Let the plain file go if the packed one holds it; else give it a name of its own."""
    path = series.directory / packed.plain_name
    if _is_same(path, series.directory / packed.name, disk):
        disk.unlink(path)
    elif packed.day is not None:
        number = next_number(series.all_in(disk.names(series.directory)), packed.day)
        disk.rename(path, series.directory / series.name(packed.day, number))


def _is_same(plain: Path, packed: Path, disk: Disk) -> bool:
    zstd = load_zstd()
    fd = disk.open(plain, os.O_RDONLY)
    try:
        packed_file = os.fdopen(disk.open(packed, os.O_RDONLY), "rb")
        with closing(packed_file), suppress(EOFError, zstd.ZstdError):
            return _is_content(_parts(fd, disk), zstd.ZstdFile(packed_file))
        return False
    finally:
        disk.close(fd)


def _is_content(parts: Iterator[bytes], unpacked: Any) -> bool:
    with unpacked:
        return all(_read(unpacked, len(part)) == part for part in parts) and not unpacked.read(1)


def _read(file: Any, size: int) -> bytes:
    """So many bytes, or what there is."""
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
