"""Erasing lines of the journal and of log files: planned, declared, then done, file by file."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.errors import StateUnusable
from eventbus.event import Event
from eventbus.kinds import is_critical_line
from eventbus.sealing.chain import seals_of
from eventbus.sealing.choosing import Choice
from eventbus.sealing.declaring import declare, seals_there
from eventbus.sealing.records import (
    Begun,
    Block,
    Erased,
    ErasedBlock,
    ErasedLine,
    leaf_of,
    read_records,
)
from eventbus.sealing.tombstones import blank, head_of, tombstone
from eventbus.segment import segments_in
from eventbus.segments import PACKED, load_zstd, unpacked_parts

__all__ = ["Changed", "apply", "in_journal", "in_log_file"]


class Changed(msgspec.Struct):
    """A file with tombstones where the chosen lines stood; as long as it was."""

    path: Path
    content: bytes
    """All of it, unpacked."""
    lines: list[ErasedLine]
    spots: list[int]
    """Where each of them begins."""

    @property
    def plain(self) -> Path:
        """What it is called while it is not packed."""
        return self.path.with_name(self.path.name.removesuffix(PACKED))


def in_journal(
    state: Path, choice: Choice, ids: set[str], disk: Disk
) -> Iterator[tuple[Changed, list[tuple[Event | None, bytes]]]]:
    """Segments that hold chosen lines, or lines of these ids: as they will be, and the lines.

    Raises `StateUnusable` for one that is being written.
    """
    for segment in segments_in(state / "journal", disk):
        content = disk.read(segment.path)
        if not choice.may_be_in(content) and not any(id.encode() in content for id in ids):
            continue
        chosen: list[tuple[Event | None, bytes]] = []

        def take(line: bytes, chosen: list[tuple[Event | None, bytes]] = chosen) -> bool:
            event = choice.takes(line)
            if event is None and head_of(line)[1] not in ids:
                return False
            chosen.append((event, line))
            return True

        changed = _changed(segment.path, content, take, tombstone)
        if changed is not None:
            _refuse_if_written(segment.path, disk)
            yield changed, chosen


def in_log_file(path: Path, gone: set[bytes], *, is_json: bool, disk: Disk) -> Changed | None:
    """A log file without these lines; None when it has none of them."""
    is_packed = path.name.endswith(PACKED)
    content = b"".join(unpacked_parts(path, disk)) if is_packed else disk.read(path)
    return _changed(path, content, gone.__contains__, tombstone if is_json else blank)


def _changed(
    path: Path, content: bytes, take: Callable[[bytes], bool], make: Callable[[bytes], bytes]
) -> Changed | None:
    lines, spots, place = content.split(b"\n"), [], 0
    erased: list[ErasedLine] = []
    for number, line in enumerate(lines[:-1], 1):
        if line and take(line):
            kind, id, _ = head_of(line)
            leaf, critical = leaf_of(line).hex(), is_critical_line(line)
            erased.append(ErasedLine(line=number, leaf=leaf, critical=critical, kind=kind, id=id))
            spots.append(place)
            lines[number - 1] = make(line)
        place += len(line) + 1
    return Changed(path, b"\n".join(lines), erased, spots) if erased else None


def _refuse_if_written(path: Path, disk: Disk) -> None:
    fd = disk.open(path, os.O_RDONLY)
    try:
        if not disk.lock(fd):
            raise StateUnusable(
                f"cannot erase lines of {path.name}: a process is writing it; end it first"
            )
    finally:
        disk.close(fd)


# --- doing it --------------------------------------------------------------------------


def apply(
    state: Path,
    changed: list[Changed],
    *,
    words: tuple[str, ...],
    by: str,
    why: str,
    clock: Clock,
    disk: Disk,
) -> None:
    """Declare what will be gone, then put the files in place; raises `OSError`."""
    for one in changed:
        blocks, is_every = _blocks_of(one, disk)
        lines = one.lines
        if is_every:
            lines = [msgspec.structs.replace(line, critical=True) for line in lines]
        declare(
            state,
            Erased,
            of=one.plain.name,
            lines=tuple(lines),
            blocks=tuple(blocks),
            where=" and ".join(words),
            by=by,
            why=why,
            clock=clock,
            disk=disk,
        )
    for one in changed:
        _put(one, disk)


def _blocks_of(one: Changed, disk: Disk) -> tuple[list[ErasedBlock], bool]:
    """What the blocks with tombstones are from now on; is every line a critical one."""
    if not seals_there(one.plain, disk):
        return [], False
    blocks: list[ErasedBlock] = []
    is_every = False
    for written in read_records(disk.read(seals_of(one.plain))):
        record = written.record
        if isinstance(record, Begun):
            is_every = is_every or record.every
        if isinstance(record, Block) and any(record.start <= at < record.end for at in one.spots):
            digest = hashlib.sha256(one.content[record.start : record.end]).hexdigest()
            blocks.append(
                ErasedBlock(chain=record.chain, start=record.start, end=record.end, digest=digest)
            )
    return blocks, is_every


def _put(one: Changed, disk: Disk) -> None:
    """Write it: beside, and renamed; in place where a sink's cursor knows the file itself."""
    if _is_known(one.path, disk):
        _write_in_place(one, disk)
        return
    beside = one.path.with_name(f".{one.path.name}.erased")
    fd = disk.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        disk.write_all(fd, _packed(one))
        disk.sync(fd)
    finally:
        disk.close(fd)
    status = disk.stat(one.path)
    os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))  # its age is what prunes it
    disk.rename(beside, one.path)
    disk.sync_directory(one.path.parent)


def _packed(one: Changed) -> bytes:
    if one.path == one.plain:
        return one.content
    packed: bytes = load_zstd().compress(one.content)
    return packed


def _is_known(path: Path, disk: Disk) -> bool:
    """True when a file sink has written down how long this very file is."""
    name = msgspec.json.encode(path.name)
    books = [each for each in disk.names(path.parent) if each.endswith(".cursor")]
    return any(name in disk.read(path.parent / book) for book in books)


def _write_in_place(one: Changed, disk: Disk) -> None:
    fd = disk.open(one.path, os.O_RDWR)
    try:
        for spot in one.spots:
            line = one.content[spot : one.content.index(b"\n", spot)]
            disk.pwrite(fd, line, spot)
        disk.sync(fd)
    finally:
        disk.close(fd)
