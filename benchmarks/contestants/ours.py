"""Our bus, counting through the same events as everybody."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from benchmarks.laps import Laps
from benchmarks.sample import ToolCalled, acting, anything_called, tool_called
from eventbus import EventBus
from eventbus.sink import NamedSink

__all__ = [
    "beside_resident",
    "emit",
    "emit_anything",
    "emit_many",
    "null_sinks",
    "resident",
    "synced",
]

BATCH = 1_024


def emit(
    numbers: Iterable[int], directory: Path, *, sinks: Sequence[str] = (), nulls: int = 0
) -> None:
    """Await `emit` for every event, then sync all of them."""
    asyncio.run(_emit(numbers, directory, (*sinks, *null_sinks(nulls))))


def null_sinks(wanted: int) -> list[NamedSink]:
    """So many lanes to nowhere."""
    return [NamedSink(use="null", name=f"null-{number}") for number in range(wanted)]


async def _emit(numbers: Iterable[int], directory: Path, sinks: Sequence[str | NamedSink]) -> None:
    async with EventBus(directory / "state", sinks=sinks) as bus:
        with acting():
            for number in numbers:
                await bus.emit(
                    ToolCalled(
                        call_id=number,
                        tool="read",
                        ok=True,
                        duration_ms=12.5,
                        arguments={"path": "src/app.py", "line": number},
                    )
                )
        await bus.flush(until="synced")


def emit_anything(numbers: Iterable[int], directory: Path) -> None:
    """The same with a dict that may hold anything."""
    asyncio.run(_emit_anything(numbers, directory))


async def _emit_anything(numbers: Iterable[int], directory: Path) -> None:
    async with EventBus(directory / "state") as bus:
        with acting():
            for number in numbers:
                await bus.emit(anything_called(number))
        await bus.flush(until="synced")


def emit_many(numbers: Iterable[int], directory: Path) -> None:
    """Await `emit_many` for every thousand events, then sync all of them."""
    asyncio.run(_emit_many(numbers, directory))


async def _emit_many(numbers: Iterable[int], directory: Path) -> None:
    rest = iter(numbers)
    async with EventBus(directory / "state") as bus:
        with acting():
            while events := [
                ToolCalled(
                    call_id=number,
                    tool="read",
                    ok=True,
                    duration_ms=12.5,
                    arguments={"path": "src/app.py", "line": number},
                )
                for number in islice(rest, BATCH)
            ]:
                await bus.emit_many(events)
        await bus.flush(until="synced")


def synced(numbers: Iterable[int], directory: Path, *, producers: int) -> None:
    """Let so many producers each await that their event is on the disk."""
    asyncio.run(_synced(numbers, directory, producers))


async def _synced(numbers: Iterable[int], directory: Path, producers: int) -> None:
    rest = iter(numbers)

    async def produce(bus: EventBus) -> None:
        for number in rest:
            await bus.emit(tool_called(number), until="synced")

    async with EventBus(directory / "state") as bus, asyncio.TaskGroup() as group:
        with acting():
            for _ in range(producers):
                group.create_task(produce(bus))


def beside_resident(laps: Laps, directory: Path, *, sinks: Sequence[str]) -> None:
    """Emit as an agent does while another process serves its lanes."""
    with resident(directory / "state", sinks):
        asyncio.run(_emit(laps, directory, sinks))
        laps.finish()


@contextmanager
def resident(state: Path, arguments: Sequence[str], *, module: str = "resident") -> Iterator[None]:
    """Have a resident recorder for the length of a block."""
    argv = [sys.executable, "-m", f"benchmarks.contestants.{module}", str(state), *arguments]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as recorder:
        assert recorder.stdin is not None and recorder.stdout is not None
        if recorder.stdout.readline().strip() != b"ready":
            raise SystemExit("the resident recorder did not start")
        yield
        recorder.stdin.close()
