"""What is erased is nowhere any more, everything else is, and it is declared."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus import EventBus, JournalSettings, NamedSink, read_journal, scope
from eventbus.disk import SYSTEM_DISK
from eventbus.erasure import erase, plan_erasure
from eventbus.errors import SettingsError, StateUnusable, StoreUnusable
from eventbus.event import Event
from eventbus.events import (
    ErrorRaised,
    FileWritten,
    LogLine,
    ModelAnswered,
    SnapshotSaved,
    ToolFinished,
    ToolStarted,
    Usage,
)
from eventbus.sealing.choosing import read_choice
from eventbus.sealing.keys import verification_key
from eventbus.sealing.records import leaf_of
from eventbus.sealing.tombstones import TOMBSTONE_HEAD, blank, tombstone, tombstone_leaf
from eventbus.store.backup import back_up, list_backups, restore
from eventbus.store.doctor import examine
from eventbus.store.opening import open_store
from eventbus.store.rebuild import rebuild
from eventbus.store.search import search
from eventbus.testing import FaultyDisk
from eventbus.verify import verify_journal
from eventbus.watching.contents import Contents
from eventbus.watching.settings import WatchSettings

LANES = ("jsonl", "flat", "audit", "usage", "errors", "sqlite")
SINKS = tuple(NamedSink(use=name) for name in LANES)
SECRET = "marzipan"


def events_of(user: str, session: str, word: str) -> Iterator[Event]:
    """A bit of everything that leaves rows, each with a word of its own in it."""
    with scope(user=user, session=session, chat=f"chat-{session}"):
        yield FileWritten(path=f"src/{word}.py", size_bytes=3)
        yield ModelAnswered(
            provider="acme", model="m-1", usage=Usage(input_uncached=5, output_visible=7), cost=0.5
        )
        yield ToolStarted(trace=f"t-{word}", name="shell", input={"say": word})
        yield ToolFinished(trace=f"t-{word}", output=word)
        yield ErrorRaised(type="ValueError", message=f"no {word}")
        yield LogLine(event_type="note:line", source="test", message=f"about {word}")
        yield SnapshotSaved(chat_id=f"chat-{session}", turn_number=1, state={"at": word})


def fill(state: Path, people: dict[str, str], *, segment_bytes: int = 64 << 20) -> None:
    journal = JournalSettings(segment_bytes=segment_bytes)
    with EventBus(state, sinks=SINKS, journal=journal) as bus:
        for user, word in people.items():
            for event in events_of(user, f"s-{user}", word):
                bus.emit_nowait(event)
                bus.flush_now(until="synced")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two people in one state directory."""
    state = tmp_path / ".state"
    state.mkdir()
    fill(state, {"ann": SECRET, "bob": "nougat"}, segment_bytes=4_000)
    return state


def holding(state: Path, word: str) -> list[str]:
    """Files that hold a word."""
    paths = [path for path in state.rglob("*") if path.is_file()]
    return sorted(path.name for path in paths if word.encode() in path.read_bytes())


def contents(state: Path) -> dict[Path, bytes]:
    """What is in every file, but for those SQLite has beside the store while it is read."""
    paths = (path for path in state.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in paths if "store.db-" not in path.name}


def erased(state: Path, *where: str) -> None:
    erase(state, read_choice(where), by="root", why="asked for", sinks=SINKS)


def rows(state: Path) -> dict[str, int]:
    database = sqlite3.connect(state / "store.db")
    names = [
        row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    found = {
        name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in names
        if not name.startswith(("events_fts", "sqlite", "lane_", "store_", "migrations"))
    }
    database.close()
    return found


def test_nothing_of_a_user_is_left_anywhere(state: Path) -> None:
    assert len(holding(state, SECRET)) > 5

    erased(state, "user=ann")

    assert holding(state, SECRET) == []
    assert holding(state, "s-ann") == []
    assert [event for event in read_journal(state) if event.scope.user == "ann"] == []


def test_everything_of_the_others_is_left(state: Path) -> None:
    before = holding(state, "nougat")
    theirs = [event for event in read_journal(state) if event.scope.user == "bob"]

    erased(state, "user=ann")

    assert holding(state, "nougat") == before
    assert [event for event in read_journal(state) if event.scope.user == "bob"] == theirs
    with open_store(state) as store:
        assert len(search(store, "nougat").items) >= 3
        assert search(store, SECRET).items == []


def test_verifying_stays_whole_and_says_what_was_declared(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    state.mkdir()
    key = verification_key(state, SYSTEM_DISK)
    fill(state, {"ann": SECRET, "bob": "nougat"}, segment_bytes=4_000)

    erased(state, "user=ann")

    verified = verify_journal(state, key=key)
    assert verified.is_whole, (verified.seals.altered, verified.findings)
    declared = {span.file for span in verified.seals.declared}
    assert "audit.jsonl" in declared
    assert len(declared) >= 4
    assert "was erased by root at" in verified.seals.declared[0].what


def test_an_erased_line_that_is_put_back_or_changed_is_found(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    state.mkdir()
    key = verification_key(state, SYSTEM_DISK)
    fill(state, {"ann": SECRET})
    [segment] = (state / "journal").glob("*.jsonl")
    erased(state, "user=ann")
    content = segment.read_bytes()

    segment.write_bytes(content.replace(b'"leaf":"', b'"leaf":"A', 1).replace(b" }", b"}", 1))

    assert verify_journal(state, key=key).is_altered


def test_the_doctor_finds_the_store_well(state: Path) -> None:
    erased(state, "user=ann")

    examined = examine(state)

    assert examined.findings == []
    assert [writer.missing for writer in examined.writers if writer.missing] == []


def test_the_store_is_what_the_journal_makes_of_it_anew(state: Path) -> None:
    erased(state, "user=ann")
    kept = rows(state)

    rebuild(state, from_backup=False)

    assert rows(state) == kept


def test_neither_a_rebuild_nor_a_backup_brings_it_back(state: Path) -> None:
    back_up(state)
    erased(state, "user=ann")
    for path in list_backups(state / "backups"):
        assert SECRET.encode() in path.path.read_bytes()

    rebuild(state)
    assert SECRET.encode() not in (state / "store.db").read_bytes()

    restore(state)
    assert SECRET.encode() not in (state / "store.db").read_bytes()


def test_backups_that_still_hold_it_are_listed(state: Path) -> None:
    made = back_up(state)

    plan = plan_erasure(state, read_choice(("user=ann",)), sinks=SINKS)

    assert [str(path) for path in plan.still_in] == [made.path]


def test_contents_that_were_kept_of_its_files_are_listed(tmp_path: Path) -> None:
    content = Contents(tmp_path, WatchSettings(keep="all")).put(SECRET.encode())
    with EventBus(tmp_path) as bus:
        bus.emit_nowait(FileWritten(path="src/a.py", hash=content))

    [path] = plan_erasure(tmp_path, read_choice(("path=src/a.py",))).still_in

    assert path.is_file()
    assert path.parent.parent == tmp_path / "contents"


def test_lines_keep_their_length_so_that_every_place_holds(state: Path) -> None:
    sizes = {path: path.stat().st_size for path in state.rglob("*.jsonl")}

    erased(state, "user=ann")

    assert {path: path.stat().st_size for path in state.rglob("*.jsonl")} == sizes


def test_the_recorder_goes_on_where_it_was(state: Path) -> None:
    erased(state, "user=ann")
    before = len((state / "logs" / "events.jsonl").read_bytes().splitlines())

    fill(state, {"cyd": "praline"})

    lines = (state / "logs" / "events.jsonl").read_bytes().splitlines()
    assert len(lines) == before + 7
    assert len((state / "logs" / "audit.jsonl").read_bytes().splitlines()) == 3
    assert verify_journal(state).is_whole
    assert examine(state).findings == []


@pytest.mark.parametrize("where", ["session=s-ann", f"path=src/{SECRET}.py"])
def test_it_is_chosen_by_session_or_path_as_well(state: Path, where: str) -> None:
    erased(state, where)

    [change] = list(read_journal(state, kinds="file:write"))
    assert change.path == "src/nougat.py"  # type: ignore[attr-defined]


def test_one_event_is_chosen_by_its_id(state: Path) -> None:
    [chosen] = [event for event in read_journal(state, kinds="log:line") if SECRET in str(event)]
    before = len(list(read_journal(state)))

    erased(state, f"id={chosen.id}")

    assert len(list(read_journal(state))) == before - 1
    assert f"about {SECRET}".encode() not in (state / "logs" / "activity.log").read_bytes()


def test_what_is_said_several_times_must_all_hold(state: Path) -> None:
    choice = read_choice(("user=ann", "session=s-bob"))

    assert plan_erasure(state, choice, sinks=SINKS).is_empty


def test_planning_changes_nothing(state: Path) -> None:
    before = contents(state)

    plan = plan_erasure(state, read_choice(("user=ann",)), sinks=SINKS)

    assert (len(plan.ids), plan.lines > 20) == (7, True)
    assert contents(state) == before


def test_nothing_is_erased_while_a_process_writes_it(state: Path) -> None:
    before = holding(state, SECRET)
    with EventBus(state, sinks=SINKS), pytest.raises(StoreUnusable, match="end it first"):
        erased(state, "user=ann")
    with EventBus(state) as bus:
        bus.emit_nowait(FileWritten(path=SECRET))
        bus.flush_now()
        with pytest.raises(StateUnusable, match="a process is writing it"):
            erase(state, read_choice((f"path={SECRET}",)), by="root", why="")

    assert set(before) <= set(holding(state, SECRET))


@pytest.mark.parametrize("nth", [1, 3, 5, 7])
def test_an_erasure_that_is_interrupted_is_done_by_the_next(tmp_path: Path, nth: int) -> None:
    state = tmp_path / ".state"
    state.mkdir()
    key = verification_key(state, SYSTEM_DISK)
    fill(state, {"ann": SECRET, "bob": "nougat"}, segment_bytes=2_000)
    disk = FaultyDisk()
    disk.fail("rename", nth)

    with pytest.raises(OSError, match=r"Input.output error"):
        erase(state, read_choice(("user=ann",)), by="root", why="", sinks=SINKS, disk=disk)
    assert verify_journal(state, key=key).is_whole
    erased(state, "user=ann")

    assert holding(state, SECRET) == []
    assert verify_journal(state, key=key).is_whole


def test_without_a_store_or_seals_it_works_as_well(tmp_path: Path) -> None:
    with EventBus(tmp_path, journal=JournalSettings(seal=False)) as bus, scope(user="ann"):
        bus.emit_nowait(LogLine(event_type="a:b", message=SECRET))

    done = erase(tmp_path, read_choice(("user=ann",)), by="root", why="")

    assert (done.events, done.lines, done.rows) == (1, 1, 0)
    assert holding(tmp_path, SECRET) == []
    assert verify_journal(tmp_path).is_whole


@pytest.mark.parametrize("said", ["ann", "name=ann", "user=", "=x"])
def test_what_is_no_choice_is_refused(said: str) -> None:
    with pytest.raises(SettingsError, match="allowed are user="):
        read_choice((said,))


@pytest.mark.parametrize("length", range(0, 260, 7))
def test_a_tombstone_is_as_long_as_its_line(length: int) -> None:
    front = b'{"kind":"file:write","id":"1","ts":"2026-01-01T12:00:00Z"'
    line = front + b',"path":"%s"}' % (b"x" * length)
    text = b"2026-01-01T12:00:00.000Z|a:b|c|" + b"x" * length

    stone, cleared = tombstone(line), blank(text)

    assert (len(stone), len(cleared)) == (len(line), len(text))
    if len(line) > 80:
        assert stone.startswith(TOMBSTONE_HEAD)
        assert tombstone_leaf(stone) == leaf_of(line)
    assert b"xxx" not in stone + cleared
