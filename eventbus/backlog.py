"""What a lane has yet to do: fed from memory while it keeps up, else read from the segments."""

import threading
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from eventbus.disk import Disk
from eventbus.followed import FollowedWriter
from eventbus.segment import Move, segment_name, segments_by_writer, segments_in
from eventbus.sink import Cursor, Place
from eventbus.stretch import Stretch

__all__ = ["Backlog", "InMemory", "OnFull", "OwnWriter"]

FED_MOST = 4 * 1024 * 1024
"""Bytes of journal a lane is fed ahead; what is more it reads back."""
LOOK_EVERY = 0.2
"""Seconds between looks for other writers' new segments."""
OTHERS_TURN = 4
"""Every so many times the other writers go first, so that a busy one starves nobody."""

KEPT_AFTER = timedelta(days=2)
"""How old the place of a writer is, of whom no segment is left, before it is forgotten: no
writer goes on longer in one segment."""

OnFull = Literal["wait", "drop_oldest", "drop_newest"]


class Fed(Protocol):
    """This process's own events, as a lane gets them."""

    writer: str
    since: Place
    place: Place

    @property
    def is_full(self) -> bool: ...
    def offer(self, stretch: Stretch) -> int: ...
    def next(self) -> Stretch | None: ...
    def moved(self, place: Place) -> Place: ...
    def close(self) -> None: ...


class OwnWriter:
    """This process's own events: stretches as they are written, else read back."""

    def __init__(
        self, writer: str, start: Place, since: Place, directory: Path, disk: Disk
    ) -> None:
        self.writer = writer
        self.place = start
        self.since = since
        """Records from here on are counted when they are offered."""
        self.end = since
        """Where the writer stood after the last stretch it offered."""
        self.fed: deque[Stretch] = deque()
        self.moves: list[Move] = []
        self.fed_in = 0
        self.fed_out = 0
        self._read_back = FollowedWriter(writer, start, directory, disk)
        self._directory = directory
        self._disk = disk

    def offer(self, stretch: Stretch) -> int:
        """Called by the writer's thread, right after it has written; nothing is dropped."""
        if not self.is_full:
            self.fed_in += stretch.size
            self.fed.append(stretch)
        self.end = stretch.end
        return 0

    @property
    def is_full(self) -> bool:
        """True when what is written now would have to be read back."""
        return self.fed_in - self.fed_out >= FED_MOST

    def next(self) -> Stretch | None:
        self.place = self.moved(self.place)
        head = self._fed_head()
        if head is not None and self.moved(head.start) == self.place:
            self.fed.popleft()
            self.fed_out += head.size
            self.place = self.moved(head.end)
            self._read_back.close()
            return head
        if self.place >= self.moved(self.end):
            self._read_back.close()  # its segment may be pruned, and would take its room
            return None
        return self._from_disk(self._stop_before(head))

    def _stop_before(self, head: Stretch | None) -> Place:
        """How far to read back: up to what is fed, or through it when we stand inside."""
        if head is None:  # what stands behind its end may yet be taken back
            return self.moved(self.end)
        start = self.moved(head.start)
        return start if start > self.place else self.moved(head.end)

    def _fed_head(self) -> Stretch | None:
        """The first stretch fed that is not behind us."""
        while self.fed:
            head = self.fed[0]
            if self.moved(head.end) > self.place:
                return head
            self.fed.popleft()
            self.fed_out += head.size
        return None

    def _from_disk(self, stop: Place | None) -> Stretch | None:
        reader = self._read_back
        found = segments_by_writer(segments_in(self._directory, self._disk))
        reader.segments = found.get(self.writer, [])
        reader.jump(self.place)
        if self.place < self.since:
            stop = min(stop, self.since) if stop is not None else self.since
        stretch = reader.next(stop)
        self.place = reader.place or self.place
        return stretch

    def moved(self, place: Place) -> Place:
        """The same record's place, if its bytes had to be written again elsewhere."""
        for move in tuple(self.moves):  # the writer's thread adds to them, and drops some
            place = move.applied(place)
        return place

    def close(self) -> None:
        self.fed.clear()
        self._read_back.close()


class InMemory:
    """This process's own events where there is no journal: bounded, by count."""

    def __init__(
        self, since: Place, *, capacity: int, on_full: OnFull, wake: Callable[[], object]
    ) -> None:
        self.writer = "memory"
        self.since = self.place = since
        self.capacity = max(1, capacity)
        self.on_full = on_full
        self.waiting = 0
        """Events that were offered and not yet taken."""
        self._fed: deque[Stretch] = deque()
        self._wake = wake
        self._changed = threading.Condition()
        """Guards the above; shared by the writer's thread and the lanes' loop."""
        self._is_closed = False

    def offer(self, stretch: Stretch) -> int:
        """Called by the writer's thread; how many events were dropped for it."""
        with self._changed:
            if self.on_full == "drop_newest":
                return self._keep_first(stretch)
            if self.on_full == "drop_oldest":
                return self._keep_last(stretch)
            self._keep_all(stretch)
            return 0

    def _keep_first(self, stretch: Stretch) -> int:
        room = max(0, self.capacity - self.waiting)
        if stretch.count <= room:
            self._feed(stretch)
            return 0
        head, dropped = stretch.cut(room)
        if room:
            self._feed(head)
        self._pass_over(dropped)
        return dropped.count

    def _pass_over(self, dropped: Stretch) -> None:
        """Let the lane get past what it does not get."""
        if self._fed and not self._fed[-1].count:
            self._fed.pop()
        self._feed(Stretch(writer=self.writer, start=dropped.start, end=dropped.end, items=[]))

    def _keep_last(self, stretch: Stretch) -> int:
        excess = max(0, self.waiting + stretch.count - self.capacity)
        self._feed(stretch)
        left = excess
        while left:
            oldest = self._fed.popleft()
            if oldest.count > left:
                oldest, rest = oldest.cut(left)
                self._fed.appendleft(rest)
            left -= oldest.count
            self.waiting -= oldest.count
        return excess

    def _keep_all(self, stretch: Stretch) -> None:
        while self.waiting + stretch.count > self.capacity:
            if self.waiting < self.capacity:
                head, stretch = stretch.cut(self.capacity - self.waiting)
                self._feed(head)
            self._wake()
            self._changed.wait_for(lambda: self.waiting < self.capacity or self._is_closed)
            if self._is_closed:
                return
        self._feed(stretch)

    def _feed(self, stretch: Stretch) -> None:
        self._fed.append(stretch)
        self.waiting += stretch.count

    @property
    def is_full(self) -> bool:
        """True when there is no room for another event."""
        return self.waiting >= self.capacity

    def next(self) -> Stretch | None:
        with self._changed:
            if not self._fed:
                return None
            stretch = self._fed.popleft()
            self.waiting -= stretch.count
            self._changed.notify()
        self.place = stretch.end
        return stretch

    def moved(self, place: Place) -> Place:
        return place

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()


class Backlog:
    """All writers a lane follows, one after the other in fairness."""

    def __init__(
        self,
        own: Fed | None,
        *,
        directory: Path | None,
        disk: Disk,
        others: Cursor | None = None,
        is_kept: bool = False,
    ) -> None:
        """`is_kept` says that the cursor is kept where pruning looks, and tells what it costs."""
        self.own = own
        self._directory = directory
        self._disk = disk
        self._others: dict[str, FollowedWriter] | None = None if others is None else {}
        self._known: Cursor = dict(others or {})
        self._looked = float("-inf")
        self._there: Collection[str] = ()
        """Writers that had a segment at the last look."""
        self._is_kept = is_kept
        self._rest: deque[Stretch] = deque()
        self._turn = 0

    @property
    def follows_others(self) -> bool:
        return self._others is not None

    def look(self, now: float, *, at_once: bool = False) -> None:
        """See which segments other writers have by now."""
        if self._others is None or self._directory is None:
            return
        if not at_once and now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        by_writer = segments_by_writer(segments_in(self._directory, self._disk))
        self._there = by_writer.keys()
        for writer, segments in by_writer.items():
            if self.own is None or writer != self.own.writer:
                self._follow(writer).segments = segments

    def forget_pruned(self, cursor: Cursor, now: datetime) -> Cursor:
        """The cursor without writers all of whose segments went long ago; else the same."""
        if self._others is None or not self._there:
            return cursor
        before = segment_name(now - KEPT_AFTER)
        left = {
            writer: place
            for writer, place in cursor.items()
            if writer in self._there or place.segment > before or not self._is_read(writer)
        }
        if len(left) == len(cursor):
            return cursor
        for writer in cursor.keys() - left.keys():
            self._known.pop(writer, None)
            followed = self._others.pop(writer, None)
            if followed is not None:
                followed.close()
        return left

    def _is_read(self, writer: str) -> bool:
        if self.own is not None and writer == self.own.writer:
            return False
        followed = (self._others or {}).get(writer)
        return followed is None or followed.is_read

    def _follow(self, writer: str) -> FollowedWriter:
        others = self._others if self._others is not None else {}
        if writer not in others and self._directory is not None:
            place = self._known.get(writer)
            others[writer] = FollowedWriter(
                writer, place, self._directory, self._disk, pruning_tells=self._is_kept
            )
        return others[writer]

    def next(self) -> Stretch | None:
        """The next records to do, if any are there by now."""
        if self._rest:
            return self._rest.popleft()
        self._turn += 1
        if self._turn % OTHERS_TURN == 0:
            return self._next_of_others() or self._next_own()
        return self._next_own() or self._next_of_others()

    def put_back(self, stretch: Stretch) -> None:
        """The rest of a stretch that was cut; it comes first next time."""
        self._rest.appendleft(stretch)

    def _next_own(self) -> Stretch | None:
        return self.own.next() if self.own is not None else None

    def _next_of_others(self) -> Stretch | None:
        for followed in list((self._others or {}).values()):
            stretch = followed.next()
            if stretch is not None:
                return stretch
        return None

    def lost(self) -> tuple[int, int]:
        """Others' events that were gone, and holes of unknown size, since last asked."""
        told = [followed.holes.take() for followed in (self._others or {}).values()]
        return sum(events for events, _ in told), sum(holes for _, holes in told)

    def close(self) -> None:
        if self.own is not None:
            self.own.close()
        for followed in (self._others or {}).values():
            followed.close()
