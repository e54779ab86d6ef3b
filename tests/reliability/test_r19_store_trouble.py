"""R19: a SQLite store that is busy, corrupt, full or read-only leaves the bus unaffected, and
is rebuilt from the journal, row for row.
"""

import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from eventbus import EventBus, NamedSink
from eventbus.bus import Statistics
from eventbus.store.backup import back_up
from eventbus.store.rebuild import rebuild
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.landed import differences_from_the_journal
from tests.reliability.smallfiles import small_file_system, why_no_small_file_system
from tests.store.mixture import contents, mixture

DAMAGES = runs(ci=24, long=600)
EVENTS = 400
PATIENCE = 30.0
LOCKS = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def emit(bus: EventBus, seed: int, number: int = EVENTS) -> float:
    """Microseconds an event."""
    events = list(mixture(seed, number))
    begun = time.perf_counter()
    for event in events:
        bus.emit_nowait(event)
    return (time.perf_counter() - begun) / len(events) * 1e6


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not (is_so := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so


# --- busy, full, read-only ------------------------------------------------------------------


class Connections:
    """The writing connections made since."""

    def __init__(self) -> None:
        self.made: list[SqliteWriter] = []

    def run(self, statement: str) -> None:
        for writer in self.made:
            writer.run(statement)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    kept = Connections()
    prepare = SqliteWriter._prepare

    def note(writer: SqliteWriter) -> None:
        prepare(writer)
        kept.made.append(writer)

    monkeypatch.setattr(SqliteWriter, "_prepare", note)
    return kept


@contextmanager
def busy(state: Path, _connections: Connections) -> Iterator[None]:
    """Another program holds the write lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKS, str(state / FILE_NAME)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield
        process.kill()


@contextmanager
def full(_state: Path, connections: Connections) -> Iterator[None]:
    """The database may not grow by another page."""
    connections.run("PRAGMA max_page_count = 1")
    yield
    connections.run("PRAGMA max_page_count = 1000000")


@contextmanager
def read_only(_state: Path, connections: Connections) -> Iterator[None]:
    connections.run("PRAGMA query_only = 1")
    yield
    connections.run("PRAGMA query_only = 0")


Trouble = Callable[[Path, Connections], AbstractContextManager[None]]
TROUBLES: dict[Trouble, str] = {
    busy: "Unavailable: .*locked",
    full: "Unavailable: .*full",
    read_only: "Unavailable: .*readonly",
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: each.__name__)
def test_while_the_store_will_not_the_bus_and_the_other_lanes_go_on(
    tmp_path: Path, connections: Connections, trouble: Trouble, record_property: Tell
) -> None:
    """R19: a store that will not take anything delays its own lane, and loses nothing."""
    with EventBus(tmp_path, sinks=["sqlite", "jsonl"]) as bus:
        calm_us = min(emit(bus, seed) for seed in (-3, -2, -1))
        assert bus.flush_now(timeout=PATIENCE).reached
        with trouble(tmp_path, connections):
            troubled_us = min(emit(bus, seed) for seed in range(1, 4))
            assert until(lambda: bus.statistics().lanes["jsonl"].lag == 0)
            assert until(lambda: bus.statistics().lanes["sqlite"].retries > 3)
            during = bus.statistics()
        assert bus.flush_now(timeout=PATIENCE).reached
        after = bus.statistics()

    assert during.lanes["sqlite"].lag >= 3 * EVENTS
    assert said_so(during, TROUBLES[trouble])
    assert after.lanes["sqlite"].dead == after.dropped.get("full", 0) == 0
    assert differences_from_the_journal(tmp_path) == []
    assert troubled_us < 10 * calm_us + 50  # a machine that is busy itself may stutter
    figure = f"{trouble.__name__}: emit {troubled_us:.1f} µs, {calm_us:.1f} without; 0 lost"
    record_property("figure", figure)


def said_so(statistics: Statistics, pattern: str) -> bool:
    said = statistics.lanes["sqlite"].last_error or ""
    return re.search(pattern, said) is not None


@pytest.mark.skipif(why_no_small_file_system() is not None, reason=why_no_small_file_system() or "")
def test_the_same_holds_on_a_real_file_system_that_is_full(
    tmp_path: Path, record_property: Tell
) -> None:
    with small_file_system(tmp_path / "small", "4m"):
        store = {"path": str(tmp_path / "small" / FILE_NAME)}
        filler = tmp_path / "small" / "filler"
        with EventBus(
            tmp_path / "state", sinks=[NamedSink(use="sqlite", settings=store), "jsonl"]
        ) as bus:
            assert bus.flush_now(timeout=PATIENCE).reached
            fill(filler)
            emit(bus, 1)
            assert until(lambda: bus.statistics().lanes["jsonl"].lag == 0)
            assert until(lambda: bus.statistics().lanes["sqlite"].retries > 1)
            lag = bus.statistics().lanes["sqlite"].lag
            filler.unlink()
            assert bus.flush_now(timeout=PATIENCE).reached
            assert bus.statistics().lanes["sqlite"].dead == 0
        found = contents(tmp_path / "small" / FILE_NAME)

    rebuild(tmp_path / "state")
    assert found == contents(tmp_path / "state" / FILE_NAME)
    record_property("figure", f"{lag} events waited for room: 0 lost")


@pytest.mark.skipif(why_no_small_file_system() is not None, reason=why_no_small_file_system() or "")
def test_a_store_on_a_file_system_that_is_read_only_opens_once_it_is_not(tmp_path: Path) -> None:
    small = tmp_path / "small"
    with small_file_system(small, "4m"):
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        sink = NamedSink(use="sqlite", settings={"path": str(small / FILE_NAME)})
        with EventBus(tmp_path / "state", sinks=[sink, "jsonl"]) as bus:
            emit(bus, 1)
            assert until(lambda: bus.statistics().lanes["jsonl"].lag == 0)
            subprocess.run(["mount", "-o", "remount,rw", small], check=True)
            assert bus.flush_now(timeout=PATIENCE).reached
        found = contents(small / FILE_NAME)

    rebuild(tmp_path / "state")
    assert found == contents(tmp_path / "state" / FILE_NAME)


def fill(filler: Path) -> None:
    """Leave no byte."""
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


# --- corrupt --------------------------------------------------------------------------------


def noise(path: Path, rng: random.Random) -> None:
    """Random bytes over random stretches."""
    with path.open("r+b") as file:
        for _ in range(rng.randrange(1, 40)):
            file.seek(rng.randrange(path.stat().st_size))
            file.write(rng.randbytes(rng.randrange(1, 9_000)))


def header(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.write(rng.randbytes(100))


def cut(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(1, path.stat().st_size))


def words(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"no database at all\n" * rng.randrange(1, 9_000))


def gone(path: Path, rng: random.Random) -> None:
    path.unlink()


DAMAGE = (noise, header, cut, words, gone)


@pytest.fixture(autouse=True)
def a_lane_that_begins_anew_does_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventbus.lanes.RECOVERY_PAUSE", 0.02)


@pytest.mark.timeout(timeout_for(DAMAGES, each=1.0))
def test_a_store_that_was_damaged_while_nobody_looked_is_the_journals_again(
    tmp_path: Path, record_property: Tell
) -> None:
    """R19: whatever was done to the file, it is set aside and the store is whole again."""
    rng = random.Random(19)
    set_aside = 0

    for run in range(DAMAGES):
        state = tmp_path / str(run)
        with EventBus(state, sinks=["sqlite"]) as bus:
            emit(bus, run)
        if rng.random() < 0.5:
            back_up(state)
        rng.choice(DAMAGE)(state / FILE_NAME, rng)
        damaged = (state / FILE_NAME).read_bytes() if (state / FILE_NAME).exists() else None
        with EventBus(state, sinks=["sqlite"]) as bus:
            emit(bus, 1_000 + run)
            assert until(lambda: bus.flush_now(timeout=PATIENCE).reached)
            assert bus.statistics().lanes["sqlite"].dead == 0
        asides = [path for path in state.glob("store.db.corrupt-*") if path.suffix != "-wal"]
        set_aside += bool(asides)
        assert damaged is None or asides or is_unharmed(state)
        if asides or damaged is None:
            assert differences_from_the_journal(state) == []

    record_property(
        "figure",
        f"{DAMAGES} damaged files, {set_aside} set aside and made anew: 0 rows differ;"
        f" {DAMAGES - set_aside} gone, harmless, or found by the next backup",
    )


def is_unharmed(state: Path) -> bool:
    """True when the damage is one that landing does not come across; a backup's check does."""
    return back_up(state).status == "error" or differences_from_the_journal(state) == []


@pytest.mark.timeout(timeout_for(DAMAGES, each=2.0))
def test_a_store_that_is_damaged_while_it_is_written_is_the_journals_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Tell
) -> None:
    """With next to nothing in memory, so that the damage is come across at once."""
    monkeypatch.setattr("eventbus.store.sqlite.CACHE_KIB", 8)
    rng = random.Random(20)
    count = max(4, DAMAGES // 4)
    set_aside = 0

    for run in range(count):
        state = tmp_path / str(run)
        with EventBus(state, sinks=["sqlite", "jsonl"]) as bus:
            emit(bus, run)
            assert until(lambda: bus.flush_now(timeout=PATIENCE).reached)
            with closing(sqlite3.connect(state / FILE_NAME)) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            rng.choice((ruin_all, cut, words, gone))(state / FILE_NAME, rng)
            for part in range(60):
                emit(bus, 1_000 * (run + 1) + part, 20)
                bus.flush_now(timeout=0.1)
                if list(state.glob("store.db.corrupt-*")):
                    break
            assert until(lambda: bus.statistics().lanes["jsonl"].lag == 0)
            assert until((state / FILE_NAME).exists)  # that it is gone is seen within a second
            assert until(lambda: bus.flush_now(timeout=PATIENCE).reached)
        set_aside += bool(list(state.glob("store.db.corrupt-*")))
        assert differences_from_the_journal(state) == []

    record_property(
        "figure", f"{count} damaged while written, {set_aside} set aside: 0 rows differ"
    )


def ruin_all(path: Path, rng: random.Random) -> None:
    """Noise over every page."""
    with path.open("r+b") as file:
        file.write(rng.randbytes(path.stat().st_size))
