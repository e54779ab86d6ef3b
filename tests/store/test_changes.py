"""File changes: who did what to which path, and when."""

from typing import Any

from eventbus import Scope
from eventbus.events import DirectoryMade, FileDeleted, FileWritten, ToolFinished, ToolStarted
from eventbus.store.changes import (
    FileChange,
    changes_told,
    file_changes,
    files_changed,
    files_told,
    last_change,
)
from eventbus.store.engine import Writer
from eventbus.store.migrations import MIGRATIONS, migrate
from tests.store.conftest import open_writer
from tests.store.given import S1, at, land_each, walk_through


def written(path: str, seconds: float, **fields: Any) -> FileWritten:
    return FileWritten(path=path, ts=at(seconds), **{"scope": S1, **fields})


def test_a_change_is_a_row_with_who_did_it(emptied: Writer) -> None:
    event = written(
        "src/b.py",
        0,
        size_bytes=2048,
        actor="write_file",
        agent_name="scout",
        trace="t",
        hash="sha256:00ff",
        moved_from="src/a.py",
    )

    land_each(emptied, event)

    assert last_change(emptied, "src/b.py") == FileChange(
        event_id=event.id,
        ts="2026-01-02T03:04:05.000Z",
        op="write",
        path="src/b.py",
        size_bytes=2048,
        actor="write_file",
        agent_name="scout",
        trace="t",
        session_id="s1",
        hash="sha256:00ff",
        moved_from="src/a.py",
        moved_to=None,
        user_id="ann",
        candidates=(),
        pid=None,
        command=None,
    )


def test_every_sort_of_change_has_its_op(emptied: Writer) -> None:
    land_each(
        emptied,
        FileDeleted(path="a", moved_to="b", ts=at(1)),
        DirectoryMade(path="d", ts=at(0)),
    )

    deleted, made = file_changes(emptied).items
    assert (deleted.op, deleted.moved_to) == ("delete", "b")
    assert (made.op, made.size_bytes) == ("mkdir", None)


def test_changes_come_newest_first_by_path_session_and_trace(emptied: Writer) -> None:
    for number in range(5):
        land_each(emptied, written("a", number // 2, trace=f"t{number % 2}", size_bytes=number))
    land_each(emptied, written("b", 9, scope=Scope(session="s2")))

    of_path = walk_through(file_changes, emptied, path="a")
    assert [each.size_bytes for each in of_path] == [4, 3, 2, 1, 0]
    assert len(walk_through(file_changes, emptied, session_id="s1")) == 5
    assert len(walk_through(file_changes, emptied, trace="t1")) == 2
    assert [each.path for each in file_changes(emptied, since=at(2)).items] == ["b", "a"]
    assert [each.size_bytes for each in file_changes(emptied, until=at(1)).items] == [1, 0]


def test_of_every_path_there_is_its_latest_change(emptied: Writer) -> None:
    land_each(
        emptied,
        written("b", 5, size_bytes=2),
        written("b", 1, size_bytes=1),
        written("a", 3),
        FileDeleted(path="a", ts=at(4)),
        written("c", 0),
    )

    latest = walk_through(files_changed, emptied)

    assert [(each.path, each.op, each.size_bytes) for each in latest] == [
        ("a", "delete", None),
        ("b", "write", 2),
        ("c", "write", None),
    ]
    assert last_change(emptied, "nowhere") is None


def paths(store: Writer, **asked: Any) -> list[str]:
    return [each.path for each in walk_through(file_changes, store, **asked)]


def test_changes_are_asked_for_by_directory_pattern_and_actor(emptied: Writer) -> None:
    names = ["src", "src/a.py", "src/b.txt", "src/deep/c.py", "src-old/a.py", "srcs", "a[1].py"]
    for number, name in enumerate(names):
        land_each(emptied, written(name, number, actor="edit" if number % 2 else "shell"))

    assert paths(emptied, below="src") == ["src/deep/c.py", "src/b.txt", "src/a.py"]
    assert paths(emptied, like="*.py") == ["a[1].py", "src-old/a.py", "src/deep/c.py", "src/a.py"]
    assert paths(emptied, like="src/?.py") == ["src/a.py"]
    assert paths(emptied, like="src[-]*") == ["src-old/a.py"]
    assert paths(emptied, like="a[[]1].py") == ["a[1].py"]
    assert paths(emptied, like="src") == ["src"]
    assert paths(emptied, actor="edit") == ["srcs", "src/deep/c.py", "src/a.py"]
    assert paths(emptied, actor="unknown") == []
    assert paths(emptied, actor="edit", below="src") == ["src/deep/c.py", "src/a.py"]


def test_a_change_is_told_with_its_call_and_the_size_before(emptied: Writer) -> None:
    call = ToolStarted(trace="t1", name="edit", input={"path": "a"}, ts=at(0), scope=S1)
    land_each(
        emptied,
        call,
        ToolFinished(trace="t1", outcome="success", ts=at(9)),
        written("a", 1, size_bytes=10, trace="t1", actor="edit"),
        written("a", 2, size_bytes=20, actor="ambiguous", candidates=("t1", "t2")),
        FileDeleted(path="a", ts=at(3)),
        written("a", 4, size_bytes=5, pid=47, command="sed"),
        FileDeleted(path="a", ts=at(5), size_bytes=6),
    )

    told = walk_through(changes_told, emptied, path="a")
    nobodys = walk_through(changes_told, emptied, actor="unknown")

    assert [each.size_before for each in told] == [6, None, 20, 10, None]
    assert (told[-1].tool_name, told[-1].tool_input) == ("edit", {"path": "a"})
    assert (told[-1].outcome, told[-1].user_id) == ("success", "ann")
    assert (told[3].tool_name, told[3].candidates) == (None, ("t1", "t2"))
    assert [each.op for each in nobodys] == ["delete", "write", "delete"]
    assert (told[1].pid, told[1].command) == (47, "sed")


def test_of_a_directory_there_is_the_latest_change_of_all_in_it(emptied: Writer) -> None:
    land_each(
        emptied,
        written("src/a", 1, size_bytes=1),
        written("src/a", 2, size_bytes=2),
        written("src/b/c", 1),
        written("src2", 1),
    )

    latest = walk_through(files_told, emptied, below="src")

    assert [(each.path, each.size_bytes, each.size_before) for each in latest] == [
        ("src/a", 2, 1),
        ("src/b/c", None, None),
    ]
    assert [each.path for each in walk_through(files_changed, emptied, below="src")] == [
        "src/a",
        "src/b/c",
    ]


def test_a_store_made_before_who_wrote_was_kept_gets_its_columns(where: str) -> None:
    writer = open_writer(where)
    migrate(writer, MIGRATIONS[:1])
    writer.insert(
        "file_changes (as_of, event_id, ts, op, path)", [("2026", "e", "2026", "write", "a")]
    )

    assert migrate(writer) == len(MIGRATIONS) - 1
    assert [(each.path, each.candidates, each.pid) for each in file_changes(writer).items] == [
        ("a", (), None)
    ]
    writer.close()
