"""Opening the store to land in it: what is strange is refused, what is damaged set aside."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus.errors import StoreUnusable
from eventbus.store.backup import BACKUPS, back_up
from eventbus.store.doctor import examine
from eventbus.store.opening import open_store, open_to_land
from eventbus.store.rebuild import rebuild
from eventbus.store.sqlite import FILE_NAME, SIDES, SqliteReader
from tests.store.mixture import contents
from tests.store.test_backup import damage, put_in_the_way, state

__all__ = ["state"]

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lose_the_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(b"\xff" * 100 + content[100:])


def write_words(path: Path) -> None:
    path.write_text("these are words\n" * 500)


RUINS: tuple[Callable[[Path], None], ...] = (cut_in_half, lose_the_header, write_words)


@pytest.mark.parametrize("ruin", RUINS, ids=lambda ruin: ruin.__name__)
def test_a_damaged_file_is_set_aside_as_it_is_and_one_made_anew(
    state: Path, ruin: Callable[[Path], None]
) -> None:
    path = state / FILE_NAME
    ruin(path)
    damaged = path.read_bytes()

    opened = open_to_land(path, now=NOW)
    opened.writer.close()

    assert opened.aside == state / "store.db.corrupt-20261125T000000"
    assert opened.aside.read_bytes() == damaged
    assert opened.damage
    assert contents(path)["events"] == []


def test_every_page_is_looked_at_after_a_crash(state: Path) -> None:
    path = state / FILE_NAME
    opened = open_to_land(path)
    opened.writer.sync()
    for side in SIDES[:3]:  # what a killed process leaves
        shutil.copy(f"{path}{side}", f"{path}{side}.copy")
    opened.writer.close()
    for side in SIDES[:3]:
        os.replace(f"{path}{side}.copy", f"{path}{side}")
    damage(path)

    opened = open_to_land(path, now=NOW)
    opened.writer.close()

    assert opened.aside is not None


def test_a_few_words_in_the_stores_place_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("mine")

    opened = open_to_land(tmp_path / FILE_NAME)
    opened.writer.close()

    assert opened.aside is not None
    assert opened.aside.read_text() == "mine"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_store_that_is_empty_or_gone_begins_with_the_latest_backup(
    state: Path, is_there: bool
) -> None:
    path = state / FILE_NAME
    before = contents(path)
    backup = back_up(state, now=NOW).path
    path.unlink()
    if is_there:
        path.touch()

    opened = open_to_land(path, backups=state / BACKUPS)
    opened.writer.close()

    assert str(opened.backup) == backup
    assert contents(path) == before


def test_a_store_that_is_gone_begins_with_the_latest_good_backup(state: Path) -> None:
    path = state / FILE_NAME
    before = contents(path)
    good = back_up(state, now=NOW).path
    damage(Path(back_up(state, now=NOW + timedelta(days=1)).path or ""))
    path.unlink()

    opened = open_to_land(path, backups=state / BACKUPS)
    opened.writer.close()

    assert str(opened.backup) == good
    assert contents(path) == before


def test_the_log_of_a_store_that_is_gone_does_not_get_into_its_backup(state: Path) -> None:
    path = state / FILE_NAME
    back_up(state)
    before = contents(path)
    path.unlink()
    path.with_name("store.db-wal").write_bytes(os.urandom(50_000))

    opened = open_to_land(path, backups=state / BACKUPS)
    opened.writer.close()

    assert contents(path) == before
    assert len(list(state.glob("store.db.before-*-wal"))) == 1


def test_the_log_of_a_store_that_is_gone_does_not_get_into_a_new_one(state: Path) -> None:
    path = state / FILE_NAME
    opened = open_to_land(path)
    opened.writer.sync()
    log = path.with_name("store.db-wal").read_bytes()
    opened.writer.close()
    path.unlink()
    path.with_name("store.db-wal").write_bytes(log)

    opened = open_to_land(path)
    opened.writer.close()

    assert contents(path)["events"] == []
    (aside,) = state.glob("store.db.before-*-wal")
    assert aside.read_bytes() == log


def test_damage_that_comes_again_and_again_asks_for_somebody_to_look(state: Path) -> None:
    path = state / FILE_NAME
    for minute in range(3):
        write_words(path)
        open_to_land(path, now=NOW + timedelta(minutes=minute)).writer.close()
    write_words(path)

    with pytest.raises(StoreUnusable, match="damaged, and was 3 times within the hour"):
        open_to_land(path, now=NOW + timedelta(minutes=5))

    open_to_land(path, now=NOW + timedelta(hours=2)).writer.close()
    assert len(list(state.glob("store.db.corrupt-*"))) == 4


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()

    with pytest.raises(StoreUnusable, match=r"of something else \(tables recipes\)"):
        open_to_land(path)

    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [FILE_NAME]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("what", "said"),
    [("link", "a symbolic link"), ("pipe", "a pipe"), ("directory", "a directory")],
)
def test_what_is_no_file_is_refused_and_not_followed(
    tmp_path: Path, side: str, what: str, said: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"somebody else's")
    (tmp_path / "state").mkdir()
    put_in_the_way(tmp_path / "state" / f"{FILE_NAME}{side}", what, elsewhere)

    state = tmp_path / "state"
    calls: tuple[Callable[[], object], ...] = (
        lambda: open_to_land(state / FILE_NAME),
        lambda: open_store(state).__enter__(),
        lambda: back_up(state),
        lambda: rebuild(state),
        lambda: examine(state),
    )
    for call in calls:
        with pytest.raises(StoreUnusable, match=f"it is {said}; move it away"):
            call()

    assert elsewhere.read_bytes() == b"somebody else's"


def test_a_question_to_a_damaged_store_says_what_to_do(state: Path) -> None:
    damage(state / FILE_NAME)

    with (
        pytest.raises(StoreUnusable, match=r"'eventbus rebuild' makes it anew"),
        open_store(state) as store,
    ):
        store.rows("SELECT * FROM events")


def test_a_question_that_takes_too_long_is_ended(state: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    with (
        pytest.raises(StoreUnusable, match=r"took longer than 0.05 s"),
        open_store(state, deadline_s=0.05) as store,
    ):
        store.rows(endless)


def test_a_reader_leaves_the_log_of_a_killed_writer_to_the_next_one(state: Path) -> None:
    """Only one connection ever puts the log into the file."""
    path = state / FILE_NAME
    opened = open_to_land(path)
    opened.writer.sync()
    shutil.copytree(state, state.with_name("killed"))
    log = (state.with_name("killed") / "store.db-wal").stat().st_size
    opened.writer.close()

    reader = SqliteReader(state.with_name("killed") / FILE_NAME)
    assert reader.row("SELECT count(*) FROM events") != (0,)
    reader.close()

    assert log > 0
    assert (state.with_name("killed") / "store.db-wal").stat().st_size == log
