"""The thread that empties the inbox into the journal, and does nothing else."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from eventbus.apploop import Ticket, settle
from eventbus.clock import Clock
from eventbus.errors import NotKept
from eventbus.event import ReadyLine, UnknownEvent, encode_lines
from eventbus.events.bus import GapLeft
from eventbus.inbox import Inbox
from eventbus.journal import Journal
from eventbus.kinds import is_critical
from eventbus.poison import EVENT_BYTES_MOST, cut_line, encode_each, is_too_long
from eventbus.redact import Redactor, redacted
from eventbus.sink import Place
from eventbus.stretch import Stretch

__all__ = ["Writer"]

SLICE = 1_024
"""Events encoded by one call: the quickest way measured, and a short hold of the GIL."""
SLICE_BYTES = 4 * 1024 * 1024
"""Bytes aimed at by one such call."""
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5
"""Seconds between tries while the disk refuses."""
LOOK_EVERY = 0.7
"""Seconds between looks whether somebody touched the segment."""
SYNC_PAUSE = 0.1
"""Seconds after a sync that failed, whoever waits for one."""
IDLE_CHECKS = (0.1, 0.1, 1.0)
"""Seconds of the first sleeps after work: an event that came in the blink while the
writer fell asleep is found by the next look."""

Feed = Callable[[list[Stretch]], None]


class Writer:
    """Takes all that waits, encodes it, writes it, syncs when due."""

    def __init__(
        self,
        inbox: Inbox,
        journal: Journal | None,
        *,
        clock: Clock,
        redactor: Redactor | None = None,
        linger: float = 0.005,
        sync_every: float = 1.0,
    ) -> None:
        self.inbox = inbox
        self.journal = journal
        self.feed: Feed | None = None
        """Where written stretches go, while there are lanes."""
        self.written = 0
        self.poison = 0
        self.synced = 0
        self.unkept = 0
        """Events given up at the end because the disk refused."""
        self.trouble = journal.trouble if journal is not None else None
        """What the disk last said, while it refuses."""
        self.refusals = 0
        """How often a write, a sync or a new segment had to be tried again."""
        self.finished = threading.Event()
        self.counts = threading.Lock()
        """Held while events move from one count to another; never by an emit."""
        self.linger = linger
        self.sync_every = sync_every
        self._clock = clock
        self._redactor = redactor
        self._slice = SLICE
        self._sync_due: float | None = None
        self._sync_again_at = 0.0
        """Not before then, after one that failed."""
        self._look_due = 0.0
        self._sync_wanted: list[Ticket] = []
        self._in_hand: list[Ticket] = []
        """Who waits for what is being written."""
        self._idle = 0
        self._ending_at: float | None = None
        self._pause = threading.Event()
        self._memory_offset = 0
        self._thread: threading.Thread | None = None

    # --- life ----------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name="eventbus-writer", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def end(self, deadline: float) -> None:
        """Ask it to write what waits and stop, giving up at `deadline` (monotonic)."""
        self._ending_at = deadline
        self._pause.set()
        self.inbox.hurry()

    def run(self) -> None:
        try:
            while True:
                ending = self._ending_at is not None
                self.round()
                if ending and not self.inbox.waiting:
                    break
                self._rest()
        finally:
            self._finish()

    def _rest(self) -> None:
        """Linger while traffic is sparse; sleep when there is none."""
        if self._ending_at is not None:
            return
        if self._idle == 0:
            self.inbox.linger(self.linger)
            if self.inbox.waiting or self.inbox.is_urgent:
                return
        if self.inbox.sleep(self._sleep_for()):
            self.inbox.attend()
            self._idle = 0
            self.inbox.linger(self.linger)

    def _sleep_for(self) -> float:
        seconds = IDLE_CHECKS[min(self._idle, len(IDLE_CHECKS) - 1)]
        self._idle += 1
        if self.journal is None:
            return seconds
        due = self._look_due if self._sync_due is None else min(self._sync_due, self._look_due)
        return min(seconds, max(0.0, due - self._clock.monotonic()))

    def _finish(self) -> None:
        try:
            if self.journal is not None:
                self._end_journal(self.journal)
        finally:
            self.leave_them()
            self.finished.set()

    def _end_journal(self, journal: Journal) -> None:
        try:
            journal.end(self.inbox.dropped.totals())
            self.synced = self.written + self.poison
            settle(self._sync_wanted, None)
        except Exception as error:  # noqa: BLE001  counted, and told in the report
            self._note_refusal(error)
            settle(self._sync_wanted, NotKept(f"the last sync failed: {error}"))
        self._sync_wanted = []

    def leave_them(self) -> None:
        """Tell whoever waits that the bus has closed, though a write may hang."""
        self.inbox.is_deserted = True
        settle([*self._in_hand, *self._sync_wanted], NotKept("the bus has closed"))
        self.inbox.turn_away()

    # --- a round ---------------------------------------------------------------

    def round(self) -> None:
        """Write all that waits, tell those who wait, sync when due."""
        inbox = self.inbox
        inbox.attend()
        inbox.is_urgent = False
        written_by, synced_by = inbox.tickets("written"), inbox.tickets("synced")
        self._in_hand = written_by + synced_by
        if inbox.is_critical:
            inbox.is_critical = False
            self._sync_due = 0.0
        self._leave_gaps()
        kept = self._write_safely()
        settle(inbox.room_seekers(), None)
        if kept:
            settle(written_by, None)
            self._sync_wanted += synced_by
        else:
            settle(written_by + synced_by, NotKept("the disk refused until the end"))
        self._in_hand = []
        self._sync_if_due()

    def _write_safely(self) -> bool:
        """Write; whatever goes wrong, the thread lives on and the counts stay true."""
        try:
            return self._write_waiting()
        except Exception as error:  # noqa: BLE001  counted as not kept, and told
            self.trouble = _named(error)
            with self.counts:
                self.unkept = self.inbox.taken - self.written - self.poison
            return False

    def _write_waiting(self) -> bool:
        with self.counts:
            items = self.inbox.take()
            first = self.inbox.taken
            self.inbox.taken += len(items)
        if not items:
            return True
        self._idle = 0
        stretches, poison = self._encode(items, first)
        if not self._keep(stretches, len(items)):
            with self.counts:
                self.unkept += len(items)
            return False
        with self.counts:
            self.written += len(items) - poison
            self.poison += poison
        if self.feed is not None:
            self.feed(stretches)
        return True

    def _leave_gaps(self) -> None:
        for reason, number, first, last in self.inbox.dropped.fresh():
            self.say_gap(None, reason, number, first, last)

    def say_gap(
        self,
        lane: str | None,
        reason: str,
        number: int,
        first: datetime | None = None,
        last: datetime | None = None,
    ) -> None:
        """Put the record of a hole into the stream."""
        gap = GapLeft(lane=lane, reason=reason, count=number, first_ts=first, last_ts=last)
        self.inbox.waiting.append(gap)

    # --- encoding --------------------------------------------------------------

    def _encode(self, items: list[Any], first: int) -> tuple[list[Stretch], int]:
        stretches, poison = [], 0
        nowhere = Place("", 0)
        writer = self.journal.writer if self.journal is not None else "memory"
        start = stop = 0
        while stop < len(items):  # each slice fits the events of the one before
            start, stop = stop, stop + self._slice
            part: list[Any] | None = items[start:stop]
            blob, types = None, set(map(type, part or ()))
            if ReadyLine in types:
                poison += sum(type(item) is ReadyLine for item in part or ())
            if self.journal is not None or self._redactor is not None:
                blob, part, bad = self._encode_slice(part or [], types)
                poison += bad
            stretches.append(
                Stretch(
                    writer=writer,
                    start=nowhere,
                    end=nowhere,
                    blob=blob,
                    items=part,
                    first=first + start,
                    types=types if part is not None else types | {UnknownEvent},
                )
            )
        return stretches, poison

    def _encode_slice(
        self, part: list[Any], types: set[type]
    ) -> tuple[bytes, list[Any] | None, int]:
        """The lines; the events too, unless the lines no longer say the same."""
        poison, same = 0, True
        try:
            blob = encode_lines(part, types)
        except BaseException:  # noqa: BLE001  one of them will not encode; each is tried alone
            lines, poison = encode_each(part)
            blob, same = b"\n".join(lines) + b"\n", False
        self._fit(len(blob) / len(part))  # what waits is as large as this, not as what is cut
        if len(blob) > EVENT_BYTES_MOST:
            blob, cut = _cut_long_lines(blob)
            same = same and not cut
        if self._redactor is not None:
            lines = redacted(blob.split(b"\n")[:-1], self._redactor)
            blob, same = b"\n".join(lines) + b"\n", False
        return blob, part if same else None, poison

    def _fit(self, bytes_each: float) -> None:
        """Take smaller slices, and hold fewer events, when they are large."""
        self._slice = max(16, min(SLICE, int(SLICE_BYTES / bytes_each)))
        self.inbox.fit_room(bytes_each)

    # --- keeping -----------------------------------------------------------------

    def _keep(self, stretches: list[Stretch], records: int) -> bool:
        """Write until it is written; False when the end came first."""
        if self.journal is None:
            self._place(stretches, Place("memory", self._memory_offset), by_count=True)
            self._memory_offset += records
            return True
        pause = FIRST_PAUSE
        while True:
            try:
                place = self.journal.append(
                    [stretch.blob for stretch in stretches],
                    records,
                    lines=[(each.count, each.perhaps_critical) for each in stretches],
                )
            except Exception as error:  # noqa: BLE001  counted, told, and tried again
                self._note_refusal(error)
            else:
                self._settle_in(stretches, place)
                return True
            if self._must_give_up(pause):
                return False
            pause = min(pause * 2, LONGEST_PAUSE)

    def _note_refusal(self, error: Exception) -> None:
        self.refusals += 1
        self.trouble = str(error) if isinstance(error, OSError) else _named(error)

    def _settle_in(self, stretches: list[Stretch], place: Place) -> None:
        """Note where they stand, and when they are to be synced."""
        self.trouble = None
        self._place(stretches, place, by_count=False)
        if self._sync_due is None:
            self._sync_due = self._clock.monotonic() + self.sync_every
        if any(is_critical(each) for stretch in stretches for each in stretch.types):
            self._sync_due = 0.0

    def _place(self, stretches: list[Stretch], place: Place, *, by_count: bool) -> None:
        offset = place.offset
        for stretch in stretches:
            size = stretch.count if by_count else len(stretch.blob)
            stretch.start = Place(place.segment, offset)
            offset += size
            stretch.end = Place(place.segment, offset)

    def _must_give_up(self, pause: float) -> bool:
        if self._ending_at is None:
            self._pause.wait(pause)
            return False
        left = self._ending_at - self._clock.monotonic()
        if left > 0:
            threading.Event().wait(min(pause, left))  # ending: nobody will ring again
        return left <= 0

    # --- syncing -------------------------------------------------------------------

    def _sync_if_due(self) -> None:
        journal = self.journal
        if journal is None:
            settle(self._sync_wanted, NotKept("this bus keeps nothing on disk"))
            self._sync_wanted = []
            return
        now = self._clock.monotonic()
        due = self._sync_due is not None and now >= self._sync_due
        if now < self._sync_again_at:
            self._sync_due = self._sync_again_at
            return
        if not due and not self._sync_wanted:
            self._look_if_due(journal, now)
            return
        try:
            journal.sync()
            self._sync_due = self.trouble = None
            self.synced = self.written + self.poison
            settle(self._sync_wanted, None)
            self._sync_wanted = []
            if journal.roll_if_due():
                self.inbox.waiting.extend(journal.prune())
            self._tell_mended(journal)
        except Exception as error:  # noqa: BLE001  counted, told, and tried again
            self._note_refusal(error)
            self._sync_due = self._sync_again_at = self._clock.monotonic() + SYNC_PAUSE

    def _look_if_due(self, journal: Journal, now: float) -> None:
        """See now and then what became of the segment while there is nothing to sync."""
        if now < self._look_due:
            return
        self._look_due = now + LOOK_EVERY
        try:
            if journal.look():
                self._sync_due, self.trouble = now, None
            self._tell_mended(journal)
        except Exception as error:  # noqa: BLE001  counted, told, and tried at the next look
            self._note_refusal(error)

    def _tell_mended(self, journal: Journal) -> None:
        self._look_due = self._clock.monotonic() + LOOK_EVERY
        mended, journal.mended = journal.mended, []
        self.inbox.waiting.extend(mended)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _cut_long_lines(blob: bytes) -> tuple[bytes, bool]:
    lines = blob.split(b"\n")
    if not any(map(is_too_long, lines)):
        return blob, False
    whole = (cut_line(line) if is_too_long(line) else line for line in lines)
    return b"\n".join(whole), True
