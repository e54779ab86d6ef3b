from pathlib import Path

from eventbus_csv import CsvSink

from eventbus.testing import SinkContract


class TestCsvSink(SinkContract):
    def make(self, state: Path) -> CsvSink:
        return CsvSink()

    def read(self, state: Path) -> list[str]:
        rows = (state / "logs" / "events.csv").read_text().split()
        return [row.split(",")[0] for row in rows]
