"""blinker: an asynchronous signal, its receiver writing by the thousand.

No queue and no thread: what a signal costs when the rest is the bare loop.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blinker import Signal

from benchmarks.sample import acting, tool_called
from eventbus.event import encode_lines

__all__ = ["whole"]

BATCH = 1_024


def whole(numbers: Iterable[int], directory: Path) -> None:
    """Send every event to one receiver."""
    asyncio.run(_send_all(numbers, directory / "blinker.jsonl"))


async def _send_all(numbers: Iterable[int], path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waiting: list[Any] = []

    async def take(sender: object, *, event: object) -> None:
        waiting.append(event)
        if len(waiting) == BATCH:
            os.write(fd, encode_lines(waiting))
            waiting.clear()

    called = Signal()
    called.connect(take)
    with acting():
        for number in numbers:
            await called.send_async(None, event=tool_called(number))
    os.write(fd, encode_lines(waiting))
    os.fdatasync(fd)
    os.close(fd)
