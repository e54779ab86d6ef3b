"""OpenTelemetry: the batch log record processor with an exporter to a file.

At its best: a queue that holds everything, since it throws away what does
not fit, and an exporter that writes a whole batch of lines at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

from benchmarks.contestants.patient import PatientBytes, sync_file
from benchmarks.laps import Laps
from benchmarks.sample import facts

__all__ = ["whole"]

BATCH = 1_024


class _FileExporter:
    """Writes what it is given as JSON lines."""

    def __init__(self, path: Path) -> None:
        self._file = PatientBytes(path)

    def export(self, batch: Sequence[Any]) -> None:
        lines = [orjson.dumps(record.log_record.body) for record in batch]
        self._file.write(b"\n".join([*lines, b""]))

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True

    def shutdown(self) -> None:
        self._file.close()


def whole(numbers: Laps, directory: Path) -> None:
    """Emit every event as a record's body."""
    exporter: Any = _FileExporter(directory / "otel.jsonl")
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(
            exporter, max_queue_size=numbers.events + 1, max_export_batch_size=BATCH
        )
    )
    log = provider.get_logger("bench")
    for number in numbers:
        log.emit(event_name="bench:call", body=facts(number))
    provider.shutdown()
    sync_file(directory / "otel.jsonl")
