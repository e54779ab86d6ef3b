"""The standard library: QueueHandler to QueueListener to a file.

At its best: no search for the caller, records cross as they are, the
listener's thread encodes.
"""

import logging
import logging.handlers
from collections.abc import Iterable
from pathlib import Path
from queue import Queue, SimpleQueue

import msgspec

from benchmarks.contestants.patient import line_file, sync_file
from benchmarks.sample import facts

__all__ = ["as_it_comes", "whole"]


class _WholeRecord(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # it stays in this process, so nothing must be made text first


class _JsonLine(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder().encode

    def format(self, record: logging.LogRecord) -> str:
        return self._encode(record.msg).decode()


def whole(numbers: Iterable[int], directory: Path, *, patient: bool = False) -> None:
    """Log every event as a dict."""
    logging._srcfile = None  # documented: spares the search for the caller
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    stream = line_file(directory / "stdlib.jsonl", patient=patient)
    writer = logging.StreamHandler(stream)
    writer.setFormatter(_JsonLine())
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    log = _logger(_WholeRecord(queue))
    listener = logging.handlers.QueueListener(queue, writer)
    listener.start()
    for number in numbers:
        log.info(facts(number))
    listener.stop()
    stream.close()
    sync_file(directory / "stdlib.jsonl")


def as_it_comes(numbers: Iterable[int], directory: Path) -> None:
    """Log every event as a line of JSON, with nothing tuned."""
    path = directory / "stdlib.jsonl"
    queue: Queue[logging.LogRecord] = Queue()
    log = _logger(logging.handlers.QueueHandler(queue))
    writer = logging.FileHandler(path)
    listener = logging.handlers.QueueListener(queue, writer)
    listener.start()
    encode = msgspec.json.encode
    for number in numbers:
        log.info(encode(facts(number)).decode())
    listener.stop()
    writer.close()
    sync_file(path)


def _logger(handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log
