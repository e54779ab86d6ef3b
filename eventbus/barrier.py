"""Waiting until all that was emitted before is safe: in the journal, and in every lane here."""

from typing import TYPE_CHECKING

from eventbus.apploop import ThreadTicket, Ticket, ticket
from eventbus.clock import Clock
from eventbus.counts import Flushed
from eventbus.inbox import Inbox
from eventbus.intake import Level
from eventbus.writer import Writer

if TYPE_CHECKING:
    from eventbus.lanes import LaneLoop

__all__ = ["Barrier"]


class Barrier:
    """One flush: it knows the lanes it began with, and says what is so at its end."""

    def __init__(
        self,
        until: Level,
        *,
        inbox: Inbox,
        writer: Writer | None,
        lanes: "LaneLoop | None",
        clock: Clock,
    ) -> None:
        self._until = until
        self._inbox = inbox
        self._writer = writer
        self._is_in_memory = writer is not None and writer.journal is None
        self._lanes = lanes
        self._clock = clock
        # one that leaves meanwhile has not reached it
        self._here = {} if lanes is None else dict.fromkeys(list(lanes.lanes), False)
        self._is_kept = False
        self._reached: dict[str, bool] = {}

    async def wait(self, timeout: float | None) -> Flushed:  # noqa: ASYNC109  what is so is returned
        """Wait on the caller's own loop."""
        import anyio  # only who flushes needs it

        with anyio.move_on_after(timeout):
            self._is_kept = await self._journal_reaches()
            self._reached = await self._lanes_reach()
        return self._flushed()

    async def _journal_reaches(self) -> bool:
        if self._writer is None or not self._writer.is_alive:
            return False
        waiter = ticket()
        self._inbox.ask(self._tickets(self._writer), waiter)
        return await waiter.wait() is None

    async def _lanes_reach(self) -> dict[str, bool]:
        if self._lanes is None or not self._lanes.is_running:
            return {}
        waiter = ticket()
        self._ask_lanes(self._lanes, waiter)
        reached: dict[str, bool] = await waiter.wait()
        return reached

    def wait_here(self, timeout: float | None) -> Flushed:
        """The same for code with no loop; blocks this thread."""
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        first, second = ThreadTicket(), ThreadTicket()
        if self._writer is not None and self._writer.is_alive:
            self._inbox.ask(self._tickets(self._writer), first)
            self._is_kept = first.wait_here(self._left(deadline)) and first.outcome is None
        if self._lanes is not None and self._lanes.is_running:
            self._ask_lanes(self._lanes, second)
            if second.wait_here(self._left(deadline)):
                self._reached = second.outcome
        return self._flushed()

    def _left(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._clock.monotonic())

    def _tickets(self, writer: Writer) -> list[Ticket]:
        is_synced = self._until == "synced" and not self._is_in_memory
        return self._inbox.synced_tickets if is_synced else self._inbox.written_tickets

    def _ask_lanes(self, lanes: "LaneLoop", waiter: Ticket) -> None:
        lanes.reach(lanes.standing.end, sync=self._until == "synced", tickets=[waiter])

    def _flushed(self) -> Flushed:
        told = {} if self._lanes is None else self._lanes.reached(self._lanes.standing.end)
        if self._until == "synced" or not self._is_kept:  # having it all is not enough
            told = {name: self._reached.get(name, False) for name in told}
        told = {**self._here, **told, **self._reached}
        is_above_memory = self._until == "synced" and self._is_in_memory
        is_reached = self._is_kept and all(told.values()) and not is_above_memory
        return Flushed(reached=is_reached, until=self._until, lanes=told)
