"""bubus: an event bus for agents, with its own log and with ours.

It holds a hundred events at the most, so every fiftieth is awaited. The
handler is what a careful user would write: lines by the thousand.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("BUBUS_LOGGING_LEVEL", "ERROR")  # read when it is imported

from bubus import BaseEvent, EventBus

from benchmarks.contestants.patient import PatientBytes, sync_file
from benchmarks.sample import SCOPE

__all__ = ["handler", "own_log"]

AT_ONCE = 50
HISTORY = 10


class ToolCalled(BaseEvent[None]):
    """The sample event; bubus adds its own id and times."""

    kind: str = "bench:call"
    scope: dict[str, str] = SCOPE
    call_id: int
    tool: str = "read"
    ok: bool = True
    duration_ms: float = 12.5
    arguments: dict[str, Any]


def own_log(numbers: Iterable[int], directory: Path) -> None:
    """Let bubus keep its write-ahead log."""
    path = directory / "bubus.jsonl"
    asyncio.run(_dispatch_all(numbers, EventBus(max_history_size=HISTORY, wal_path=path)))
    sync_file(path)


def handler(numbers: Iterable[int], directory: Path) -> None:
    """Let one handler write the lines."""
    file = PatientBytes(directory / "bubus.jsonl")

    async def write(event: ToolCalled) -> None:
        file.write(event.model_dump_json().encode() + b"\n")

    bus = EventBus(max_history_size=HISTORY)
    bus.on(ToolCalled, write)
    asyncio.run(_dispatch_all(numbers, bus))
    file.close()
    sync_file(directory / "bubus.jsonl")


async def _dispatch_all(numbers: Iterable[int], bus: EventBus) -> None:
    for number in numbers:
        event = bus.dispatch(
            ToolCalled(call_id=number, arguments={"path": "src/app.py", "line": number})
        )
        if number % AT_ONCE == AT_ONCE - 1:
            await event
    await bus.wait_until_idle()
    await bus.stop()
