"""picologging: logging's own shape in C, writing to a file."""

from collections.abc import Iterable
from pathlib import Path

import orjson
import picologging

from benchmarks.contestants.patient import line_file, sync_file
from benchmarks.sample import facts

__all__ = ["whole"]


def whole(numbers: Iterable[int], directory: Path, *, patient: bool = False) -> None:
    """Log every event as the message, made by orjson."""
    stream = line_file(directory / "picologging.jsonl", patient=patient)
    writer = picologging.StreamHandler(stream)
    writer.setFormatter(picologging.Formatter("%(message)s"))
    log = picologging.Logger("bench", picologging.INFO)
    log.addHandler(writer)
    for number in numbers:
        log.info(orjson.dumps(facts(number)).decode())
    stream.close()
    sync_file(directory / "picologging.jsonl")
