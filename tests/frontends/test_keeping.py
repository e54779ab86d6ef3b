"""`eventbus backup`, `restore`, `rebuild` and `doctor` keep the store, and never take it away."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import time_machine

from eventbus.bus import EventBus
from eventbus.disk import SYSTEM_DISK
from eventbus.events import LogLine
from eventbus.frontends.cli import exits
from eventbus.replay import read_journal
from eventbus.store.serving import lane_held
from tests.frontends.console import Here
from tests.frontends.day import at


@pytest.fixture
def kept(here: Here, day: Path) -> Here:
    """The day in a place where one may write."""
    shutil.copytree(day, here.state)
    return here


def rows(here: Here) -> int:
    with closing(sqlite3.connect(here.state / "store.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def test_a_backup_is_made_and_told_of(kept: Here) -> None:
    told = kept("backup")
    [made] = (kept.state / "backups").iterdir()

    assert told.code == exits.OK
    assert told.out.startswith(f"made {made}: ")
    assert told.out.endswith(", integrity ok\n")
    assert [event.kind for event in read_journal(kept.state)][-1] == "backup:finish"


def test_a_backup_as_json_is_the_event_it_is_told_by(kept: Here) -> None:
    told = kept("backup", "--keep", "1", "--json").json

    assert (told["kind"], told["engine"], told["status"]) == ("backup:finish", "sqlite", "success")


def test_as_many_backups_are_kept_as_asked(kept: Here) -> None:
    with time_machine.travel(at(3600)):
        kept("backup", "--keep", "2")
    with time_machine.travel(at(7200)):
        kept("backup", "--keep", "1")

    [left] = kept("restore", "--list", "--json").json
    assert left["at"] == "2026-11-20T14:00:00Z"


def test_the_store_is_kept_where_its_sink_has_it(kept: Here) -> None:
    (kept.state / "store.db").rename(kept.state / "other.db")
    (kept.directory / "eventbus.toml").write_text('[sinks.sqlite]\npath = "other.db"\n')

    for args in (("backup",), ("restore", "--yes"), ("rebuild", "--yes"), ("doctor",), ("usage",)):
        assert kept(*args).code == exits.OK
    assert not (kept.state / "store.db").exists()


def test_backups_are_listed_latest_first(kept: Here) -> None:
    assert kept("restore", "--list").out == "no backups; 'eventbus backup' makes one\n"
    kept("backup")
    [made] = (kept.state / "backups").iterdir()

    assert kept("restore", "--list").lines[1].startswith(f"{made.name}  ")
    assert kept("restore", "--list", "--json").json[0]["path"] == str(made)


def test_a_backup_takes_the_stores_place_and_what_was_there_is_kept(kept: Here) -> None:
    kept("backup")
    [made] = (kept.state / "backups").iterdir()
    told = kept("restore", made.name, "--yes", "--json").json

    assert told["backup"] == str(made)
    assert Path(told["aside"]).is_file()
    assert kept("doctor").code == exits.OK


def test_a_store_is_made_anew_from_the_journal(kept: Here) -> None:
    before = rows(kept)
    with closing(sqlite3.connect(kept.state / "store.db")) as connection:
        connection.execute("DELETE FROM events WHERE event_type = 'tool:start'")
        connection.commit()

    told = kept("rebuild", "--yes")

    assert told.code == exits.OK
    assert told.lines[1] == f"  {before} events: {before} out of the journal"
    assert "delete it once you do not need it" in told.lines[2]
    assert rows(kept) == before


def test_a_rebuild_begins_with_a_backup_unless_it_may_not(kept: Here) -> None:
    kept("backup")

    assert kept("rebuild", "--yes", "--json").json["backup"] is not None
    assert kept("rebuild", "--from-journal", "--yes", "--json").json["backup"] is None


@pytest.mark.parametrize("command", ["rebuild", "restore"])
def test_nothing_is_replaced_unless_somebody_is_sure(kept: Here, command: str) -> None:
    there = (kept.state / "store.db").read_bytes()

    told = kept(command)

    assert told.code == exits.WRONG_USE
    assert "say --yes" in told.err
    assert (kept.state / "store.db").read_bytes() == there


def test_a_store_that_is_gone_is_rebuilt_without_asking(kept: Here) -> None:
    before = rows(kept)
    (kept.state / "store.db").unlink()

    assert kept("rebuild").code == exits.OK
    assert rows(kept) == before


@pytest.mark.parametrize("command", ["rebuild", "restore"])
def test_a_store_that_is_served_is_left_alone(kept: Here, command: str) -> None:
    with lane_held(kept.state, "sqlite", wish="test", disk=SYSTEM_DISK):
        told = kept(command, "--yes")

    assert told.code == exits.STATE_UNUSABLE
    assert "lands events in the store" in told.err


def test_a_backup_that_is_not_there_is_said_to_be(kept: Here) -> None:
    told = kept("restore", "none.db", "--yes")

    assert told.code == exits.STATE_UNUSABLE
    assert told.err.startswith("eventbus: cannot restore ")
    assert rows(kept) > 0


def test_the_doctor_says_what_is_fine(kept: Here) -> None:
    told = kept("doctor")

    assert told.code == exits.OK
    assert told.lines[0].startswith("fine   sqlite: tables of version ")
    assert told.lines[1] == "fine   all that the journal has of 1 writer is there"
    assert "note   there is no backup yet; 'eventbus backup' makes one" in told.lines
    assert told.lines[-1] == f"{kept.state / 'store.db'}: all is well"


def test_the_doctor_says_what_is_wrong_and_what_to_do(kept: Here) -> None:
    with closing(sqlite3.connect(kept.state / "store.db")) as connection:
        connection.execute("DELETE FROM events WHERE event_type = 'tool:start'")
        connection.commit()

    told = kept("doctor")

    assert told.code == exits.FINDING
    assert any(line.startswith("wrong  ") and "not in the store" in line for line in told.lines)
    assert "       what to do: run 'eventbus rebuild'" in told.lines
    assert "finding" in told.lines[-1]
    assert kept("doctor", "--json").json[0]["findings"]


def test_the_doctor_looks_at_each_store_or_at_one(kept: Here) -> None:
    other = kept.directory / "other.db"
    (kept.directory / "eventbus.toml").write_text(
        f'[sinks.second]\nuse = "sqlite"\npath = "{other}"\n'
    )
    shutil.copy(kept.state / "store.db", other)

    assert len(kept("doctor", "--json").json) == 2
    assert len(kept("doctor", "--lane", "sqlite", "--json").json) == 1
    assert kept("backup").err.startswith("eventbus: several stores: name one by --lane: sqlite,")
    assert kept("doctor", "--lane", "none").code == exits.WRONG_USE


@pytest.mark.parametrize("command", ["backup", "doctor"])
def test_where_there_is_no_store_it_is_said(here: Here, command: str) -> None:
    nowhere = here(command)
    with EventBus(here.state, serve="never") as bus:
        bus.emit_nowait(LogLine(event_type="a:b"))
    no_store = here(command)

    assert nowhere.code == exits.WRONG_USE
    assert no_store.code == exits.STATE_UNUSABLE
    assert no_store.err.startswith("eventbus: no store at ")


@pytest.mark.parametrize("command", ["rebuild", "restore"])
def test_a_shared_store_is_not_a_file_to_replace(kept: Here, command: str) -> None:
    (kept.directory / "eventbus.toml").write_text('store = "postgresql://ann:secret@db/agents"\n')

    told = kept(command, "--yes")

    assert told.code == exits.WRONG_USE
    assert "only a store on SQLite can be" in told.err
    assert "secret" not in told.err
