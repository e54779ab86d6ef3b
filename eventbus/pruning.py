"""Deleting segments of the journal that are old enough, or too many."""

import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import UNREADABLE
from eventbus.events.bus import GapLeft
from eventbus.replay import read_lines
from eventbus.segment import Segment, segments_by_writer, segments_in
from eventbus.sink import Cursor, Place

__all__ = ["prune_journal", "pruned_up_to"]

PATIENCE = 3
"""A segment no lane has passed is kept this many times longer than the others."""
JUMP_BACK = timedelta(hours=1)
ABSENCE = timedelta(days=7)
"""Between two looks the clock may go this far back or ahead and still be believed."""
DOUBT = timedelta(days=1)
"""How long a clock that jumped must run before segments are deleted by age."""
_FIRST = datetime.min.replace(tzinfo=UTC)


class _Memory(msgspec.Struct, frozen=True):
    """What is remembered from one pruning to the next."""

    seen: datetime
    doubted_since: datetime | None = None


def prune_journal(
    state: Path, *, keep_days: float, keep_bytes: int | None, clock: Clock, disk: Disk
) -> list[GapLeft]:
    """Delete what may go; a gap for each lane that had not passed it.

    One process at a time does it; another finds nothing to do. Live segments
    and files we did not make stay, and so does everything right after the
    clock has jumped.
    """
    fd = disk.open(state / "run" / "prune.lock", os.O_RDWR | os.O_CREAT)
    try:
        if not disk.lock(fd):
            return []
        now = clock.now()  # asked once: it may jump between believing it and going by it
        if not _clock_is_believed(state / "run" / "prune.json", now, disk):
            return _delete(state, _oldest_beyond(state, keep_bytes, disk), clock, disk)
        old = _older_than(state, keep_days, now, disk) if keep_days else {}
        return _delete(state, {**old, **_oldest_beyond(state, keep_bytes, disk)}, clock, disk)
    finally:
        disk.close(fd)


def _clock_is_believed(path: Path, now: datetime, disk: Disk) -> bool:
    """False for a day after the clock was seen to jump."""
    memory = _Memory(now)
    with suppress(OSError, *UNREADABLE):
        memory = msgspec.json.decode(disk.read(path), type=_Memory)
    doubted_since = memory.doubted_since
    if not memory.seen - JUMP_BACK <= now <= memory.seen + ABSENCE:
        doubted_since = now
    elif doubted_since is not None and now - doubted_since >= DOUBT:
        doubted_since = None
    with suppress(OSError):
        disk.replace(path, msgspec.json.encode(_Memory(now, doubted_since)))
    return doubted_since is None


_Chosen = dict[Segment, list[str]]
"""Segments to delete, each with the lanes that had not passed it."""


def _older_than(state: Path, keep_days: float, now: datetime, disk: Disk) -> _Chosen:
    """Finished segments that are older, if every lane has passed or had long enough."""
    cursors = _cursors(state, disk)
    before = _days_before(now, keep_days)
    much_before = _days_before(now, keep_days * PATIENCE)
    chosen: _Chosen = {}
    for segment in _finished(state, disk):
        with suppress(OSError, OverflowError, ValueError):  # a time no calendar has
            ended = datetime.fromtimestamp(disk.stat(segment.path).st_mtime, before.tzinfo)
            behind = [lane for lane, cursor in cursors.items() if not _passed(cursor, segment)]
            if ended < (much_before if behind else before):
                chosen[segment] = behind
    return chosen


def _days_before(now: datetime, days: float) -> datetime:
    """That moment, or the first that can be told."""
    return now - timedelta(days=min((now - _FIRST).days, days))


def _oldest_beyond(state: Path, keep_bytes: int | None, disk: Disk) -> _Chosen:
    """The oldest finished segments that make the journal too large."""
    if keep_bytes is None:
        return {}
    sizes: dict[Segment, int] = {}
    for segment in _segments(state, disk):
        with suppress(OSError):
            sizes[segment] = disk.stat(segment.path).st_size
    excess = sum(sizes.values()) - keep_bytes
    cursors = _cursors(state, disk)
    chosen: _Chosen = {}
    for segment in _finished(state, disk):
        if excess <= 0:
            break
        excess -= sizes.get(segment, 0)
        chosen[segment] = [name for name, each in cursors.items() if not _passed(each, segment)]
    return chosen


def _finished(state: Path, disk: Disk) -> list[Segment]:
    """Segments no writer holds, oldest first."""
    finished = []
    for segments in segments_by_writer(_segments(state, disk)).values():
        finished += segments[:-1]
        if not _is_held(segments[-1], disk):
            finished.append(segments[-1])
    return sorted(finished)


def _segments(state: Path, disk: Disk) -> list[Segment]:
    """Every segment; a link, pipe or directory of such a name is none of ours."""
    return [one for one in segments_in(state / "journal", disk) if _is_file(one.path, disk)]


def _is_file(path: Path, disk: Disk) -> bool:
    try:
        return stat.S_ISREG(disk.stat(path).st_mode)
    except OSError:  # gone, or not ours to judge
        return False


def _is_held(segment: Segment, disk: Disk) -> bool:
    try:
        fd = disk.open(segment.path, os.O_RDONLY)
    except OSError:
        return True  # not ours to judge: leave it
    try:
        return not disk.lock(fd)
    finally:
        disk.close(fd)


def _cursors(state: Path, disk: Disk) -> dict[str, Cursor]:
    """Every lane's cursor, by name."""
    directory = state / "journal" / "cursors"
    cursors: dict[str, Cursor] = {}
    names: list[str] = []
    with suppress(NotADirectoryError):
        names = disk.names(directory)
    for name in names:
        if name.endswith(".json") and not name.startswith("."):
            with suppress(OSError, *UNREADABLE):
                kept = msgspec.json.decode(disk.read(directory / name), type=dict[str, Place])
                cursors[name.removesuffix(".json")] = kept
    return cursors


def _passed(cursor: Cursor, segment: Segment) -> bool:
    place = cursor.get(segment.writer)
    if place is None:
        return False
    if place.segment != segment.name:
        return place.segment > segment.name
    return _only_closing_left(segment, place)


def _only_closing_left(segment: Segment, place: Place) -> bool:
    """True when nothing but the bus's own records stands behind the place."""
    return all(
        line.startswith(b'{"kind":"bus:')
        for blob in read_lines(segment, start=place.offset)
        for line in blob.split(b"\n")[:-1]
    )


def _delete(state: Path, chosen: _Chosen, clock: Clock, disk: Disk) -> list[GapLeft]:
    chosen = _declare(state, chosen, clock, disk)
    cursors = _cursors(state, disk)
    gaps: list[GapLeft] = []
    there = segments_by_writer(segments_in(state / "journal", disk)) if chosen else {}
    noted = {w: name for w, name in pruned_up_to(state, disk).items() if w in there}
    for segment in sorted(chosen):
        places = [(lane, cursors.get(lane, {}).get(segment.writer)) for lane in chosen[segment]]
        noted[segment.writer] = max(segment.name, noted.get(segment.writer, ""))
        _note_pruned(state, noted, disk)
        with suppress(OSError):  # one that cannot be deleted keeps no other from it
            gaps += _delete_one(segment, places, disk)
    return gaps


def _declare(state: Path, chosen: _Chosen, clock: Clock, disk: Disk) -> _Chosen:
    """Say which sealed ones will be gone; what could not be said keeps them for now."""
    names = set(disk.names(state / "journal")) if chosen else set()
    sealed = [one for one in sorted(chosen) if f"{one.name}.seals" in names]
    if not sealed:
        return chosen
    from eventbus.sealing.declaring import declare_pruned  # digests, where there are seals

    try:
        declare_pruned(state, (one.path for one in sealed), clock=clock, disk=disk)
    except OSError:
        return {one: behind for one, behind in chosen.items() if one not in sealed}
    return chosen


def pruned_up_to(state: Path, disk: Disk) -> dict[str, str]:
    """The latest segment of each writer that pruning came to; it told the lanes behind."""
    try:
        return msgspec.json.decode(disk.read(state / "run" / "pruned.json"), type=dict[str, str])
    except (OSError, *UNREADABLE):
        return {}


def _note_pruned(state: Path, noted: dict[str, str], disk: Disk) -> None:
    """Before the next one goes, so that no lane finds a hole that seems to be nobody's."""
    with suppress(OSError):  # then a lane tells of it as well
        disk.replace(state / "run" / "pruned.json", msgspec.json.encode(noted))


def _delete_one(
    segment: Segment, behind: list[tuple[str, Place | None]], disk: Disk
) -> list[GapLeft]:
    """Delete a segment while nobody can take it; the gaps it leaves."""
    fd = disk.open(segment.path, os.O_RDONLY)
    try:
        if not disk.lock(fd):  # a writer took it up again since we looked
            return []
        gaps = [_gap(lane, segment, place, disk) for lane, place in behind]
        _delete_torn(segment, disk)
        with suppress(FileNotFoundError):
            disk.unlink(segment.path.with_name(f"{segment.name}.seals"))
        disk.unlink(segment.path)
        return [gap for gap in gaps if gap.count]
    finally:
        disk.close(fd)


def _delete_torn(segment: Segment, disk: Disk) -> None:
    """First, so that none outlives its segment."""
    torn = re.compile(rf"{re.escape(segment.path.stem)}\.\d+\.torn")
    for name in disk.names(segment.path.parent):
        path = segment.path.with_name(name)
        if torn.fullmatch(name) and _is_file(path, disk):
            disk.unlink(path)


def _gap(lane: str, segment: Segment, place: Place | None, disk: Disk) -> GapLeft:
    start = place.offset if place is not None and place.segment == segment.name else 0
    count = size = 0
    for blob in read_lines(segment, None, disk, start=start):
        count += blob.count(b"\n") - blob.count(b'{"kind":"bus:')
        size += len(blob)
    return GapLeft(lane=lane, reason="pruned", count=count, bytes=size)
