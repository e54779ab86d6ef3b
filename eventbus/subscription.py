"""The app's side of the bus: subscriptions and handlers."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from eventbus.apploop import AppLoop, Ticket, settle, ticket
from eventbus.event import Event
from eventbus.events.bus import GapLeft
from eventbus.events.error import ErrorRaised
from eventbus.scope import Scope, because_of, serving
from eventbus.sink import Batch, Home, Sink, lane_name_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from eventbus.sinkthread import SinkThread

__all__ = ["Handler", "HandlerSink", "Subscription"]

LOOK_S = 0.5
"""Seconds between looks whether the loop in which a handler runs has ended meanwhile."""

Handler = Callable[[Any], Any]
"""A function of one event, sync or async."""


class Subscription(Sink, AsyncIterator[Event]):
    """Events as they are written, for one `async for`; bounded.

    When the loop is too slow for it, the oldest are dropped, and a `GapLeft`
    event says how many before the next one comes.
    """

    def __init__(self, *, capacity: int, leave: Callable[[], object]) -> None:
        self._capacity = max(1, capacity)
        self._events: deque[Event] = deque()
        self._missed = 0
        """Counted by the lane; what the reader was told of it is counted by the reader."""
        self._told = 0
        self._waiter: Ticket | None = None
        self._is_closed = False
        self._leave = leave
        self.name = "subscription"

    async def write(self, batch: Batch) -> None:
        self._events.extend(batch.events)
        excess = len(self._events) - self._capacity
        for _ in range(excess):
            self._drop_oldest()
        self._wake()

    def _drop_oldest(self) -> None:
        try:
            self._events.popleft()
        except IndexError:  # the reader was quicker
            return
        self._missed += 1

    async def close(self) -> None:
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            settle([waiter], None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            missed = self._missed - self._told
            if missed:
                self._told += missed
                return GapLeft(lane=self.name, reason="slow subscriber", count=missed)
            if self._events:
                return self._events.popleft()
            if self._is_closed:
                raise StopAsyncIteration
            waiter = self._waiter = ticket()
            if not self._events and not self._is_closed:
                await waiter.wait()

    def cancel(self) -> None:
        """Want no more; what came already can still be read."""
        self._is_closed = True
        self._leave()
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()


class HandlerSink(Sink):
    """Runs one handler on the app's side: in its loop, or in a thread where there is none."""

    def __init__(self, handler: Handler, app: AppLoop | None) -> None:
        self.name = _name_of(handler)
        self.failures = 0
        self._handler = handler
        self._app = app
        self._thread: SinkThread | None = None
        self._home: Home | None = None

    async def open(self, home: Home) -> None:
        self._home = home

    async def write(self, batch: Batch) -> None:
        import asyncio  # the lanes' loop runs it already
        from concurrent.futures import Future

        done: Future[None] = Future()
        if self._app is None:
            done = self._in_thread(batch.events)
        elif not self._app.start(self._serve, batch.events, done):
            return  # the app's loop has ended: nobody is left to handle anything
        waiting = asyncio.wrap_future(done)
        while not waiting.done() and (self._app is None or self._app.soon(_look_in)):
            await asyncio.wait([waiting], timeout=LOOK_S)
        if waiting.done():
            await waiting

    def _in_thread(self, events: list[Event]) -> "Future[None]":
        import asyncio

        if self._thread is None:
            from eventbus.sinkthread import SinkThread  # only where no loop runs

            self._thread = SinkThread(f"eventbus-handler-{self.name}")
        return self._thread.submit(asyncio.run, self._handle_all(events))

    async def _serve(self, events: list[Event], done: "Future[None]") -> None:
        try:
            await self._handle_all(events)
        finally:
            if not done.done():
                done.set_result(None)

    async def _handle_all(self, events: list[Event]) -> None:
        serving.set(self._home.emit if self._home is not None else None)
        for event in events:
            try:
                await self._handle(event)
            except Exception as error:  # noqa: BLE001  recorded; the next event is handled all the same
                self._record(event, error)

    async def _handle(self, event: Event) -> None:
        with because_of(event.id):
            outcome = self._handler(event)
            if hasattr(outcome, "__await__"):
                await outcome

    def _record(self, event: Event, error: Exception) -> None:
        self.failures += 1
        import traceback  # only where one fails

        source = f"handler:{self.name}"
        if self._home is None or event.scope.source == source:
            return  # a handler of errors that fails on its own error would never end
        self._home.emit(
            ErrorRaised(
                scope=Scope(source=source, session=event.scope.session),
                cause=event.id,
                type=type(error).__name__,
                message=str(error),
                stack="".join(traceback.format_exception(error))[-8_000:],
                component="handler",
                context=self.name,
            )
        )

    async def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)


def _look_in() -> None:
    """Nothing; that it was taken shows that the loop goes on."""


def _name_of(handler: Handler) -> str:
    """What a handler is called where it was written."""
    written = getattr(handler, "__qualname__", type(handler).__name__)
    return lane_name_of(written.rpartition("<locals>.")[2])
