"""Who made a change: tool calls of every process on the state directory, held against it."""

import stat
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import anyio
import msgspec

from eventbus.bus import EventBus
from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import Event, decode
from eventbus.events.bus import BusEnded
from eventbus.producers.told import ToldByOthers
from eventbus.watching.attribution import Span, actor_of, is_clear, span_of
from eventbus.watching.change import Actor, Change
from eventbus.watching.phases import TELLING, Phases
from eventbus.watching.writers import Writers

__all__ = ["GRACE_S", "QUICK_SETTLE_S", "SETTLE_S", "Attributor"]

GRACE_S = 0.5
"""A change noticed so long after a phase has closed may still be that phase's."""
SETTLE_S, QUICK_SETTLE_S = 0.025, 0.012
"""How long after a change was noticed the record of a call may still be on its way: a writer
lingers up to 5 ms, and longer where its process has no time for it."""
LOOK_EVERY_S = 0.003
LOOKED_AT_MOST = 16
"""Changes of a burst that are looked at to know whether to wait."""
ALIVE_FOR_S = 1.0
"""How long a writer that was found alive is believed to be."""
WAITING_MOST = 10_000
"""Events of this process's own that may wait to be looked at."""

_HEARD: tuple[type[Event], ...] = (*TELLING, BusEnded)
KINDS = tuple(str(each.__struct_config__.tag) for each in _HEARD)


class Attributor:
    """Knows the phases of every writer, and says who made a change.

    It hears of this process's own calls the moment they are emitted, and of
    those of others from the journal. A block, or `open` and `close`.
    """

    def __init__(
        self,
        bus: EventBus,
        *,
        grace: float = GRACE_S,
        settle: float = SETTLE_S,
        writers: Writers | None = None,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.grace = timedelta(seconds=grace)
        self.phases = Phases()
        self._bus = bus
        self._settle = timedelta(seconds=settle)
        self.writers = writers
        """Who knows which process wrote, if anybody does."""
        self._clock = clock
        self._disk = disk
        self._own: deque[Event] = deque(maxlen=WAITING_MOST)
        self._told = None
        if bus.state is not None:
            self._told = ToldByOthers(bus.state / "journal", KINDS, clock=clock, disk=disk)
        self._alive: dict[str, float] = {}
        """By writer, when it was last seen to hold its segment; steady seconds."""

    # --- life ----------------------------------------------------------------------

    def open(self) -> Self:
        """Begin to listen, and read what the journal says is open."""
        for each in TELLING:
            self._bus.watch(each, self._own.append)
        self.look()
        return self

    def close(self) -> None:
        for each in TELLING:
            self._bus.watch(each, None)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- questions -----------------------------------------------------------------

    async def catch_up(self, noticed: datetime, changes: Sequence[Change] = ()) -> None:
        """Return when calls that began before a change was noticed are known.

        That is at once where nobody else writes here, and as soon as calls
        are known that name what was changed.
        """
        self.look()
        while self._may_be_told_more(noticed) and not self._is_clear(changes):
            await anyio.sleep(LOOK_EVERY_S)
            self.look()

    def _may_be_told_more(self, noticed: datetime) -> bool:
        left = noticed + self._settle - self._clock.now()
        if self._told is None or not timedelta(0) < left <= self._settle:
            return False
        return self._told.has_others(except_of=self._own_writer)

    def _is_clear(self, changes: Sequence[Change]) -> bool:
        """Whether calls name these changes; of many, whether they name the first."""
        return bool(changes) and all(
            is_clear(change, self.phases, self._span_of(change))
            for change in changes[:LOOKED_AT_MOST]
        )

    def look(self) -> None:
        """Take what was told since the last look."""
        while self._own:
            self.phases.take(self._own.popleft())
        if self._told is not None:
            for writer, line in self._told.new_lines(except_of=self._own_writer):
                self._take(writer, decode(line))
            self._end_the_dead(self._told)
        self.phases.forget(self._clock.now())

    def actor_of(self, change: Change) -> Actor:
        """Who is held to have made it, as far as was told by the last look."""
        actor = actor_of(change, self.phases, self._span_of(change))
        return self._with_process(actor, change)

    def _span_of(self, change: Change) -> Span:
        """When it was made; where the file cannot say it, the directory around it is asked."""
        span = span_of(change, grace=self.grace)
        if span.latest - span.earliest < self.grace or not len(self.phases):
            return span
        return span_of(change, grace=self.grace, stamped=self._stamped(change))

    def _with_process(self, actor: Actor, change: Change) -> Actor:
        """The same with the process that wrote, where the kernel says so."""
        is_written = change.op == "write" and change.moved_from is None
        if self.writers is None or not is_written:
            return actor
        writer = self.writers.writer_of(change.where, changed=change.changed)
        if writer is None:
            return actor
        return msgspec.structs.replace(actor, pid=writer.pid, command=writer.command)

    # --- what is told --------------------------------------------------------------

    @property
    def _own_writer(self) -> str | None:
        return self._bus.writer_id if self._bus.is_open else None

    def _take(self, writer: str, event: Event) -> None:
        if isinstance(event, BusEnded):
            self.phases.end_writer(event.writer, event.ts)
        else:
            self.phases.take(event, writer=writer)

    def _end_the_dead(self, told: ToldByOthers) -> None:
        """A call that a killed process left open has ended with it."""
        now = self._clock.monotonic()
        for writer in self.phases.open_writers - {self._own_writer}:
            seen = self._alive.get(writer)
            if seen is not None and 0 <= now - seen < ALIVE_FOR_S:
                continue
            if told.is_alive(writer):
                self._alive[writer] = now
            else:
                self._alive.pop(writer, None)
                ended = self._clock.now() if seen is not None else self._last_word(told, writer)
                self.phases.end_writer(writer, ended)

    def _last_word(self, told: ToldByOthers, writer: str) -> datetime:
        """When it last wrote, for one that was dead before anybody looked."""
        last = told.last_of(writer)
        with suppress(OSError):
            if last is not None:
                return datetime.fromtimestamp(self._disk.stat(last.path).st_mtime, UTC)
        return self._clock.now()

    def _stamped(self, change: Change) -> datetime | None:
        """When the directory around it changed last, and no later than it did itself."""
        for above in change.where.parents:
            with suppress(OSError):
                status = self._disk.stat(above)
                if stat.S_ISDIR(status.st_mode):
                    stamped = datetime.fromtimestamp(status.st_mtime, UTC)
                    return stamped if change.changed is None else min(stamped, change.changed)
        return None
