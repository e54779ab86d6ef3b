"""Events out of the store in each form, in order, however many."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import pytest

from eventbus import Event, Scope
from eventbus.errors import ExportRefused
from eventbus.event import encode
from eventbus.events.log import LogLine
from eventbus.sink import Batch
from eventbus.store import export as export_module
from eventbus.store.engine import Reader, Writer
from eventbus.store.export import COLUMNS, export_events
from eventbus.store.ingest import ingest_file
from eventbus.store.landing import land
from tests.store.landing_at_once import Landing

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def line(message: str, second: int = 0, kind: str = "app:say", **scope: str) -> LogLine:
    return LogLine(
        event_type=kind,
        source="shop",
        message=message,
        ts=NOON + timedelta(seconds=second),
        scope=Scope(**scope),  # type: ignore[arg-type]
    )


def landed(writer: Writer, *events: Event) -> None:
    land(writer, Batch(events=list(events), lines=[encode(each) for each in events]), lane="x")


def exported(store: Reader, form: str = "flat", **wishes: object) -> str:
    return b"".join(export_events(store, form, **wishes)).decode()  # type: ignore[arg-type]


def messages(store: Reader, **wishes: object) -> list[str]:
    return [line.split("|", 3)[3] for line in exported(store, **wishes).splitlines()]


def test_flat_lines_come_oldest_first(store_writer: Writer) -> None:
    landed(store_writer, line("late", 2), line("early", 1))

    assert exported(store_writer) == (
        "2026-03-10T12:00:01.000Z|app:say|shop|early\n2026-03-10T12:00:02.000Z|app:say|shop|late\n"
    )


def test_filters_narrow_it(store_writer: Writer) -> None:
    landed(store_writer, line("a", 1, session="s1"), line("b", 2, "app:ask"), line("c", 3, "x:ask"))

    assert messages(store_writer, session="s1") == ["a"]
    assert messages(store_writer, kinds="app:*") == ["a", "b"]
    assert messages(store_writer, kinds=["*:ask"]) == ["b", "c"]
    assert messages(store_writer, kinds=[]) == []
    assert messages(store_writer, since=NOON + timedelta(seconds=2)) == ["b", "c"]
    assert messages(store_writer, until=NOON + timedelta(seconds=2)) == ["a"]
    assert messages(store_writer, kinds="app:*", since=NOON + timedelta(seconds=2)) == ["b"]


def test_jsonl_has_an_object_a_row_with_every_column(store_writer: Writer) -> None:
    landed(store_writer, line('say "hi" n=1', 1, session="s1", component="brain"))

    (row,) = map(msgspec.json.decode, exported(store_writer, "jsonl").splitlines())

    assert tuple(row) == COLUMNS
    assert (row["message"], row["session_id"], row["component"]) == ('say "hi" n=1', "s1", "brain")
    assert row["kv_json"] == {"n": "1"}
    assert row["raw_bytes"] is None


def test_csv_reads_back_cell_by_cell(store_writer: Writer) -> None:
    landed(store_writer, line('a "quoted", text'), line("two"))

    rows = list(csv.DictReader(StringIO(exported(store_writer, "csv"), newline="")))

    assert [row["message"] for row in rows] == ['a "quoted", text', "two"]
    assert tuple(rows[0]) == COLUMNS
    assert exported(store_writer, "csv", kinds=[]) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_runs_no_cell(store_writer: Writer, start: str) -> None:
    message = f"{start}HYPERLINK(1)"
    landed(store_writer, line(message))

    def cells(**wishes: object) -> list[str]:
        text = exported(store_writer, "csv", **wishes)
        return [row["message"] for row in csv.DictReader(StringIO(text, newline=""))]

    assert cells() == [f"'{message}"]
    assert cells(is_guarded=False) == [message]


async def test_bytes_that_are_no_text_keep_their_form(tmp_path: Path, store_writer: Writer) -> None:
    raw = b"2024-12-19T14:30:00.001Z|a:b|x|caf\xe9"
    (tmp_path / "log").write_bytes(raw)
    await ingest_file(tmp_path / "log", emit=Landing(store_writer), rest_seconds=0)

    assert b"".join(export_events(store_writer, kinds="a:b")) == raw + b"\n"
    (row,) = map(msgspec.json.decode, exported(store_writer, "jsonl", kinds="a:b").splitlines())
    assert msgspec.convert(row["raw_bytes"], bytes) == raw
    (cells,) = csv.DictReader(StringIO(exported(store_writer, "csv", kinds="a:b"), newline=""))
    assert bytes.fromhex(cells["raw_bytes"]) == raw


@pytest.mark.parametrize("most", [1, 3, 500])
def test_many_rows_come_once_and_in_order_however_few_are_read_at_a_time(
    store_writer: Writer, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(export_module, "ROWS_A_READ", most)
    landed(store_writer, *[line(str(number), number // 7) for number in range(60)])

    assert messages(store_writer) == [str(number) for number in range(60)]


def test_what_lands_meanwhile_is_left_out(store_writer: Writer) -> None:
    landed(store_writer, line("a", 1), line("b", 2))
    parts = export_events(store_writer)
    first = next(parts)

    landed(store_writer, line("c", 3))

    assert (first + b"".join(parts)).count(b"\n") == 2


def test_long_rows_are_read_a_few_at_a_time(
    store_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed(store_writer, *[line("x" * 200_000, number) for number in range(20)])

    sizes = [len(part) for part in export_events(store_writer)]

    assert sum(sizes) > 4_000_000
    assert max(sizes) < 2 * export_module.BYTES_A_READ


def test_a_form_there_is_not_is_refused(store_writer: Writer) -> None:
    with pytest.raises(ExportRefused, match="no form 'xml'; allowed: flat, jsonl, csv"):
        export_events(store_writer, "xml")
