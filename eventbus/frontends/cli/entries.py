"""Events of the journal beside the bytes they were read from, and which of them are wanted."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

import eventbus.events  # noqa: F401 - every kind of ours is known from here on
from eventbus.event import Event, decode
from eventbus.formats import flat
from eventbus.formats.flat_lines import tokens
from eventbus.kinds import KindFilter
from eventbus.replay import read_lines, valid_end
from eventbus.segment import Segment, segments_by_writer, segments_in

__all__ = ["Entry", "Wanted", "entries_of", "entry_of", "journal_entries"]

_EPOCH = datetime.fromtimestamp(0, UTC)


class Entry(msgspec.Struct, frozen=True):
    """An event and its line: what is read must go out again unchanged."""

    line: bytes
    event: Event

    @property
    def text(self) -> str:
        """Its flat line."""
        return flat.text(self.event)


def entry_of(line: bytes) -> Entry:
    """A line of the journal as an entry."""
    return Entry(line, decode(line))


def entries_of(blob: bytes) -> Iterator[Entry]:
    """Whole lines as entries."""
    return (entry_of(line) for line in blob.split(b"\n") if line)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events somebody wants to see."""

    kinds: KindFilter
    source: str | None = None
    """The source itself, or `web*` for all that begin so."""
    session: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether an event is one of them."""
        event = entry.event
        if self.since is not None and event.ts < self.since:
            return False
        if self.until is not None and event.ts >= self.until:
            return False
        return self.kinds.takes(event) and self._is_of_whom(entry)

    def _is_of_whom(self, entry: Entry) -> bool:
        if self.session is not None and self.session != entry.event.scope.session:
            return False
        return self.source is None or self.takes_source(entry.text.split("|", 3)[2])

    def takes_source(self, source: str) -> bool:
        """Whether a line's source is one of them."""
        if self.source is None:
            return True
        start = self.source.removesuffix("*")
        return source == self.source or (start != self.source and source.startswith(start))

    @property
    def takes_all(self) -> bool:
        """Whether nothing is left out but bookkeeping."""
        return self.kinds.wants_all and self.source is None and self.session is None

    def takes_fields(self, fields: "flat.FlatLine") -> bool:
        """The same of a flat line, whose session is what its tokens say."""
        if not self.kinds(fields.event_type) or not self.takes_source(fields.source):
            return False
        if self.session is None:
            return True
        said = tokens(fields.message)
        return self.session in (said.get("session_id"), said.get("session"))


def journal_entries(state: Path, since: datetime | None = None) -> Iterator[Entry]:
    """The whole journal, merged by time; segments that end before `since` are left out."""
    by_writer = segments_by_writer(segments_in(state / "journal"))
    streams = [_of_writer(segments, since) for segments in by_writer.values()]
    return (entry for _, _, entry in heapq.merge(*streams, key=lambda item: item[:2]))


def _of_writer(
    segments: list[Segment], since: datetime | None
) -> Iterable[tuple[datetime, str, Entry]]:
    """One writer's events, each with a time that never goes back."""
    latest = _EPOCH
    for segment, after in [*pairwise(segments), (segments[-1], None)]:
        if since is not None and after is not None and after.start < since:
            continue
        for blob in read_lines(segment, valid_end(segment, after)):
            for entry in entries_of(blob):
                latest = max(latest, entry.event.ts)
                yield latest, segment.writer, entry
