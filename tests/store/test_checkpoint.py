"""The write-ahead log stays short, and a reader that keeps it long is told of."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus import EventBus, read_journal
from eventbus.events.error import IoFailed
from eventbus.store.checkpoint import LogKeeper
from eventbus.store.sqlite import FILE_NAME, SqliteWriter

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KIB = 1024
READS = """
import sqlite3, sys
store = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
store.execute("BEGIN")
store.execute("SELECT count(*) FROM t").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SqliteWriter]:
    writer = SqliteWriter(tmp_path / FILE_NAME)
    writer.run("CREATE TABLE t (x BLOB)")
    yield writer
    writer.close()


def write(writer: SqliteWriter, kib: int) -> None:
    for _ in range(kib // 100):
        with writer.transaction():
            writer.run("INSERT INTO t VALUES (randomblob(100000))")


@contextmanager
def reading_elsewhere(path: Path) -> Iterator[None]:
    """Another process with a question that does not end."""
    process = subprocess.Popen(
        [sys.executable, "-c", READS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reading\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


def test_a_log_that_has_grown_is_cut(writer: SqliteWriter) -> None:
    keeper = LogKeeper(kept_bytes=100 * KIB)
    write(writer, 1_000)

    assert writer.log_bytes() > 100 * KIB
    assert keeper.tend(writer, NOW) is None
    assert writer.log_bytes() == 0


def test_a_short_log_is_left_alone(writer: SqliteWriter) -> None:
    write(writer, 1_000)
    before = writer.log_bytes()

    assert LogKeeper().tend(writer, NOW) is None
    assert writer.log_bytes() == before > 0


def test_a_reader_that_keeps_the_log_long_is_told_once_with_size_and_time(
    writer: SqliteWriter,
) -> None:
    keeper = LogKeeper(kept_bytes=100 * KIB, held_bytes=2_000 * KIB)
    told = []

    with reading_elsewhere(writer.path):
        for second in range(6):
            write(writer, 1_000)
            told.append(keeper.tend(writer, NOW + timedelta(seconds=second)))
        assert writer.log_bytes() > 5_000 * KIB

    (held,) = [each for each in told if each is not None]
    assert held.since == NOW
    assert 2_000 * KIB < held.bytes < 4_000 * KIB
    assert keeper.tend(writer, NOW + timedelta(seconds=7)) is None
    assert writer.log_bytes() == 0


def test_it_is_told_again_when_another_one_does(writer: SqliteWriter) -> None:
    keeper = LogKeeper(kept_bytes=100 * KIB, held_bytes=500 * KIB)
    told = 0

    for hour in range(2):
        with reading_elsewhere(writer.path):
            write(writer, 1_000)
            told += keeper.tend(writer, NOW + timedelta(hours=hour)) is not None
        keeper.tend(writer, NOW + timedelta(hours=hour, minutes=1))

    assert told == 2


def test_readers_that_take_turns_without_a_break_do_not_keep_it_long(
    writer: SqliteWriter,
) -> None:
    """There is always one in it; none of them for long."""
    keeper = LogKeeper(kept_bytes=100 * KIB)
    over = threading.Event()
    longest = [0.0]

    def read_on() -> None:
        with closing(sqlite3.connect(f"file:{writer.path}?mode=ro", uri=True)) as store:
            store.isolation_level = None
            while not over.is_set():
                begun = time.monotonic()
                store.execute("BEGIN")
                store.execute("SELECT count(*) FROM t").fetchone()
                longest[0] = max(longest[0], time.monotonic() - begun)
                over.wait(0.03)
                store.execute("ROLLBACK")

    readers = [threading.Thread(target=read_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    cut = 0
    for _ in range(12):
        write(writer, 400)
        keeper.tend(writer, NOW)
        cut += writer.log_bytes() == 0
    over.set()
    for reader in readers:
        reader.join()

    assert cut >= 6
    assert longest[0] < 1  # and none of them was ever kept waiting


async def test_a_bus_tells_of_it_as_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.sqlite.LogKeeper", lambda: LogKeeper(kept_bytes=1, held_bytes=1))
    async with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        await bus.emit(IoFailed(type="OSError", message="something to land"))
        await bus.flush(timeout=10)
        with closing(sqlite3.connect(f"file:{tmp_path / FILE_NAME}?mode=ro", uri=True)) as reader:
            reader.isolation_level = None
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchone()
            await bus.emit(IoFailed(type="OSError", message="something more"))
            until = time.monotonic() + 10
            while not (told := of_the_store(tmp_path)) and time.monotonic() < until:
                time.sleep(0.05)
            reader.execute("ROLLBACK")

    assert told[0].type == "LogHeld"
    assert "store.db-wal has grown to" in told[0].message


def of_the_store(state: Path) -> list[IoFailed]:
    events = read_journal(state, kinds=IoFailed)
    return [event for event in events if isinstance(event, IoFailed) and event.component == "store"]
