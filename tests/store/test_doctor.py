"""The doctor finds what is missing, and says what to do."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus, read_journal
from eventbus.errors import StoreUnusable
from eventbus.events.bus import GapLeft
from eventbus.store.backup import back_up
from eventbus.store.doctor import Examined, examine
from eventbus.store.migrations import VERSION
from eventbus.store.rebuild import rebuild
from eventbus.store.search import fill_index
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from tests.store.test_backup import catch_up, damage, emit, state

__all__ = ["state"]

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def change(state: Path, *statements: str) -> None:
    """Do what no program of ours does."""
    with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as store:
        for statement in statements:
            store.execute(statement)


def advice(examined: Examined) -> str:
    return "; ".join(f"{each.what}: {each.advice}" for each in examined.findings)


def test_a_store_that_has_all_of_the_journal_is_well(state: Path) -> None:
    back_up(state)
    examined = examine(state)

    emitted = len(list(read_journal(state)))
    assert examined.findings == []
    assert examined.is_well
    assert (examined.rows, examined.version) == (emitted, VERSION)
    assert sum(writer.events for writer in examined.writers) == emitted
    assert (examined.bytes or 0) > 100_000
    assert len(examined.backups) == 1
    assert (examined.strangers.older, examined.strangers.others, examined.dead) == (0, 0, 0)


def test_a_row_that_is_missing_is_found_and_a_rebuild_brings_it_back(state: Path) -> None:
    with closing(sqlite3.connect(state / FILE_NAME)) as store:
        (id,) = store.execute("SELECT event_id FROM events WHERE id = 77").fetchone()
    change(state, "DELETE FROM events WHERE id = 77")

    examined = examine(state)
    rebuild(state)

    assert [writer.missing for writer in examined.writers] == [1]
    assert f"in the journal and not in the store (first {id}): run 'eventbus rebuild'" in advice(
        examined
    )
    assert examine(state).is_well


def test_records_that_are_odd_are_counted_as_they_landed(state: Path) -> None:
    """Two without an id, and one whose id no index takes."""
    segment = max((state / "journal").glob("*.jsonl"))
    long = msgspec.json.encode({"kind": "moon:rise", "id": "x" * 9_000, "ts": NOW})
    with segment.open("ab") as lines:
        lines.write(b'{"kind":"moon:rise"}\n{"kind":"moon:set"}\n' + long + b"\n")
    rebuild(state)

    examined = examine(state)

    assert examined.is_well, examined.findings
    assert examined.strangers.others == 0


def test_what_is_still_to_land_is_not_missing(state: Path) -> None:
    emit(state, 2)

    examined = examine(state)

    assert examined.is_well
    assert sum(writer.beyond for writer in examined.writers) >= 200
    assert any("are still to land" in note for note in examined.notes)


def test_a_dead_letter_is_not_missing(state: Path) -> None:
    event = next(iter(read_journal(state)))
    change(state, f"DELETE FROM events WHERE event_id = '{event.id}'")
    (state / "dead").mkdir()
    letter = msgspec.json.encode({"lane": "sqlite", "event": {"id": event.id}})
    (state / "dead" / "sqlite.jsonl").write_bytes(b"torn\n" + letter + b"\n")

    examined = examine(state)

    assert (examined.dead, [writer.missing for writer in examined.writers]) == (1, [0])
    assert "1 events were refused and are kept in dead/sqlite.jsonl" in examined.notes


def test_rows_from_before_the_oldest_segment_are_told_and_no_fault(state: Path) -> None:
    rows = examine(state).rows
    for segment in (state / "journal").glob("*.jsonl"):
        segment.unlink()

    examined = examine(state)

    assert examined.is_well
    assert examined.strangers.older == rows


def test_rows_that_no_segment_has_are_told(state: Path) -> None:
    change(state, "UPDATE events SET event_id = 'from-elsewhere', ts = '2099' WHERE id = 5")

    examined = examine(state)

    assert examined.strangers.others == 1
    assert any("first from-elsewhere" in note for note in examined.notes)


def test_a_journal_that_was_cut_is_told_apart_from_a_store_that_lacks_something(
    state: Path,
) -> None:
    (segment,) = (state / "journal").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-30]))

    examined = examine(state)

    assert "landed more of writer" in advice(examined)
    assert "run 'eventbus verify'" in advice(examined)


def test_a_gap_the_bus_told_of_is_told_again(state: Path) -> None:
    with EventBus(state, serve="never") as bus:
        bus.emit_own(GapLeft(reason="full", count=7))
        bus.emit_own(GapLeft(reason="full", count=9, lane="other"))

    examined = examine(state)

    assert [gap.count for gap in examined.gaps] == [7]
    assert "7 events could not be kept: full" in examined.notes


def ruin_pages(state: Path) -> None:
    damage(state / FILE_NAME)


def break_a_reference(state: Path) -> None:
    change(
        state,
        "PRAGMA foreign_keys = OFF",
        "CREATE TABLE child (session TEXT REFERENCES sessions (id))",
        "INSERT INTO child VALUES ('nobody')",
    )


def miscount_a_day(state: Path) -> None:
    change(state, "UPDATE usage_daily SET calls = calls + 1 WHERE rowid = 1")


def miscount_an_hour(state: Path) -> None:
    change(state, "DELETE FROM usage_hourly WHERE calls > 0")


def lose_words(state: Path) -> None:
    writer = SqliteWriter(state / FILE_NAME)
    fill_index(writer)
    writer.run(
        "INSERT INTO events_fts (events_fts, rowid, event_type, source, message)"
        " SELECT 'delete', id, event_type, source, message FROM events WHERE id = 9"
    )
    writer.close()


FAULTS: dict[Callable[[Path], None], str] = {
    ruin_pages: "its pages are damaged|cannot be read",
    break_a_reference: "1 rows of child refer to rows that are not there",
    miscount_a_day: "usage_daily does not add up for 1 of",
    miscount_an_hour: "usage_hourly does not add up for",
    lose_words: "the index of words holds",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.__name__)
def test_what_is_wrong_is_found(state: Path, fault: Callable[[Path], None]) -> None:
    fault(state)

    examined = examine(state)

    assert re.search(FAULTS[fault], advice(examined))
    assert "run 'eventbus rebuild'" in advice(examined)


@pytest.mark.parametrize(("version", "said"), [(99, "newer"), (0, "forward")])
def test_tables_of_another_version_are_told(state: Path, version: int, said: str) -> None:
    change(state, "DELETE FROM migrations", f"INSERT INTO migrations VALUES ({version}, 'x', 'y')")

    assert said in advice(examine(state))


def test_what_was_set_aside_and_the_age_of_backups_are_told(state: Path) -> None:
    assert any("no backup yet" in note for note in examine(state).notes)
    back_up(state, now=NOW)
    rebuild(state, now=NOW)

    examined = examine(state, now=NOW + timedelta(days=9))

    assert [path.name for path in examined.asides] == ["store.db.before-20261125T000000"]
    assert any("latest backup is 9 days old" in note for note in examined.notes)
    assert any("was set aside" in note for note in examined.notes)


def test_without_a_store_there_is_nothing_to_examine(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="no store at"):
        examine(tmp_path)


def test_it_may_be_examined_while_events_land(state: Path) -> None:
    with EventBus(state, sinks=["sqlite"]) as bus:
        for seed in range(5):
            emit(state, 10 + seed)
            assert examine(state).findings == []
        bus.flush_now(timeout=20)
    catch_up(state)

    assert examine(state).findings == []
