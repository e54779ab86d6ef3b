"""The journal's writing side: one writer's segments, appended, synced, rolled and repaired.

A segment is held by a file lock as long as its writer lives. It begins with a
`bus:open` record and, when its writer ended well, closes with `bus:close`.
What went wrong below a record is never left there: a short write is rolled
back, a failed sync moves the unsynced bytes to a new segment, and so does a
segment that somebody deleted, renamed, replaced, cut or grew.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from eventbus.clock import SYSTEM_CLOCK, Clock, LatestTime
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StateUnusable
from eventbus.event import Event, encode
from eventbus.events.bus import BusEnded, BusOpened, GapLeft, Recovered
from eventbus.inherit import Taken, inherit
from eventbus.keeping import JournalSettings
from eventbus.meddling import change_of, cut_to_what_they_left
from eventbus.naming import make_segment, sweep
from eventbus.pruning import prune_journal
from eventbus.sealing.absent import Lines, Seals, Unsealed
from eventbus.segment import NOWHERE, Move, Segment
from eventbus.sink import Place
from eventbus.trialsync import try_a_sync

__all__ = ["Journal", "JournalSettings"]

UNSYNCED_MOST = 32 * 1024 * 1024
"""Bytes kept in memory until they are synced, in case the sync fails."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What a disk says that may take more by and by; a journal waits for that."""


class Journal:
    """One writer's place in the journal; used by one thread at a time."""

    def __init__(
        self,
        state: Path,
        settings: JournalSettings,
        *,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.directory = state / "journal"
        self.settings = settings
        self.segment: Segment | None = None
        self.writer = ""
        self.size = 0
        """Bytes of whole records in the segment."""
        self.records = 0
        """Records of this writer, in all its segments."""
        self.moves: list[Move] = []
        """Where what has left its segment stands now."""
        self.mended: list[Event] = []
        """What was done to a segment by others, to be told in the stream."""
        self.trouble: str | None = None
        """What the disk said where it had no room for the journal to begin."""
        self._state = state
        self._clock = clock
        self._disk = disk
        self._fd = -1
        self._is_waiting = False
        """True while there was no room yet to begin."""
        self._synced_size = 0
        self._opening_size = 0
        """Bytes of the segment's first record, where this run wrote it."""
        self._synced_records = 0
        self._unsynced: list[bytes] | None = []
        self._spoiled = False
        """True when bytes of a failed write may stand behind the whole records."""
        self._sync_failed = False
        self._is_suspect = False
        """True from a sync that failed until one that did not."""
        self._is_named = True
        """False while a power cut could still take the segment's name away."""
        self._seals: Seals = Unsealed()
        self._started = clock.now()
        self._latest = LatestTime(clock)
        """No event written so far is later; the clock may have gone back since."""

    # --- opening -----------------------------------------------------------

    def open(self) -> list[Event]:
        """Repair what dead writers left, take a segment; say what was repaired.

        On a disk that is full it begins with the first write that finds room.
        """
        try:
            self._open()
        except OSError as error:
            self.abandon()
            if error.errno not in NO_ROOM:
                raise StateUnusable(
                    f"cannot open the journal in {self.directory}: {error.strerror or error};"
                    " give a directory that can be written, or None to keep nothing"
                ) from error
            self._wait_for_room(error)
        recovered, self.mended = self.mended, []
        return recovered

    def _open(self) -> None:
        self._make_directories()
        sweep(self.directory, self._disk)
        if self.settings.seal:
            from eventbus.sealing.sealer import Sealer  # digests, only in a journal that is open

            self._seals = Sealer(self._state, clock=self._clock, disk=self._disk)
        taken, self.mended = inherit(
            self.directory,
            size_below=self.settings.segment_bytes,
            day=self._clock.now().date(),
            disk=self._disk,
        )
        self._seals.mend(self.directory)
        if taken is None:
            self.writer = _new_name()
            self._begin_segment(previous=None, previous_end=None)
        else:
            self._take(taken)
            self.append([self._opening_line(self.records, None, None)], 1)

    def _make_directories(self) -> None:
        for path in (self._state, self._state / "run", self.directory):
            self._disk.make_directory(path)

    def _wait_for_room(self, error: OSError) -> None:
        """Be a writer that has written nothing yet; one taken up is left as it was."""
        self.writer, self.segment = _new_name(), None
        self.size = self._synced_size = self.records = self._synced_records = 0
        self._spoiled = False
        self._is_waiting, self.trouble = True, str(error)

    def _begin_late(self) -> None:
        """Begin, or raise while there is still no room."""
        self._make_directories()
        place = self._begin_segment(previous=None, previous_end=None)
        self.moves.append(Move(NOWHERE, place))
        self._is_waiting, self.trouble = False, None

    def _take(self, taken: Taken) -> None:
        """Go on in a segment that ended well."""
        self._fd, self.segment, self.writer = taken.fd, taken.segment, taken.segment.writer
        self.size = self._synced_size = taken.size
        self.records = self._synced_records = taken.closing.before + 1
        self._latest.is_at_least(taken.closing.ts)
        self._seals.turn_to(taken.segment.path, start=taken.size, lines=None)

    def _begin_segment(
        self,
        *,
        previous: Segment | None,
        previous_end: int | None,
        carried: Sequence[bytes] = (),
        carried_records: int = 0,
    ) -> Place:
        """Make a new segment whole under a temporary name, then name it.

        `carried` is written again after its first record; the place where
        that begins is returned. On failure the old segment stays in use.
        """
        # Its name is no earlier than what stands before it: readers go by that.
        start = self._latest.now()
        if previous is not None and previous.start >= start:
            start = previous.start + timedelta(microseconds=1)
        made = Segment.named(self.directory, start, self.writer)
        before = self.records - carried_records
        first = self._opening_line(before, previous, previous_end)
        fd = make_segment(made, [first, *carried], self._disk)
        self._is_named = False
        self._let_go()
        self._fd, self.segment = fd, made
        self._opening_size = len(first)
        self.size = len(first) + sum(map(len, carried))
        self.records += 1
        self._synced_size, self._synced_records = 0, before
        self._unsynced = [first, *carried]
        self._spoiled = self._sync_failed = False
        self._seals.turn_to(made.path, start=0)
        self._seals.note(self._unsynced)
        return Place(made.name, len(first))

    def _opening_line(
        self, before: int, previous: Segment | None, previous_end: int | None
    ) -> bytes:
        opened = BusOpened(
            writer=self.writer,
            host=os.uname().nodename,
            pid=os.getpid(),
            started=self._started,
            before=before,
            previous=previous.name if previous is not None else None,
            previous_end=previous_end,
        )
        return encode(opened) + b"\n"

    # --- writing -----------------------------------------------------------

    def append(self, blobs: Sequence[bytes], records: int, *, lines: Lines | None = None) -> Place:
        """Write whole records; where they begin. Raises with nothing half-written counted."""
        self.make_ready()
        size = sum(map(len, blobs))
        try:
            self._write(blobs, size)
        except BaseException:  # out of memory, say, with some of it written
            self._roll_back()
            raise
        place = self.place
        self.size += size
        self.records += records
        self._latest.now()
        self._seals.note(blobs, lines=lines)
        if self._unsynced is not None:
            self._unsynced += blobs
            if self.size - self._synced_size > UNSYNCED_MOST:
                self._unsynced = None  # read back from the file if it comes to that
        return place

    def make_ready(self) -> None:
        """Mend what an earlier failure left, or raise."""
        if self._is_waiting:
            self._begin_late()
        if self._sync_failed:
            self._move_unsynced()
        if self._spoiled:
            self._roll_back()
        if self._spoiled:
            self._leave_behind()

    def _write(self, blobs: Sequence[bytes], size: int) -> None:
        done = self._disk.writev(self._fd, blobs)
        while done < size:
            blobs = _rest(blobs, done)
            size -= done
            done = self._disk.writev(self._fd, blobs)

    def _roll_back(self) -> None:
        self._spoiled = True
        with suppress(OSError):  # tried again before the next write
            self._disk.truncate(self._fd, self.size)
            self._spoiled = False

    def _leave_behind(self) -> None:
        """Begin a new segment, saying how much of this one counts."""
        self.sync()
        if self._spoiled:
            self._begin_segment(previous=self._held, previous_end=self.size)

    # --- syncing -----------------------------------------------------------

    @property
    def unsynced_bytes(self) -> int:
        return self.size - self._synced_size

    def sync(self) -> None:
        """Return when all that was written is on the disk.

        A failed sync is never tried again on the same file: the kernel may
        have thrown the bytes away and would say yes the second time.
        """
        if self._sync_failed:
            self._move_unsynced()
        if self.size == self._synced_size:
            return
        if self._is_suspect:
            self._try_a_sync()
        self._sync_or_move()
        if self.look():  # what was synced has no name any more
            self._sync_moved()
        if not self._is_named:
            self._disk.sync_directory(self.directory)
            self._is_named = True
        self._is_suspect = False
        self._synced_size = self.size
        self._synced_records = self.records
        self._unsynced = []
        self._seals.mark()

    def _sync_or_move(self) -> None:
        try:
            self._disk.sync(self._fd)
        except Exception:  # noqa: BLE001  whatever it was, nobody can say they are safe
            self._sync_failed = self._is_suspect = True
            self._move_unsynced()
            self._try_a_sync()
            self._sync_moved()

    def _try_a_sync(self) -> None:
        """Raise while the disk syncs nothing: each try on a segment costs a copy of it."""
        try_a_sync(self._state / "run" / f"sync-{self.writer}", self._disk)

    def _sync_moved(self) -> None:
        try:
            self._disk.sync(self._fd)
        except BaseException:
            self._sync_failed = True
            raise

    def _move_unsynced(self) -> None:
        """Write the unsynced bytes again, in a new segment."""
        old, blobs = self._held, self._unsynced
        start, before = self._synced_size, self._synced_records
        if start < self._opening_size:  # a segment's own first record stays with it
            start, before, blobs = self._opening_size, before + 1, blobs and blobs[1:]
        if blobs is None:
            blob = self._disk.pread(self._fd, self.size - start, start)
            blobs = [blob[: blob.rfind(b"\n") + 1]]
        size = self.size - start
        place = self._begin_segment(
            previous=old,
            previous_end=start,
            carried=blobs,
            carried_records=self.records - before,
        )
        move = Move(Place(old.name, start), place, size)
        self.moves.append(move)  # the lanes hold the same list

    # --- what others do to a segment -----------------------------------------

    def look(self) -> bool:
        """Begin a new segment if somebody touched this one; True if so.

        What was written since the last sync goes along; before that, it is
        as they left it. One that could not begin yet tries to.
        """
        if self._is_waiting:
            self._begin_late()
            return True
        old, synced_size, left = self._held, self._synced_size, 0
        change = change_of(self._fd, old, None if self._spoiled else self.size, self._disk)
        if change is None:
            self._seals.seal_if_due()
            self.mended += self._seals.tell()
            return False
        if change == "grown":
            left = synced_size
            self._leave_whole()
        else:
            if change == "cut":
                left = cut_to_what_they_left(self._fd, self._unsynced or [], self._disk)
            self._disk.make_directory(self.directory)
            self._move_unsynced()
        lost = max(0, synced_size - left)
        self.mended.append(Recovered(segment=old.name, reason=change, cut_bytes=lost))
        return True

    def _leave_whole(self) -> None:
        """Begin a new segment behind one that holds all of ours, and something else."""
        self._disk.sync(self._fd)
        self._seals.mark()
        end = self.place
        place = self._begin_segment(previous=self._held, previous_end=None)
        self.moves.append(Move(end, place))

    # --- rolling and ending --------------------------------------------------

    def roll_if_due(self) -> bool:
        """Begin the next segment when this one is full or its day is over; True if so."""
        if self._is_waiting:
            return False
        full = self.size >= self.settings.segment_bytes
        is_due = full or self._held.day < self._clock.now().date()
        if is_due:
            self.sync()
            self._begin_segment(previous=self._held, previous_end=self.size)
        return is_due

    def prune(self) -> list[GapLeft]:
        """Delete segments that may go; a gap for each lane that had not passed one."""
        with suppress(OSError):  # what could not be deleted is tried again next time
            return prune_journal(
                self._state,
                keep_days=self.settings.keep_days,
                keep_bytes=self.settings.keep_bytes,
                clock=self._clock,
                disk=self._disk,
            )
        return []

    def end(self, dropped: dict[str, int]) -> None:
        """Say that this run ended well, sync, and let the segment go."""
        if self._is_waiting:  # nothing of it is there
            return
        try:
            self.look()
            for event in self.mended:
                self.append([encode(event) + b"\n"], 1)
            ended = BusEnded(
                ts=self._latest.now(),  # whoever goes on here begins no segment before that
                writer=self.writer,
                before=self.records,
                dropped=dropped,
            )
            self.append([encode(ended) + b"\n"], 1)
            self.sync()
            self._seals.end("closed")
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let the segment go as it is; the next one to open repairs it."""
        self._seals.abandon()
        self._let_go()

    def _let_go(self) -> None:
        self._is_waiting = False
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                self._disk.close(fd)

    @property
    def _held(self) -> Segment:
        if self.segment is None:
            raise StateUnusable("the journal is not open")
        return self.segment

    @property
    def place(self) -> Place:
        """Where the next record will begin."""
        if self._is_waiting:
            return NOWHERE
        return Place(self._held.name, self.size)


def _new_name() -> str:
    return os.urandom(4).hex()


def _rest(blobs: Sequence[bytes], done: int) -> list[bytes]:
    """What is left of `blobs` after `done` bytes."""
    rest = b"".join(blobs)[done:]
    return [rest]
