"""The limit: a bare loop that makes the same events and writes them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.sample import ToolCalled, acting, tool_called
from eventbus.event import encode_lines

__all__ = ["sync_each", "whole"]

BATCH = 1_024


def whole(numbers: Iterable[int], directory: Path) -> None:
    """Construct, encode and write by the thousand, sync once."""
    fd = os.open(directory / "limit.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waiting: list[Any] = []
    with acting():
        for number in numbers:
            waiting.append(
                ToolCalled(
                    call_id=number,
                    tool="read",
                    ok=True,
                    duration_ms=12.5,
                    arguments={"path": "src/app.py", "line": number},
                )
            )
            if len(waiting) == BATCH:
                os.write(fd, encode_lines(waiting))
                waiting.clear()
    os.write(fd, encode_lines(waiting))
    os.fdatasync(fd)
    os.close(fd)


def sync_each(numbers: Iterable[int], directory: Path) -> None:
    """Write and sync every event by itself."""
    fd = os.open(directory / "limit.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with acting():
        for number in numbers:
            os.write(fd, encode_lines([tool_called(number)]))
            os.fdatasync(fd)
    os.close(fd)
