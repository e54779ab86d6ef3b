from datetime import UTC, datetime
from pathlib import Path

from eventbus.watching.calm import HELD_S, OFTEN, Calm
from eventbus.watching.change import Change
from eventbus.watching.finding import changes_in
from eventbus.watching.tree import Entry, Found

ROOT = Path("/root")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE, DIRECTORY = 0o100644, 0o40755


def entry(inode: int = 1, size: int = 3, mode: int = FILE) -> Entry:
    return Entry(mode, size, 10**18, 10**18, inode)


def changes(*found: Found) -> list[Change]:
    return changes_in(found, root=ROOT, noticed=NOW)


def change(path: str = "a", size: int = 1) -> Change:
    return Change(op="write", path=path, root=ROOT, noticed=NOW, size_bytes=size)


def test_of_several_writes_the_last_is_told() -> None:
    first, second = entry(size=3), entry(size=5)

    [told] = changes(Found("write", "a", None, first), Found("write", "a", first, second))

    assert (told.op, told.size_bytes) == ("write", 5)
    assert told.where == ROOT / "a"


def test_what_came_and_went_between_two_looks_is_not_told() -> None:
    assert changes(Found("write", "a", None, entry()), Found("delete", "a", entry(), None)) == []


def test_what_went_and_came_is_a_write() -> None:
    [told] = changes(
        Found("delete", "a", entry(1), None), Found("write", "a", None, entry(2, size=9))
    )

    assert (told.op, told.size_bytes) == ("write", 9)


def test_a_delete_tells_what_it_held() -> None:
    [told] = changes(Found("delete", "a", entry(size=7), None))

    assert told.size_bytes == 7


def test_a_directory_that_became_a_file_is_told_as_both() -> None:
    directory = entry(mode=DIRECTORY)

    told = changes(Found("delete", "a", directory, None), Found("write", "a", None, entry()))

    assert [each.op for each in told] == ["delete", "write"]


def test_both_ends_of_a_move_name_each_other() -> None:
    moved = entry(7)

    told = changes(Found("write", "b", None, moved), Found("delete", "a", moved, None))

    assert {each.path: (each.moved_from, each.moved_to) for each in told} == {
        "b": ("a", None),
        "a": (None, "b"),
    }


def test_a_file_from_the_end_of_time_is_told_without_it() -> None:
    strange = Entry(FILE, 1, 0, 2**63 - 1, 1)

    [told] = changes(Found("write", "a", None, strange))

    assert told.changed is None or told.changed.year > 2200


# --- files that are written all the time ----------------------------------------------


def test_single_writes_are_told_as_they_come() -> None:
    calm = Calm()

    told = [calm.sift([change(size=n)], now_s=n * 2 * HELD_S) for n in range(20)]

    assert [len(each) for each in told] == [1] * 20


def test_a_file_written_all_the_time_is_told_once_a_second_as_it_is_then() -> None:
    calm = Calm()
    told = []
    for tenth in range(100):
        told += calm.sift([change(size=tenth)], now_s=tenth / 10)
    told += calm.all_held()

    assert OFTEN <= len(told) <= OFTEN + 12
    assert told[-1].size_bytes == 99


def test_what_is_held_is_due_within_a_second() -> None:
    calm = Calm()
    for n in range(OFTEN + 1):
        calm.sift([change(size=n)], now_s=0.01 * n)

    assert calm.due is not None
    assert calm.due <= 0.01 * OFTEN + HELD_S
    assert calm.held_under(ROOT) == {"a"}
    [told] = calm.sift([], now_s=calm.due)
    assert told.size_bytes == OFTEN
    assert calm.due is None


def test_a_delete_is_never_held_and_drops_what_was() -> None:
    calm = Calm()
    for n in range(OFTEN + 1):
        calm.sift([change(size=n)], now_s=0.01 * n)
    gone = Change(op="delete", path="a", root=ROOT, noticed=NOW)

    assert calm.sift([gone], now_s=0.1) == [gone]
    assert calm.all_held() == []
