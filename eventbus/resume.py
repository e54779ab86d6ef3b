"""Where a lane goes on: its cursor beside the journal, and the one its sink keeps."""

from pathlib import Path

import msgspec

from eventbus.disk import Disk
from eventbus.event import UNREADABLE
from eventbus.sink import Cursor, Place

__all__ = ["keep_cursor", "read_cursor", "resumed_cursor"]


def keep_cursor(path: Path, cursor: Cursor, *, taken: Cursor, disk: Disk) -> None:
    """Keep where a lane stands, and what its sink had taken then."""
    disk.make_directory(path.parent)
    disk.replace(_beside(path), msgspec.json.encode(taken))
    disk.replace(path, msgspec.json.encode(cursor))


def resumed_cursor(told: Cursor | None, path: Path, disk: Disk) -> Cursor:
    """Where a lane goes on, given where its sink says it stands.

    A sink's own cursor moves only with a batch; what the lane has passed over
    since counts too, as long as the sink stands where it stood then.
    """
    kept = read_cursor(path, disk)
    if told is None:
        return kept
    if told != _read(_beside(path), disk):
        return told
    return {
        **kept,
        **{writer: max(place, kept.get(writer, place)) for writer, place in told.items()},
    }


def read_cursor(path: Path, disk: Disk) -> Cursor:
    """A lane's cursor as it was kept; empty when there is none that can be read."""
    return _read(path, disk) or {}


def _read(path: Path, disk: Disk) -> Cursor | None:
    try:
        return msgspec.json.decode(disk.read(path), type=dict[str, Place])
    except (OSError, *UNREADABLE):
        return None


def _beside(path: Path) -> Path:
    """Where the cursor that the lane's sink had at the time is kept."""
    return path.with_suffix(".sink")
