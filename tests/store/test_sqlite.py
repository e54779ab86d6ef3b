"""What SQLite does by itself when something goes wrong, and what is made of it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus.event import encode
from eventbus.sink import Batch, Home, Place, Refused, Unavailable
from eventbus.store.landing import land
from eventbus.store.opening import open_to_land
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from sinks import SqliteSink
from tests.store.mixture import mixture


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SqliteWriter]:
    writer = open_to_land(tmp_path / FILE_NAME).writer
    yield writer
    writer.close()


def batch(seed: int, number: int = 50) -> Batch:
    lines = [encode(event) for event in mixture(seed, number)]
    return Batch(lines=lines, cursor={"w": Place("s", seed)})


def test_an_error_that_ends_the_transaction_is_told_as_what_it_is(writer: SqliteWriter) -> None:
    """SQLite itself rolls back; that the savepoint is gone as well is not what went wrong."""
    writer._connection.set_progress_handler(lambda: 1, 300)

    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        land(writer, batch(1), lane="sqlite")

    writer._connection.set_progress_handler(None, 0)
    assert land(writer, batch(2), lane="sqlite") >= 50


def test_a_database_that_may_not_grow_takes_nothing_and_keeps_what_it_has(
    writer: SqliteWriter,
) -> None:
    landed = [land(writer, batch(1), lane="sqlite")]
    (pages,) = writer.row("PRAGMA page_count") or (0,)
    writer.run(f"PRAGMA max_page_count = {pages + 2}")

    def land_on() -> None:
        landed.extend(land(writer, batch(seed), lane="sqlite") for seed in range(2, 100))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        land_on()

    writer.run("PRAGMA max_page_count = 1000000")
    assert writer.row("SELECT count(*) FROM events") == (sum(landed),)
    assert land(writer, batch(101), lane="sqlite") > 0


def error_of(writer: SqliteWriter, statement: str) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as raised:
        writer.run(statement)
    return raised.value


def judge(writer: SqliteWriter, error: Exception) -> Exception:
    sink = SqliteSink()
    sink._home = Home(writer.path.parent)
    return sink.judge(writer, error)


def test_what_the_tables_do_not_take_is_refused(writer: SqliteWriter) -> None:
    error = error_of(writer, "INSERT INTO events (ts) VALUES (NULL)")

    assert isinstance(judge(writer, error), Refused)


def test_what_has_nothing_to_do_with_the_event_is_tried_again(writer: SqliteWriter) -> None:
    writer.run("PRAGMA query_only = 1")
    error = error_of(writer, "DELETE FROM events")

    assert isinstance(judge(writer, error), Unavailable)


def test_a_mistake_of_ours_is_told_as_it_is(writer: SqliteWriter) -> None:
    """A statement that cannot be is no reason to set a sound store aside."""
    error = error_of(writer, "INSERT INTO nowhere VALUES (1)")

    assert judge(writer, error) is error
    assert list(writer.path.parent.glob("*.corrupt*")) == []


def test_an_error_of_somebody_elses_is_left_alone(writer: SqliteWriter) -> None:
    error = OSError("no")

    assert judge(writer, error) is error
