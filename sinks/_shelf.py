"""The log files of one sink: which line goes where, and when a file is rotated.

Plain synchronous code, run in the sink's own thread, one call at a time.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.event import Event
from eventbus.events.error import IoFailed
from eventbus.events.system import LogRotated
from eventbus.scope import Scope
from eventbus.segments import PACKED, LogSegment, PruneGuard, Series, day_of_line, next_number
from eventbus.sink import Cursor
from sinks._append import Appender, Change
from sinks._ledger import Ledger
from sinks._packing import finish_interrupted
from sinks._seals import FileSeals, NoFileSeals
from sinks._sessions import SessionIndex
from sinks._tidy import Tidier

__all__ = ["Parcel", "Rules", "Shelf"]

_SCOPE = Scope(source="rotation")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Where the lines go, and for how long."""

    series: Series
    rotate_bytes: int = 0
    keep_days: float = 30
    packs: bool = False
    sealed_in: Path | None = None
    """The state directory whose keys seal the lines; None: they are not sealed."""


class Parcel(msgspec.Struct, frozen=True):
    """Lines that go to one file."""

    day: date
    lines: list[bytes]
    session: str | None = None


class Shelf:
    """Every file of a series; its methods may raise `OSError`."""

    def __init__(self, rules: Rules, *, clock: Clock, disk: Disk) -> None:
        series = rules.series
        name = series.live or series.name(date.min).replace(date.min.isoformat(), "date")
        self.reopened = 0
        """Files that somebody deleted, renamed, replaced or cut."""
        self.rotated = 0
        self.news: list[Event] = []
        """What is to be told on the bus."""
        self._series = series
        self._rotate_bytes = rules.rotate_bytes
        self._directory = series.directory
        self._live = None if series.live is None else series.directory / series.live
        self._live_day: date | None = None
        self._clock = clock
        self._disk = disk
        self._ledger = Ledger(series.directory / f".{name}.cursor", clock=clock, disk=disk)
        self._sessions = SessionIndex(series.directory / f".{name}.index")
        self._seals = (
            NoFileSeals()
            if rules.sealed_in is None
            else FileSeals(rules.sealed_in, series, clock=clock, disk=disk)
        )
        self._tidier = Tidier(
            series,
            keep_days=rules.keep_days,
            packs=rules.packs,
            seals=self._seals,
            clock=clock,
            disk=disk,
        )
        self._written: Cursor = {}
        """The cursor of the last batch of this run."""
        self._is_begun = False

    # --- opening -------------------------------------------------------------

    def cursor(self) -> Cursor | None:
        """Where the lines in the files end; what stands behind is cut.

        To ask is to promise that everything from there on is handed over.
        """
        if not self._is_begun:
            self._ledger.goes_by_cursor = True
            self._begin()
        return self._ledger.cursor

    def _begin(self) -> None:
        seen = self._ledger.resume(self._is_ours)
        self._tidier.guard = PruneGuard(seen, self._ledger.hold_seconds)
        finish_interrupted(self._series, self._disk)
        self._seals.begin()
        names = set(self._disk.names(self._directory))
        self._sessions.load(self._disk, names)
        if self._live is not None and self._live.name in names:
            self._open_live(self._live)
        self._is_begun = True

    def _is_ours(self, name: str) -> bool:
        """True for what is ever cut; a packed file may have got a plain one's inode."""
        segment = self._series.parse(name)
        return name == self._sessions.path.name or (segment is not None and not segment.is_packed)

    def _open_live(self, path: Path) -> None:
        """Go on in the file that bears no day, whatever day its lines are of."""
        file = self._ready(path)
        self._live_day = self._today
        if file.size:
            written = datetime.fromtimestamp(self._disk.stat(path).st_mtime, UTC).date()
            self._live_day = day_of_line(file.last_line()) or written

    # --- writing -------------------------------------------------------------

    def put(self, parcels: Sequence[Parcel], cursor: Cursor) -> None:
        """Write all of it and the cursor, or raise with none of it left."""
        if not self._is_begun:
            self._begin()
        if cursor and cursor == self._written:
            return  # it was written, and the lane was cut off before it heard so
        self._ledger.settle()
        self._mind_files()
        self._turn_to_today()
        try:
            for parcel in parcels:
                self._put_parcel(parcel)
            self._ledger.commit(cursor)
        except BaseException:
            self._seals.roll_back()
            for name in self._sessions.forget_new():
                self._ledger.take_away(self._directory / name)
            self._ledger.roll_back()
            raise
        self._sessions.keep_new()
        self._seals.commit()
        self._written = cursor

    def _put_parcel(self, parcel: Parcel) -> None:
        rest = parcel.lines
        while rest:
            file = self._file_with_room(self._path_for(parcel), rest[0], parcel.day)
            fitting = self._fitting(file, rest)
            piece = b"\n".join([*rest[:fitting], b""])
            self._ledger.append(file, piece)
            self._seals.wrote(file.path, piece, end=file.size)
            rest = rest[fitting:]

    def _path_for(self, parcel: Parcel) -> Path:
        if self._series.is_numbered:
            return self._session_path(parcel.session or "", parcel.day)
        if self._live is not None and parcel.day == self._live_day:
            return self._live
        path = self._directory / self._series.name(parcel.day)
        return path if path in self._ledger.files else self._late_path(parcel.day)

    def _late_path(self, day: date) -> Path:
        """A day's own file; where that one is packed, a later segment of the day."""
        segments = [one for one in self._all_segments() if one.day == day]
        name = self._series.name(day)
        if any(one.is_packed and one.number is None for one in segments):
            packed = max((one.number or 0 for one in segments if one.is_packed), default=0)
            behind = self._series.name(day, packed + 1)
            is_there = any(one.name == behind for one in segments)
            name = behind if is_there else self._series.name(day, next_number(segments, day))
        return self._directory / name

    def _session_path(self, session: str, day: date) -> Path:
        name = self._sessions.name_of(session)
        if name is None:
            name = self._series.name(day, next_number(self._all_segments(), day))
            line = self._sessions.add(session, name)
            self._ledger.append(self._ready(self._sessions.path), line)
        return self._directory / name

    def _all_segments(self) -> list[LogSegment]:
        return self._series.all_in(self._disk.names(self._directory))

    def _file_with_room(self, path: Path, line: bytes, day: date) -> Appender:
        file = self._ready(path)
        most = self._rotate_bytes
        is_full = most and file.size and file.size + len(line) + 1 > most
        if is_full and path.name in (self._series.live, self._series.name(day)):
            self._rotate(file, day, is_full=True)
            file = self._ready(path)
        return file

    def _ready(self, path: Path) -> Appender:
        if path not in self._ledger.files:
            self._tidier.leave_alone(path)
        return self._ledger.ready(path)

    def _fitting(self, file: Appender, lines: Sequence[bytes]) -> int:
        """How many of the lines go into the file; one at least."""
        most = self._rotate_bytes
        if not most or file.size + sum(map(len, lines)) + len(lines) <= most:
            return len(lines)
        size = file.size
        for n, line in enumerate(lines):
            size += len(line) + 1
            if size > most:
                return max(n, 1)
        return len(lines)

    # --- rotating ------------------------------------------------------------

    @property
    def _today(self) -> date:
        return self._clock.now().date()

    def _turn_to_today(self) -> None:
        """Set the file of another day aside."""
        if self._live is None or self._live_day == self._today:
            return
        file = self._ledger.files.get(self._live)
        if file is not None and file.size and self._live_day is not None:
            self._rotate(file, self._live_day, is_full=False)
        self._live_day = self._today

    def _rotate(self, file: Appender, day: date, *, is_full: bool) -> None:
        """Give the file its day's name; one that is taken is never overwritten."""
        names = set(self._disk.names(self._directory))
        name = self._series.name(day)
        if is_full or name in names or name + PACKED in names:
            name = self._series.name(day, next_number(self._series.all_in(names), day))
        before = file.path
        self._seals.rename(before, self._directory / name)
        self._ledger.rename(file, self._directory / name)
        self._seals.follow(before, file.path)
        self.rotated += 1
        size_mb = round(file.size / 1024 / 1024, 3)
        self.news.append(
            LogRotated(ts=self._clock.now(), scope=_SCOPE, old_size_mb=size_mb, archive=name)
        )

    # --- between batches -----------------------------------------------------

    def tick(self) -> None:
        """Look after the files: moved ones, the end of a day, what is old."""
        if not self._is_begun:
            self._begin()
        self._ledger.settle()
        self._mind_files()
        self._turn_to_today()
        self._seals.tend(self._ledger.sync_cursor)
        self.news += self._seals.tell()
        self._tidier.tick(self._ledger.files)
        self._ledger.hold_seconds = self._tidier.guard.hold_seconds

    def _mind_files(self) -> None:
        self._ledger.restore_book()
        for path, file in list(self._ledger.files.items()):
            change = file.look()
            if change is not None:
                self._take_as_it_is(path, file, change)

    def _take_as_it_is(self, path: Path, file: Appender, change: Change) -> None:
        is_written = path in self._in_use
        if change in ("gone", "replaced"):
            archive = self._archive_of(file)
            if archive is not None:
                self._ledger.follow(file, archive)  # rotated by hand: nothing is amiss
                self._seals.follow(path, archive)
                self._seals.rename(archive, archive)
                is_written = False
            else:
                self._ledger.drop(path)
                self._seals.disturbed(path)
            if path == self._live:
                self._open_live(path)
        else:
            self._ledger.mark(file)
            self._seals.disturbed(path)
        if change != "grown" and is_written:
            self.reopened += 1
            self._tell_changed(path.name, change)

    def _archive_of(self, file: Appender) -> Path | None:
        """Where the file is by now, if it has another name of the series."""
        for segment in self._all_segments():
            path = self._directory / segment.name
            with suppress(FileNotFoundError):
                if path not in self._ledger.files and self._disk.stat(path).st_ino == file.inode:
                    return path
        return None

    def _tell_changed(self, name: str, change: Change) -> None:
        what = "deleted or renamed" if change == "gone" else change
        self.news.append(
            IoFailed(
                ts=self._clock.now(),
                scope=_SCOPE,
                type="LogFileChanged",
                message=f"{name} was {what} by somebody else; writing goes on",
            )
        )

    @property
    def _in_use(self) -> set[Path]:
        """Files that may be written soon; the others are let go."""
        today = self._directory / self._series.name(self._today)
        return {today, self._sessions.path, self._live or today}

    def sync(self) -> None:
        """Return when all lines that were written are on the disk."""
        if self._is_begun:
            self._ledger.sync(self._in_use)
            self._seals.synced(self._ledger.sync_cursor, self._in_use)

    def close(self) -> None:
        """Sync, and let every file go."""
        self._tidier.stop()
        try:
            self.sync()
        finally:
            self._seals.close()
            self._ledger.close()
