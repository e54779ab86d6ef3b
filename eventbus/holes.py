"""What is missing between one writer's segments, and how many events went with it."""

from pathlib import Path

from eventbus.disk import Disk
from eventbus.pruning import pruned_up_to
from eventbus.replay import SegmentReader, opening_of
from eventbus.segment import Segment
from eventbus.sink import Place

__all__ = ["Holes"]


class Holes:
    """Counts what is gone, but for what pruning has told that lane already."""

    def __init__(self, writer: str, journal: Path, disk: Disk, *, pruning_tells: bool) -> None:
        self.lost = 0
        self.untold = 0
        """Holes of which nobody can say how many events they took."""
        self._writer = writer
        self._journal = journal
        self._disk = disk
        self._pruning_tells = pruning_tells

    def take(self) -> tuple[int, int]:
        """Events lost and holes of unknown size, since this was asked before."""
        told, self.lost, self.untold = (self.lost, self.untold), 0, 0
        return told

    def look_between(self, reader: SegmentReader, after: Segment) -> None:
        """Called when a segment was read to its end and `after` is the next one there."""
        opened = opening_of(after, self._disk)
        if reader.is_gone:
            self.look_before(reader.place, after)
        elif opened is not None and opened.previous not in (None, reader.segment.name):
            began = reader.opening()
            read = began.before + reader.count_lines() if began is not None else opened.before
            self._lose(reader.segment.name, after, opened.before - read)

    def look_before(self, place: Place, after: Segment) -> None:
        """Called when the segment of that place is gone, and `after` is the next one there."""
        opened = opening_of(after, self._disk)
        is_next = opened is not None and opened.previous == place.segment
        end = opened.previous_end if opened is not None and is_next else None
        if end is None or place.offset < end:  # else all of it was read
            self._lose(place.segment, after, None)

    def _lose(self, last: str, after: Segment, records: int | None) -> None:
        """All between is gone; a segment's own first record is no event."""
        if self._pruning_tells and self._was_pruned(last, after):
            return
        if records is None:
            self.untold += 1
        else:
            self.lost += max(0, records - 1)

    def _was_pruned(self, last: str, after: Segment) -> bool:
        """Pruning goes from the oldest on, and may be on its way while a lane reads."""
        pruned = pruned_up_to(self._journal.parent, self._disk).get(self._writer, "")
        return last <= pruned and (pruned <= after.name or self._is_gone(after))

    def _is_gone(self, segment: Segment) -> bool:
        try:
            self._disk.stat(segment.path)
        except FileNotFoundError:
            return True
        return False
