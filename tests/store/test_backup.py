"""A backup is whole, made while others write, and a store goes on from it."""

import os
import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus import EventBus
from eventbus.errors import StoreUnusable
from eventbus.event import encode
from eventbus.sink import Batch, Place
from eventbus.store.backup import BACKUPS, back_up, faults_of, list_backups, restore
from eventbus.store.cursors import read_cursor
from eventbus.store.landing import land
from eventbus.store.opening import open_to_land, open_writer
from eventbus.store.rebuild import land_journal
from eventbus.store.sqlite import FILE_NAME, SqliteReader
from tests.store.mixture import contents, mixture

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a journal and a store of the same 200 events."""
    emit(tmp_path, 1)
    catch_up(tmp_path)
    return tmp_path


def emit(state: Path, seed: int, number: int = 200) -> None:
    with EventBus(state, serve="never") as bus:
        for event in mixture(seed, number):
            bus.emit_nowait(event)


def catch_up(state: Path) -> None:
    """Land what the journal has by now, as the lane does."""
    writer = open_to_land(state / FILE_NAME, backups=state / BACKUPS).writer
    land_journal(writer, state)
    writer.close()


def damage(path: Path, seed: int = 0) -> None:
    """Put noise over pages in the middle."""
    content = bytearray(path.read_bytes())
    for start in range(4_096, len(content), 8_192):
        content[start : start + 3_000] = random.Random(seed).randbytes(3_000)
    path.write_bytes(content)


def test_a_backup_is_the_store_as_it_is(state: Path) -> None:
    told = back_up(state, now=NOON)

    (backup,) = list_backups(state / BACKUPS)
    assert backup.path == state / "backups" / "store-20261125T120000.db"
    assert contents(backup.path) == contents(state / FILE_NAME)
    assert (told.engine, told.status, told.integrity, told.error) == (
        "sqlite",
        "success",
        "ok",
        None,
    )
    assert (told.path, told.bytes) == (str(backup.path), backup.path.stat().st_size)
    assert backup.path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (state / BACKUPS).iterdir()) == [backup.path.name]


def test_a_backup_made_under_load_is_the_store_at_its_cursor(tmp_path: Path) -> None:
    """Its cursor and its rows are of one moment, while the writer is never held up."""
    writer = open_writer(tmp_path / FILE_NAME)
    batches = [
        Batch(lines=[encode(event) for event in mixture(n, 50)], cursor={"w": Place("s", n)})
        for n in range(1, 200)
    ]
    landed = threading.Event()

    def go_on() -> None:
        for batch in batches[60:]:
            land(writer, batch, lane="sqlite")
            landed.set()

    for batch in batches[:60]:
        land(writer, batch, lane="sqlite")
    thread = threading.Thread(target=go_on)
    thread.start()
    landed.wait(20)
    told = back_up(tmp_path)
    thread.join()
    writer.close()

    assert told.status == "success"
    backup = SqliteReader(Path(told.path or ""))
    upto = read_cursor(backup, "sqlite")["w"].offset
    (ids,) = zip(*backup.rows("SELECT event_id FROM events"), strict=True)
    backup.close()
    landed_by_then = [event.id for batch in batches[:upto] for event in batch.events]
    assert 60 <= upto <= 199
    assert sorted(ids) == sorted(landed_by_then)


def test_only_so_many_are_kept_and_what_is_not_ours_stays(state: Path) -> None:
    (state / BACKUPS).mkdir()
    (state / BACKUPS / "store-mine.db").touch()
    for day in range(5):
        back_up(state, keep=3, now=NOON + timedelta(days=day))

    names = sorted(path.name for path in (state / BACKUPS).iterdir())
    assert names == [*(f"store-202611{day}T120000.db" for day in (27, 28, 29)), "store-mine.db"]


def test_stores_of_other_names_have_backups_of_their_own(state: Path) -> None:
    other = state / "other.db"
    open_to_land(other).writer.close()
    for path in (state / FILE_NAME, other, other):
        back_up(state, path=path, keep=1, now=NOON)
    other.unlink()

    opened = open_to_land(other, backups=state / BACKUPS)
    opened.writer.close()

    assert [backup.path.name for backup in list_backups(state / BACKUPS)] == [
        "store-20261125T120000.db"
    ]
    assert opened.backup == state / BACKUPS / "other-20261125T120000.db"
    assert contents(other)["events"] == []


def test_a_damaged_store_is_not_backed_up_and_the_good_backups_stay(state: Path) -> None:
    back_up(state, keep=1, now=NOON)
    damage(state / FILE_NAME)

    told = back_up(state, keep=1, now=NOON + timedelta(days=1))

    assert told.status == "error"
    assert told.error is not None
    (backup,) = list_backups(state / BACKUPS)
    assert (backup.at, faults_of(backup.path)) == (NOON, [])


def test_without_a_store_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="nothing to back up"):
        back_up(tmp_path)


def test_a_disk_that_refuses_is_told_and_leaves_nothing_behind(state: Path) -> None:
    (state / BACKUPS).write_text("a file in the way")

    told = back_up(state)

    assert told.status == "error"
    assert "exists" in (told.error or "").lower()


def test_progress_is_told_in_pages(state: Path) -> None:
    told: list[tuple[int, int]] = []

    back_up(state, progress=lambda done, pages: told.append((done, pages)))

    assert told[-1][0] == told[-1][1] > 10


# --- putting back -----------------------------------------------------------------------


def test_restoring_and_going_on_is_as_if_nothing_had_been(state: Path) -> None:
    back_up(state)
    emit(state, 2)
    catch_up(state)
    before = contents(state / FILE_NAME)
    damage(state / FILE_NAME)

    restored = restore(state)
    catch_up(state)

    assert contents(state / FILE_NAME) == before
    assert restored.path == state / FILE_NAME
    assert restored.aside is not None
    assert restored.aside.name.startswith("store.db.before-")


def test_a_damaged_backup_is_passed_over_for_the_one_before(state: Path) -> None:
    good = back_up(state, now=NOON).path
    emit(state, 2)
    catch_up(state)
    damage(Path(back_up(state, now=NOON + timedelta(days=1)).path or ""))

    restored = restore(state)

    assert str(restored.backup) == good


def test_a_damaged_backup_that_was_asked_for_changes_nothing(state: Path) -> None:
    backup = Path(back_up(state).path or "")
    damage(backup)
    before = contents(state / FILE_NAME)

    with pytest.raises(
        StoreUnusable, match=r"cannot restore .*store-.*: .*(Page \d|malformed).*; choose another"
    ):
        restore(state, backup)

    assert contents(state / FILE_NAME) == before
    assert list(state.glob("store.db.*")) == []


def test_without_a_backup_that_is_good_nothing_is_restored(state: Path) -> None:
    damage(Path(back_up(state).path or ""))

    with pytest.raises(StoreUnusable, match="no good backup"):
        restore(state)


def test_nothing_is_restored_while_somebody_lands(state: Path) -> None:
    back_up(state)

    with served(state), pytest.raises(StoreUnusable, match="while another process lands"):
        restore(state)


@contextmanager
def served(state: Path) -> Iterator[None]:
    with EventBus(state, sinks=["sqlite"]) as bus:
        bus.flush_now(timeout=10)
        yield


@pytest.mark.parametrize("what", ["link", "pipe", "directory"])
def test_what_is_no_file_is_no_backup(state: Path, what: str) -> None:
    elsewhere = state / "elsewhere.db"
    Path(back_up(state).path or "").rename(elsewhere)
    put_in_the_way(state / BACKUPS / "store-20261125T120000.db", what, elsewhere)

    with pytest.raises(StoreUnusable, match="no good backup"):
        restore(state)


def put_in_the_way(path: Path, what: str, target: Path) -> None:
    if what == "link":
        path.symlink_to(target)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


def test_a_backup_can_be_read_by_any_tool(state: Path) -> None:
    told = back_up(state)

    with closing(sqlite3.connect(f"file:{told.path}?mode=ro", uri=True)) as backup:
        assert backup.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [path.name for path in (state / BACKUPS).iterdir()] == [Path(told.path or "").name]
