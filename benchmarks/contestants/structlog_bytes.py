"""structlog: the bytes logger with orjson, as its performance page advises."""

import logging
from collections.abc import Iterable
from pathlib import Path

import orjson
import structlog

from benchmarks.contestants.patient import PatientBytes, sync_file
from benchmarks.sample import SCOPE
from eventbus.event import new_id

__all__ = ["whole"]


def whole(numbers: Iterable[int], directory: Path, *, patient: bool = False) -> None:
    """Log every event; time and scope come from structlog's own processors."""
    path = directory / "structlog.jsonl"
    file = PatientBytes(path) if patient else path.open("ab")
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file),
    )
    structlog.contextvars.bind_contextvars(scope=SCOPE)
    log = structlog.get_logger().bind()
    for number in numbers:
        log.info(
            "bench:call",
            id=new_id(),
            call_id=number,
            tool="read",
            ok=True,
            duration_ms=12.5,
            arguments={"path": "src/app.py", "line": number},
        )
    file.close()
    sync_file(path)
