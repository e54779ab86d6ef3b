"""A lane from what was asked for: what it follows, where it begins, what it keeps where."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from eventbus.backlog import Backlog, InMemory, OwnWriter
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import Event
from eventbus.kinds import KindFilter
from eventbus.lane import Lane
from eventbus.resume import resumed_cursor
from eventbus.segment import Move, segments_by_writer, segments_in
from eventbus.sink import Cursor, Home, Place, Sink
from eventbus.wish import LaneWish

__all__ = ["LaneMaker", "Standing"]


class Standing(msgspec.Struct):
    """How far this process's writer has come, as far as the lanes were told."""

    writer: str = "memory"
    end: Place = Place("memory", 0)
    """Where the writer stands, as far as it has offered."""
    offered: int = 0
    """Events that stand before that place."""
    moves: list[Move] = []


class LaneMaker:
    """Makes the lanes of one state directory."""

    def __init__(
        self,
        state: Path | None,
        standing: Standing,
        *,
        emit: Callable[[Event], None],
        say_gap: Callable[[str, str, int], None],
        wake: Callable[[], object],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._state = state
        self._standing = standing
        self._emit = emit
        self._say_gap = say_gap
        self._wake = wake
        self._clock = clock
        self._disk = disk

    def local(self, wish: LaneWish, sink: Sink) -> Lane:
        """One that sees this process's events from when it joins."""

        def begin(_told: Cursor | None) -> tuple[Backlog, Cursor]:
            now = self._standing
            if self._state is None:
                own: Any = InMemory(
                    now.end, capacity=wish.capacity, on_full=wish.on_full, wake=self._wake
                )
            else:
                own = self._own_writer(now.end)
            others = self._ends_now() if wish.follows_all else None
            backlog = Backlog(own, directory=self._journal, disk=self._disk, others=others)
            return backlog, {now.writer: now.end}

        return self._lane(wish, sink, begin, skip_before=wish.skip_before)

    def shared(self, wish: LaneWish, sink: Sink) -> Lane:
        """One that goes on where whoever served it last has left off."""
        path = self.cursor_path(wish.name)

        def begin(told: Cursor | None) -> tuple[Backlog, Cursor]:
            cursor = resumed_cursor(told, path, self._disk)
            writer = self._standing.writer
            start = cursor.get(writer) or self._first_own()
            backlog = Backlog(
                self._own_writer(start),
                directory=self._journal,
                disk=self._disk,
                others=cursor,
                is_kept=True,
            )
            return backlog, {**cursor, writer: start}

        return self._lane(wish, sink, begin, cursor_path=path)

    def _lane(self, wish: LaneWish, sink: Sink, begin: Any, **more: Any) -> Lane:
        dead = self._state / "dead" / f"{wish.name}.jsonl" if self._state is not None else None
        lane = Lane(
            wish.name,
            sink,
            wanted=KindFilter(wish.kinds if wish.kinds is not None else sink.kinds),
            home=Home(
                self._state, lane=wish.name, emit=self._emit, clock=self._clock, disk=self._disk
            ),
            begin=begin,
            dead_path=dead,
            say_gap=self._say_gap,
            **more,
        )
        lane.is_told_of_others = self._state is not None
        return lane

    def cursor_path(self, name: str) -> Path:
        """Where a shared lane's cursor is kept."""
        return (self._journal or Path()) / "cursors" / f"{name}.json"

    @property
    def _journal(self) -> Path | None:
        return self._state / "journal" if self._state is not None else None

    def _own_writer(self, start: Place) -> OwnWriter:
        now = self._standing
        own = OwnWriter(now.writer, start, now.end, self._journal or Path(), self._disk)
        own.moves = now.moves
        return own

    def _first_own(self) -> Place:
        """The beginning of this writer's oldest segment."""
        segments = segments_by_writer(segments_in(self._journal or Path(), self._disk))
        ours = segments.get(self._standing.writer)
        return Place(ours[0].name, 0) if ours else self._standing.end

    def _ends_now(self) -> Cursor:
        """Where every other writer stands now."""
        ends: Cursor = {}
        for writer, segments in segments_by_writer(
            segments_in(self._journal or Path(), self._disk)
        ).items():
            last = segments[-1]
            with suppress(OSError):
                ends[writer] = Place(last.name, self._disk.stat(last.path).st_size)
        return ends
