"""Rows are held against the lines they were made of."""

import sqlite3
from pathlib import Path

import pytest

from eventbus import EventBus, scope
from eventbus.events import ErrorRaised, FileWritten, LogLine, ToolStarted
from eventbus.store.comparing import Compared, compare_rows
from eventbus.store.sqlite import FILE_NAME
from eventbus.store.whereabouts import StoreAt
from tests.letters import LetterNested, LetterSent


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with EventBus(tmp_path, sinks=["sqlite"]) as bus, scope(user="ann", session="s-1"):
        for n in range(40):
            bus.emit_nowait(FileWritten(path=f"src/{n}.py", size_bytes=n))
            bus.emit_nowait(LogLine(event_type="a:b", source="c", message=f"n={n} ok"))
            bus.emit_nowait(ToolStarted(trace=f"t-{n}", name="shell", input={"n": n}))
            bus.emit_nowait(ErrorRaised(type="ValueError", message="no\nway"))
            bus.emit_nowait(LetterSent(n=n, text="ümlaut"))
            bus.emit_nowait(LetterNested(tree={"a": [n]}))
    return tmp_path


def compared(state: Path) -> Compared:
    return compare_rows(state, StoreAt(engine="sqlite", lane="sqlite", path=state / FILE_NAME))


def change(state: Path, statement: str) -> None:
    database = sqlite3.connect(state / FILE_NAME)
    with database:
        database.execute(statement)
    database.close()


def test_rows_as_they_landed_are_what_the_lines_make(state: Path) -> None:
    found = compared(state)

    assert (found.rows, found.altered, found.missing, found.added) == (240, [], 0, 0)
    assert found.where == str(state / FILE_NAME)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("message", "'n=3 not ok'"),
        ("kv_json", "'{}'"),
        ("user_id", "'bob'"),
        ("ts", "'2026-01-01T00:00:00.000Z'"),
        ("raw_line", "NULLIF('x', '')"),
    ],
)
def test_an_altered_row_is_named_with_its_column(state: Path, column: str, value: str) -> None:
    change(state, f"UPDATE events SET {column} = {value} WHERE id = 7")

    [row] = compared(state).altered

    assert row.columns == (column,)
    assert row.kind == "file:write"


def test_a_row_that_is_gone_is_missing(state: Path) -> None:
    change(state, "DELETE FROM events WHERE id = 7")

    found = compared(state)

    assert (found.missing, len(found.missing_ids), found.is_altered) == (1, 1, False)


def test_a_row_without_a_line_was_added(state: Path) -> None:
    change(
        state,
        "INSERT INTO events (ts, event_type, source, message, raw_line, event_id)"
        " SELECT ts, event_type, source, message, raw_line, 'mine' FROM events WHERE id = 7",
    )

    found = compared(state)

    assert (found.added, found.added_ids) == (1, ["mine"])


def test_a_store_that_cannot_be_read_is_told(state: Path) -> None:
    (state / FILE_NAME).write_bytes(b"x" * 4_096)

    assert compared(state).trouble
