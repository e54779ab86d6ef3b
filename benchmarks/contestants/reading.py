"""What it costs to ask a journal of some size."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks.contestants.starting import eventbus_command
from benchmarks.sample import acting, tool_called
from eventbus import Event, EventBus, read_journal

__all__ = ["asked"]

RARE_EVERY = 1_000


class RarelyCalled(Event, tag="bench:rare"):
    """One in a thousand."""

    call_id: int


def asked(directory: Path, *, events: int) -> dict[str, float]:
    """Seconds for each question to a journal that holds so many events."""
    state = directory / "state"
    asyncio.run(_fill(state, events))
    return {
        "read_s": _seconds(lambda: deque(read_journal(state), maxlen=0)),
        "rare_s": _seconds(lambda: deque(read_journal(state, kinds="bench:rare"), maxlen=0)),
        "verify_s": _seconds(lambda: eventbus_command(state, "verify")),
        "open_s": _seconds(lambda: _open_and_close(state)),
        "flush_s": asyncio.run(_flush(state)),
    }


async def _fill(state: Path, events: int) -> None:
    async with EventBus(state) as bus:
        with acting():
            for number in range(events):
                if number % RARE_EVERY:
                    await bus.emit(tool_called(number))
                else:
                    await bus.emit(RarelyCalled(call_id=number))
        await bus.flush(until="synced")


def _open_and_close(state: Path) -> None:
    with EventBus(state):
        pass


async def _flush(state: Path) -> float:
    async with EventBus(state) as bus:
        began = perf_counter()
        await bus.emit(tool_called(0))
        await bus.flush(until="synced")
        return perf_counter() - began


def _seconds(ask: Callable[[], object]) -> float:
    began = perf_counter()
    ask()
    return perf_counter() - began
