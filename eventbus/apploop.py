"""Reaching back into the app from a recorder's thread: asyncio, trio, or no loop at all."""

import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

__all__ = ["AppLoop", "ThreadTicket", "Ticket", "app_loop", "outlast", "settle", "ticket"]

Outcome = TypeVar("Outcome")


class Ticket(Protocol):
    """One waiter in the app; told once, from any thread."""

    outcome: Any

    def loop(self) -> "AppLoop | None":
        """The loop it waits in; None for a plain thread."""

    def ring(self) -> None:
        """Wake the waiter; called in its own loop."""

    async def wait(self) -> Any:
        """Wait for the outcome, in the loop the ticket was made in."""

    async def wait_out(self) -> Any:
        """The same, whoever cancels; a cancellation is raised once the outcome is there."""


class AppLoop(Protocol):
    """A running loop of the app's, asked from another thread."""

    def soon(self, function: Callable[..., object], *args: Any) -> bool:
        """Call it in the loop as soon as can be; False when the loop has ended."""

    def start(self, function: Callable[..., Awaitable[None]], *args: Any) -> bool:
        """Run it as a task of the loop; False when the loop has ended.

        One that ends before the task's turn never runs it.
        """


def app_loop() -> AppLoop | None:
    """The loop running in this thread, if any."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return _TrioLoop(trio)
    asyncio = sys.modules.get("asyncio")
    running = asyncio._get_running_loop() if asyncio is not None else None
    return _AsyncioLoop(running) if running is not None else None


def ticket() -> Ticket:
    """A ticket for whoever runs here: a task of the running loop, or this thread."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return _TrioTicket(trio)
    asyncio = sys.modules.get("asyncio")
    running = asyncio._get_running_loop() if asyncio is not None else None
    return _AsyncioTicket(running) if running is not None else ThreadTicket()


def settle(tickets: Iterable[Ticket], outcome: Any) -> None:
    """Tell all of them; each loop is woken once."""
    by_loop: dict[Any, list[Ticket]] = {}
    for waiter in tickets:
        waiter.outcome = outcome
        by_loop.setdefault(waiter.loop(), []).append(waiter)
    for loop, waiters in by_loop.items():
        if loop is None:
            _ring_all(waiters)
        else:
            loop.soon(_ring_all, waiters)


async def outlast(function: Callable[[], Outcome]) -> Outcome:
    """Run it in a thread and wait until it is done, whoever cancels meanwhile."""
    import anyio  # the app runs it already

    with anyio.CancelScope(shield=True):
        waiter = ticket()
        outcome: list[Any] = []
        threading.Thread(target=_run_for, args=(function, waiter, outcome), daemon=True).start()
        await waiter.wait_out()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    returned: Outcome = outcome[0]
    return returned


def _run_for(function: Callable[[], object], waiter: Ticket, outcome: list[Any]) -> None:
    try:
        outcome.append(function())
    except BaseException as error:  # noqa: BLE001  carried to the one who waits
        outcome.append(error)
    settle([waiter], None)


def _ring_all(waiters: list[Ticket]) -> None:
    for waiter in waiters:
        waiter.ring()


class _AsyncioLoop:
    __slots__ = ("_loop",)

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def soon(self, function: Callable[..., object], *args: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def start(self, function: Callable[..., Awaitable[None]], *args: Any) -> bool:
        return self.soon(self._begin, function, args)

    def _begin(self, function: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        import asyncio  # the app runs it already

        task = asyncio.ensure_future(function(*args), loop=self._loop)
        _running.add(task)  # a loop keeps only weak references to its tasks
        task.add_done_callback(_running.discard)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AsyncioLoop) and other._loop is self._loop

    def __hash__(self) -> int:
        return id(self._loop)


_running: set[Any] = set()


class _TrioLoop:
    __slots__ = ("_token", "_trio")

    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()

    def soon(self, function: Callable[..., object], *args: Any) -> bool:
        try:
            self._token.run_sync_soon(function, *args)
        except self._trio.RunFinishedError:
            return False
        return True

    def start(self, function: Callable[..., Awaitable[None]], *args: Any) -> bool:
        return self.soon(self._begin, function, args)

    def _begin(self, function: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        with suppress(RuntimeError):  # the run is ending and takes no more tasks
            self._trio.lowlevel.spawn_system_task(function, *args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TrioLoop) and other._token is self._token

    def __hash__(self) -> int:
        return id(self._token)


class _AsyncioTicket:
    __slots__ = ("_future", "_loop", "outcome")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._future = loop.create_future()
        self.outcome: Any = None

    def loop(self) -> AppLoop | None:
        return _AsyncioLoop(self._loop)

    def ring(self) -> None:
        if not self._future.done():  # its task may have been cancelled meanwhile
            self._future.set_result(None)

    async def wait(self) -> Any:
        await self._future
        return self.outcome

    async def wait_out(self) -> Any:
        import asyncio  # the app runs it already

        cancelled: BaseException | None = None
        while not self._future.done():
            try:
                await asyncio.wait([self._future])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return self.outcome


class _TrioTicket:
    __slots__ = ("_event", "_loop", "_trio", "outcome")

    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._loop = _TrioLoop(trio)
        self._event = trio.Event()
        self.outcome: Any = None

    def loop(self) -> AppLoop | None:
        return self._loop

    def ring(self) -> None:
        self._event.set()

    async def wait(self) -> Any:
        await self._event.wait()
        return self.outcome

    async def wait_out(self) -> Any:
        with self._trio.CancelScope(shield=True):
            return await self.wait()


class ThreadTicket:
    """A thread that waits."""

    __slots__ = ("_event", "outcome")

    def __init__(self) -> None:
        self._event = threading.Event()
        self.outcome: Any = None

    def loop(self) -> AppLoop | None:
        return None

    def ring(self) -> None:
        self._event.set()

    def wait_here(self, timeout: float | None = None) -> bool:
        """Block this thread; False when the time ran out."""
        return self._event.wait(timeout)

    async def wait(self) -> Any:
        raise RuntimeError("no loop runs here; use the calls made for plain threads")

    wait_out = wait
