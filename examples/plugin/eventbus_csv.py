"""A sink that writes events as rows of a CSV file."""

import asyncio
import csv
from pathlib import Path

import msgspec

from eventbus import Batch, Home, Sink


class CsvSettings(msgspec.Struct):
    path: str = "events.csv"


class CsvSink(Sink):
    Settings = CsvSettings

    def __init__(self, settings: CsvSettings | None = None) -> None:
        self.settings = settings or CsvSettings()

    async def open(self, home: Home) -> None:
        self.path = (home.logs or Path()) / self.settings.path
        self.path.parent.mkdir(parents=True, exist_ok=True)

    async def write(self, batch: Batch) -> None:
        rows = [(event.id, event.ts.isoformat(), event.kind) for event in batch.events]
        await asyncio.to_thread(self.append, rows)

    def append(self, rows: list[tuple[str, str, str]]) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows(rows)
