"""One writer's segments as a lane reads them: forward, across those that come and go."""

from itertools import pairwise
from pathlib import Path

from eventbus.disk import Disk
from eventbus.holes import Holes
from eventbus.replay import SegmentReader, first_line, read_lines, valid_end
from eventbus.segment import Segment
from eventbus.sink import Place
from eventbus.stretch import Stretch

__all__ = ["FollowedWriter"]


class FollowedWriter:
    """One writer's segments, read forward from a place."""

    def __init__(
        self,
        writer: str,
        place: Place | None,
        directory: Path,
        disk: Disk,
        *,
        pruning_tells: bool = False,
    ) -> None:
        self.writer = writer
        self.place = place
        self.segments: list[Segment] = []
        self.holes = Holes(writer, directory, disk, pruning_tells=pruning_tells)
        """What was gone before it was read."""
        self.is_read = False
        """True when there was nothing more the last time."""
        self._directory = directory
        self._disk = disk
        self._reader: SegmentReader | None = None
        self._ends: dict[str, int | None] = {}

    def next(self, stop: Place | None = None) -> Stretch | None:
        """The next records, not past `stop`; None when there are none yet."""
        stretch = self._next(stop)
        self.is_read = stretch is None
        return stretch

    def _next(self, stop: Place | None) -> Stretch | None:
        while True:
            reader = self._reader_here()
            if reader is None:
                return None
            start = reader.place
            bound = self._bound(reader.segment, stop)
            blob = reader.read(bound)
            if blob:
                self.place = reader.place
                return Stretch(writer=self.writer, start=start, end=reader.place, blob=blob)
            if not self._move_on(reader, stop):
                return None

    def _bound(self, segment: Segment, stop: Place | None) -> int | None:
        if stop is not None and stop.segment == segment.name:
            return stop.offset
        if segment.name not in self._ends:
            after = self._after(segment)
            if after is None:
                return None
            self._ends = {segment.name: valid_end(segment, after, self._disk)}  # one at a time
        return self._ends[segment.name]

    def _move_on(self, reader: SegmentReader, stop: Place | None) -> bool:
        """Go to the next segment, if this one is surely at its end."""
        if stop is not None and stop.segment == reader.segment.name:
            return False
        after = self._after(reader.segment)
        if after is None:
            return False
        if reader.segment.name not in self._ends:
            return True  # the next segment has only now appeared: read this one to its end
        self.holes.look_between(reader, after)
        reader.close()
        self._reader = None
        self.place = self._place_in(after, reader.place)
        return True

    def _place_in(self, after: Segment, place: Place) -> Place:
        """Where to go on: behind what we have read already, if it was written again there."""
        end = self._ends[place.segment]
        if end is None or place.offset <= end:
            return Place(after.name, 0)
        offset = len(first_line(after, self._disk)) + place.offset - end
        is_whole = next(read_lines(after, None, self._disk, start=offset - 1), b"")[:1] == b"\n"
        return Place(after.name, offset if is_whole else 0)

    def _after(self, segment: Segment) -> Segment | None:
        for one, following in pairwise(self.segments):
            if one.name == segment.name:
                return following
        if self.segments and self.segments[0].name > segment.name:
            return self.segments[0]
        return None

    def _reader_here(self) -> SegmentReader | None:
        if self._reader is None:
            segment = self._segment_here()
            if segment is None:
                return None
            offset = self.place.offset if self.place else 0
            self._reader = SegmentReader(segment, self._disk, offset=offset)
        return self._reader

    def _segment_here(self) -> Segment | None:
        if self.place is None:
            if not self.segments:
                return None
            self.place = Place(self.segments[0].name, 0)
        for segment in self.segments:
            if segment.name >= self.place.segment:
                if segment.name != self.place.segment:
                    self.holes.look_before(self.place, segment)
                    self.place = Place(segment.name, 0)
                return segment
        return None

    def jump(self, place: Place) -> None:
        """Go on from another place."""
        if self._reader is not None and (
            self._reader.segment.name != place.segment or self._reader.offset != place.offset
        ):
            self.close()
        self.place = place

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
