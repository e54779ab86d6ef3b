"""File changes: who did what to which path, and when."""

from typing import Any

from eventbus import Scope
from eventbus.events import DirectoryMade, FileDeleted, FileWritten
from eventbus.store.changes import FileChange, file_changes, files_changed, last_change
from eventbus.store.engine import Writer
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
