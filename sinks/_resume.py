"""Where a file sink stands, kept beside its files, and what to cut off them after a crash.

A record says up to which cursor lines are in the files, and how long each
file is up to there. It is appended after the lines; a file is named in a
record before the first line goes into it. So whatever stands behind a record
can be found and cut, and the lane hands it over again.
"""

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zlib import crc32

import msgspec

from eventbus.disk import Disk
from eventbus.event import UNREADABLE
from eventbus.sink import Cursor
from sinks._append import Appender

__all__ = ["CursorLog", "FileMark", "Record", "Resume", "boot_id", "resume_from"]


class FileMark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long a file is up to a record's cursor."""

    name: str
    inode: int
    size: int


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step: all lines before `cursor` stand in the files as long as they are here."""

    cursor: Cursor
    files: list[FileMark]
    is_synced: bool = False
    """True when all it speaks of was on the disk before it was written."""
    is_doubtful: bool = False
    """True when a sync had failed and the bytes could not be written elsewhere."""
    boot: str = ""
    """Which run of the machine this was."""
    seen: datetime | None = None
    """What the clock said."""
    hold_seconds: float = 0.0
    """How much longer nothing is pruned, after the clock jumped."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class CursorLog:
    """The records, in a file of their own that one process holds."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._file = Appender(path, disk)
        try:
            if not self._file.lock():
                raise OSError(
                    errno.EAGAIN,
                    "another sink writes these files; give each its own path, or the sink a name",
                    str(path),
                )
            with suppress(FileNotFoundError):
                disk.unlink(self._beside)
            self.records = _records_in(self._file.read(0))
            self._is_named = bool(self.records)
        except BaseException:
            self._file.close()
            raise

    @property
    def _beside(self) -> Path:
        """Where the records are begun anew."""
        return self.path.with_name(f"{self.path.name}.new")

    @property
    def last(self) -> Record | None:
        return self.records[-1] if self.records else None

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def is_gone(self) -> bool:
        """True when somebody took the file away."""
        return self._file.look() in ("gone", "replaced")

    def append(self, record: Record) -> None:
        """Add a record: whole, or not at all."""
        self._file.append(_line(record))
        self.records = [record]

    def restart(self, record: Record) -> None:
        """Begin a new file with this record alone, in one step."""
        with suppress(FileNotFoundError):
            self._disk.unlink(self._beside)
        file = Appender(self._beside, self._disk)
        try:
            file.lock()  # before it has its name, so that nobody comes between
            file.append(_line(record))
            file.sync()
            self._disk.rename(self._beside, self.path)
        except BaseException:
            file.close()
            raise
        self._file.close()
        file.path = self.path
        self._file = file
        self.records = [record]
        self._is_named = False
        self._sync_name()

    def sync(self) -> None:
        """Return when the records are on the disk."""
        self._file.sync()
        self._sync_name()

    def _sync_name(self) -> None:
        if not self._is_named:
            self._disk.sync_directory(self.path.parent)
            self._is_named = True

    def close(self) -> None:
        self._file.close()


def _line(record: Record) -> bytes:
    content = _encode(record)
    return b"%08x %s\n" % (crc32(content), content)


def _records_in(log: bytes) -> list[Record]:
    """The whole records, in order; what a crash left half is left out."""
    records = []
    for line in log.split(b"\n"):
        digest, _, content = line.partition(b" ")
        if digest == b"%08x" % crc32(content):
            with suppress(*UNREADABLE):
                records.append(_decode(content))
    return records


class Resume(msgspec.Struct, frozen=True):
    """How to go on: from which cursor, and how long each file may be."""

    cursor: Cursor
    cuts: dict[int, int]
    """Sizes, by inode."""
    is_latest: bool
    """False when bytes behind a later record's cursor were lost."""


class Found(msgspec.Struct, frozen=True):
    """A file that is there now."""

    path: Path
    size: int


def resume_from(
    records: Sequence[Record], found: Mapping[int, Found], *, boot: str, disk: Disk
) -> Resume | None:
    """Choose the latest record that is true of the files as they were found.

    After the machine went down, what was not synced may be anything: then it
    is the last record that was synced.
    """
    recent = _since_the_last_sync(records)
    if not recent:
        return None
    last = len(recent) - 1
    if recent[last].boot != boot or recent[last].is_doubtful:
        chosen = 0
    else:
        true = (n for n in range(last, -1, -1) if _is_true(recent[n], found, disk))
        chosen = next(true, last)
    cuts: dict[int, int] = {}
    for record in recent[chosen:]:
        for mark in record.files:
            cuts[mark.inode] = min(mark.size, cuts.get(mark.inode, mark.size))
    return Resume(recent[chosen].cursor, cuts, chosen == last)


def _since_the_last_sync(records: Sequence[Record]) -> Sequence[Record]:
    for n in range(len(records) - 1, -1, -1):
        if records[n].is_synced:
            return records[n:]
    return records


def _is_true(record: Record, found: Mapping[int, Found], disk: Disk) -> bool:
    return all(_stands(mark, found.get(mark.inode), disk) for mark in record.files)


def _stands(mark: FileMark, found: Found | None, disk: Disk) -> bool:
    """The file is there, as long as it should be, and a line ends where it should."""
    if found is None or found.size < mark.size:
        return False
    if mark.size == 0:
        return True
    fd = disk.open(found.path, os.O_RDONLY)
    try:
        return disk.pread(fd, 1, mark.size - 1) == b"\n"
    finally:
        disk.close(fd)


def boot_id() -> str:
    """Which run of the machine this is; empty where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
