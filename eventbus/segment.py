"""One file of the journal: its name, what it says of itself, and the list of them."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.sink import Place

__all__ = ["NOWHERE", "Move", "Segment", "segment_name", "segments_by_writer", "segments_in"]

NOWHERE = Place("", 0)
"""Before the first segment of a writer that could not begin one yet."""

NAMES_KNOWN = 4_096
_START = "%Y%m%dT%H%M%S%f"
_NAME = re.compile(r"(\d{8}T\d{12})-([0-9a-f]{8})\.jsonl")


class Segment(msgspec.Struct, frozen=True, order=True):
    """One segment; ordered by its start, then by its writer."""

    start: datetime
    writer: str
    path: Path

    @classmethod
    def named(cls, directory: Path, start: datetime, writer: str) -> "Segment":
        """The segment a writer begins at that moment."""
        return cls(start, writer, directory / segment_name(start, writer))

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def day(self) -> date:
        """The UTC day it began."""
        return self.start.date()


class Move(msgspec.Struct, frozen=True):
    """What left its segment: where it had begun, and where it begins now."""

    old: Place
    new: Place
    size: int = 0
    """Bytes that were written again; 0 when all from there on was new."""

    @property
    def end(self) -> Place:
        """Behind the last of it, as far as this move goes."""
        return Place(self.new.segment, self.new.offset + self.size)

    def applied(self, place: Place) -> Place:
        """Where a record's place is now."""
        if place.segment != self.old.segment or place.offset < self.old.offset:
            return place
        passed = min(place.offset - self.old.offset, self.size)
        return Place(self.new.segment, self.new.offset + passed)


def segment_name(start: datetime, writer: str = "") -> str:
    """What a segment that begins at that moment is called."""
    return f"{start.astimezone(UTC):{_START}}-{writer}.jsonl"


def segment_of(path: Path) -> Segment | None:
    """The segment of that name, or None when the name is not one of ours."""
    match = _NAME.fullmatch(path.name)
    start = _moment(match[1]) if match is not None else None
    return Segment(start, match[2], path) if match is not None and start is not None else None


@lru_cache(maxsize=NAMES_KNOWN)
def _moment(written: str) -> datetime | None:
    """Asked of the same names again and again: each lane lists the journal once a second."""
    try:
        return datetime.strptime(written, _START).replace(tzinfo=UTC)
    except ValueError:  # digits, but of no moment
        return None


def segments_in(directory: Path, disk: Disk = SYSTEM_DISK) -> list[Segment]:
    """Every segment there, oldest first."""
    found = (segment_of(directory / name) for name in disk.names(directory))
    return sorted(segment for segment in found if segment is not None)


def segments_by_writer(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    """The same, apart by writer, each oldest first."""
    by_writer: dict[str, list[Segment]] = {}
    for segment in segments:
        by_writer.setdefault(segment.writer, []).append(segment)
    return by_writer
