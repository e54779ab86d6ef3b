"""The files of a store on SQLite: what may stand there, setting one aside, putting one in place."""

import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from eventbus.disk import Disk
from eventbus.errors import StoreUnusable
from eventbus.store.sqlite import SIDES

__all__ = [
    "STAMP",
    "asides",
    "copy_file",
    "put_in_place",
    "read_stamp",
    "refuse_strange_files",
    "set_aside",
    "sync_file",
]

STAMP = "%Y%m%dT%H%M%S"
"""How a moment stands in a file's name, in UTC."""
COPY_BYTES = 1024 * 1024

Why = Literal["corrupt", "before"]
"""It could not be read; another one was put in its place."""


def refuse_strange_files(path: Path, disk: Disk) -> None:
    """Raise `StoreUnusable` when something else than a file stands where the store's belong.

    Links are not followed: they may lead to what is somebody else's.
    """
    for side in SIDES:
        there = _status(_beside(path, side), disk)
        if there is not None and not stat.S_ISREG(there.st_mode):
            raise StoreUnusable(
                f"cannot keep the store in {_beside(path, side)}: it is {_what(there.st_mode)};"
                " move it away, or give the sink another path"
            )


def _status(path: Path, disk: Disk) -> os.stat_result | None:
    try:
        return disk.stat(path)
    except FileNotFoundError:
        return None


def _what(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a pipe" if stat.S_ISFIFO(mode) else "no regular file"


def set_aside(path: Path, why: Why, *, now: datetime, disk: Disk) -> Path | None:
    """Give a store's files another name, nothing is deleted; that name, or None without a store."""
    there = [side for side in SIDES if _status(_beside(path, side), disk) is not None]
    if not there:
        return None
    aside = _free_name(path, f"{why}-{now.astimezone(UTC):{STAMP}}", disk)
    for side in there:
        disk.rename(_beside(path, side), _beside(aside, side))
    disk.sync_directory(path.parent)
    return aside if "" in there else None


def _free_name(path: Path, word: str, disk: Disk) -> Path:
    taken = set(disk.names(path.parent))
    names = (f"{path.name}.{word}{f'-{n}' if n else ''}" for n in range(len(taken) + 1))
    return path.with_name(next(name for name in names if name not in taken))


def asides(path: Path, why: Why, *, since: datetime, disk: Disk) -> int:
    """How many were set aside for that reason since a moment."""
    pattern = re.compile(rf"{re.escape(path.name)}\.{why}-(\d{{8}}T\d{{6}})(-\d+)?")
    matches = map(pattern.fullmatch, disk.names(path.parent))
    moments = (read_stamp(match[1]) for match in matches if match is not None)
    return sum(moment is not None and moment >= since for moment in moments)


def read_stamp(written: str) -> datetime | None:
    """The moment a file's name tells; None when it tells none."""
    with suppress(ValueError):
        return datetime.strptime(written, STAMP).replace(tzinfo=UTC)
    return None


def put_in_place(made: Path, path: Path, *, disk: Disk) -> None:
    """Let a finished file be the store, where none is; safe from a power cut."""
    sync_file(made, disk)
    disk.rename(made, path)
    disk.sync_directory(path.parent)


def copy_file(source: Path, target: Path, *, disk: Disk) -> None:
    """Copy a file whole; links are not followed."""
    read_fd = disk.open(source, os.O_RDONLY)
    try:
        write_fd = disk.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            offset = 0
            while part := disk.pread(read_fd, COPY_BYTES, offset):
                disk.write_all(write_fd, part)
                offset += len(part)
        finally:
            disk.close(write_fd)
    finally:
        disk.close(read_fd)


def sync_file(path: Path, disk: Disk) -> None:
    """Return when a file's bytes are on the disk."""
    fd = disk.open(path, os.O_RDWR)
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)


def _beside(path: Path, side: str) -> Path:
    return path.with_name(path.name + side)
