"""The parts of an event's way, each alone; and the whole of it, thread by thread."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import clock_gettime, perf_counter, process_time, pthread_getcpuclockid, thread_time
from typing import Any

from benchmarks.sample import acting, tool_called
from eventbus import Event, EventBus
from eventbus.clock import utc_now
from eventbus.event import encode_lines, new_id
from eventbus.inbox import Inbox

__all__ = ["alone", "by_thread"]

BATCH = 1_024
"""Events made, encoded and written at a time, as the writer does."""


def alone(directory: Path, *, events: int) -> dict[str, float]:
    """Microseconds of processor an event of each part, with nothing else going on."""
    parts = _Parts(directory / "parts.jsonl")
    with acting():
        for start in range(0, events, BATCH):
            parts.go(range(start, min(start + BATCH, events)))
    parts.sync()
    return {f"{part}_us": spent / events * 1e6 for part, spent in parts.spent.items()}


class _Parts:
    """Sums of seconds, by part."""

    def __init__(self, path: Path) -> None:
        self.spent: dict[str, float] = {}
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._inbox = Inbox()

    def go(self, numbers: range) -> None:
        """Take a batch all the way."""
        made: list[Event] = self._timed("construct", lambda: [tool_called(n) for n in numbers])
        self._timed("id", lambda: [new_id() for _ in numbers])
        self._timed("time", lambda: [utc_now() for _ in numbers])
        blob = self._timed("encode", lambda: encode_lines(made))
        self._timed("write", lambda: os.write(self._fd, blob))
        self._inbox.waiting.extend(made)
        made.clear()
        self._timed("inbox", self._empty)

    def _empty(self) -> None:
        self._inbox.take()  # and let go of: nobody else holds these events

    def sync(self) -> None:
        """Wait for the disk; the one part that takes time and no processor."""
        began = perf_counter()
        os.fdatasync(self._fd)
        self.spent["sync"] = perf_counter() - began
        os.close(self._fd)

    def _timed(self, part: str, work: Callable[[], Any]) -> Any:
        began = thread_time()
        done = work()
        self.spent[part] = self.spent.get(part, 0.0) + thread_time() - began
        return done


def by_thread(directory: Path, *, events: int, sinks: Sequence[str]) -> dict[str, float]:
    """Microseconds an event by the wall, and by the processor for each thread."""
    return asyncio.run(_by_thread(directory, events, sinks))


async def _by_thread(directory: Path, events: int, sinks: Sequence[str]) -> dict[str, float]:
    async with EventBus(directory / "state", sinks=sinks) as bus:
        await bus.flush(until="synced")  # every thread is there by then
        began, cpu, before = perf_counter(), process_time(), _spent()
        with acting():
            for number in range(events):
                await bus.emit(tool_called(number))
        await bus.flush(until="synced")
        wall, cpu, after = perf_counter() - began, process_time() - cpu, _spent()
    spent = {f"{name}_us": after[name] - before.get(name, 0.0) for name in after}
    whole = {"us": wall, "cpu_us": cpu}
    return {part: seconds / events * 1e6 for part, seconds in {**whole, **spent}.items()}


def _spent() -> dict[str, float]:
    """Seconds of processor that each thread has had."""
    return {
        _short(thread): clock_gettime(pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.ident is not None
    }


def _short(thread: threading.Thread) -> str:
    return "app" if thread is threading.main_thread() else thread.name.removeprefix("eventbus-")
