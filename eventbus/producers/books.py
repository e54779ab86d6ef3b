"""What everybody spent this month, to the moment: what the store has, and what it has yet to get.

The store tells what has landed, and up to which place of the journal; the
journal tells the rest, of every process on the state directory. What this
process emits counts at once, and is not counted again when it is read back.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StoreUnusable
from eventbus.event import Event, decode
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.llm import ModelAnswered
from eventbus.followed import FollowedWriter
from eventbus.limits import Spending
from eventbus.segment import segments_by_writer, segments_in
from eventbus.sink import Cursor
from eventbus.store.cursors import main_cursor
from eventbus.store.opening import open_store
from eventbus.store.usage import Charge, Spent, charge, spent_by_day

__all__ = ["COSTING", "Books"]

COSTING = (ModelAnswered, DispatchFinished)
"""The events that cost something."""
PENDING_MOST = 50_000
"""Own events that are remembered until they are read back; one that was dropped never is."""
_Days = dict[str | None, dict[str, Spent]]
"""By user, None for everybody, and UTC day."""
_STARTS = tuple(b'{"kind":"%s"' % str(each.__struct_config__.tag).encode() for each in COSTING)


class Books:
    """Sums by user and UTC day; asked and added to from any thread."""

    def __init__(
        self,
        state: Path | None,
        where: str | None,
        *,
        tell: Callable[[Charge], None],
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self._journal = state / "journal" if state is not None else None
        self._where = where
        self._tell = tell
        self._disk = disk
        self.guard = threading.RLock()
        """Held while sums change, never for long; a signal handler may emit meanwhile."""
        self._reading = threading.RLock()
        self._days: _Days = {}
        self._pending: dict[str, Charge] = {}
        self._writers: dict[str, FollowedWriter] = {}
        self._since = date.min

    def open(self, today: date) -> None:
        """Read what was spent since the first of the month; again, all of it anew."""
        with self._reading:
            self._since = today.replace(day=1)
            landed, cursor = self._landed()
            if self._writers:  # what of our own has landed is no longer pending
                self.catch_up()
            with self.guard:
                self._days = {}
                for noted in landed:
                    self._add(noted)
                self._follow_from(cursor)
                self.catch_up()
                for noted in self._pending.values():
                    self._add(noted)

    def _landed(self) -> tuple[list[Charge], Cursor]:
        """What the store has, and the place in the journal up to which it has it."""
        if self._where is not None:
            with suppress(StoreUnusable), open_store(self._where) as store, store.snapshot():
                return spent_by_day(store, start=self._since), main_cursor(store)
        return [], {}  # there is none yet: the journal has it all

    def _follow_from(self, cursor: Cursor) -> None:
        for writer in self._writers.values():
            writer.close()
        if self._journal is None:
            return
        self._writers = {
            name: FollowedWriter(name, place, self._journal, self._disk)
            for name, place in cursor.items()
        }

    # --- adding --------------------------------------------------------------------

    def note(self, event: Event) -> None:
        """Count an event of this process as it is emitted."""
        try:
            noted = charge(event)
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return  # its values are of no type it may have: it costs nobody anything
        with self.guard:
            if event.id in self._pending:
                return
            self._pending[event.id] = noted
            if len(self._pending) > PENDING_MOST:
                del self._pending[next(iter(self._pending))]
            self._add(noted)
            self._tell(noted)

    def _add(self, noted: Charge) -> None:
        if noted.day < self._since.isoformat():
            return
        for user in (noted.user, None):
            days = self._days.setdefault(user, {})
            days[noted.day] = _sum(days.get(noted.day, Spent()), noted.spent)

    def catch_up(self) -> None:
        """Count what any process has written since the last look."""
        if self._journal is None:
            return
        with self._reading:
            found = segments_by_writer(segments_in(self._journal, self._disk))
            for name, segments in found.items():
                writer = self._writers.get(name)
                if writer is None:
                    writer = FollowedWriter(name, None, self._journal, self._disk)
                    self._writers[name] = writer
                writer.segments = segments
                while (stretch := writer.next()) is not None:
                    self._count(stretch.lines)

    def _count(self, lines: list[bytes]) -> None:
        costing = [decode(line) for line in lines if line.startswith(_STARTS)]
        with self.guard:
            for event in costing:
                if isinstance(event, COSTING) and self._pending.pop(event.id, None) is None:
                    noted = charge(event)
                    self._add(noted)
                    self._tell(noted)

    # --- asking --------------------------------------------------------------------

    def spent(self, user: str | None, today: date) -> tuple[Spending, Spending]:
        """What a user, or everybody, spent on that day and in its month."""
        with self.guard:
            days = dict(self._days.get(user, {}))
        month = Spent()
        for day, sums in days.items():
            if day[:7] == today.isoformat()[:7]:
                month = _sum(month, sums)
        return _spending(days.get(today.isoformat(), Spent())), _spending(month)

    @property
    def users(self) -> list[str]:
        """Those who spent this month; one who said no name is empty."""
        with self.guard:
            return [user for user in self._days if user is not None]

    @property
    def pending(self) -> dict[str, int]:
        """Nanos this process has spent that no other can see yet, by user."""
        nanos: dict[str, int] = {}
        with self.guard:
            for noted in self._pending.values():
                nanos[noted.user] = nanos.get(noted.user, 0) + noted.spent.nanos
        return nanos

    def close(self) -> None:
        with self._reading:
            for writer in self._writers.values():
                writer.close()


def _sum(one: Spent, other: Spent) -> Spent:
    return Spent(one.nanos + other.nanos, one.tokens + other.tokens, one.unpriced + other.unpriced)


def _spending(spent: Spent) -> Spending:
    return Spending(nanos=spent.nanos, tokens=spent.tokens, unpriced=spent.unpriced)
