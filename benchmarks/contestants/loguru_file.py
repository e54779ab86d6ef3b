"""loguru: its file sink, plain and through its queue.

At its best: the line is made by orjson before the call, nothing is added to
it, the file is buffered.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson
from loguru import logger

from benchmarks.contestants.patient import BUFFER_BYTES, sync_file
from benchmarks.sample import facts

__all__ = ["whole"]


def whole(numbers: Iterable[int], directory: Path, *, enqueue: bool) -> None:
    """Log every event as the message."""
    path = directory / "loguru.jsonl"
    logger.remove()
    logger.add(
        path,
        format="{message}",
        enqueue=enqueue,
        buffering=BUFFER_BYTES,
        backtrace=False,
        diagnose=False,
        colorize=False,
    )
    for number in numbers:
        logger.info(orjson.dumps(facts(number)).decode())
    logger.complete()
    logger.remove()
    sync_file(path)
