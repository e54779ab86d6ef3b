import os
from pathlib import Path

import pytest

from eventbus.disk import SYSTEM_DISK
from eventbus.watching.moves import moves_in
from eventbus.watching.names import told_path
from eventbus.watching.rules import Rules
from eventbus.watching.tree import Found, Tree

OPS = list[tuple[str, str]]


def known(root: Path, *ignore: str) -> Tree:
    """A tree that knows what is there."""
    tree = Tree(root, Rules(ignore), disk=SYSTEM_DISK)
    look(tree)
    return tree


def look(tree: Tree) -> list[Found]:
    found: list[Found] = []
    waiting = [*tree.names]
    while waiting:
        directory = waiting.pop(0)
        if directory in tree.names:
            news = [*tree.look_in(directory)]
            found += news
            waiting += [each.path for each in news if each.op == "mkdir"]
    return found


def ops(found: list[Found]) -> OPS:
    return [(each.op, each.path) for each in found]


def test_looking_again_at_what_has_not_changed_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.txt").write_text("x")

    assert look(known(tmp_path)) == []


def test_a_directory_is_found_before_what_is_in_it(tmp_path: Path) -> None:
    tree = known(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("x")

    assert ops(look(tree)) == [("mkdir", "a"), ("mkdir", "a/b"), ("write", "a/b/c.txt")]


def test_a_directory_goes_after_what_was_in_it(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("x")
    tree = known(tmp_path)
    (tmp_path / "a").rename(tmp_path.with_name("away"))

    assert ops(look(tree)) == [("delete", "a/b/c.txt"), ("delete", "a/b"), ("delete", "a")]
    assert tree.entries == {}
    assert tree.names == {"": set()}


def write_more(path: Path) -> None:
    path.write_text("longer than before")


def write_the_same_length(path: Path) -> None:
    path.write_text("y")


def write_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    path.write_text("y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    beside = path.with_name("beside")
    beside.write_text("y")
    beside.replace(path)


@pytest.mark.parametrize(
    "act", [write_more, write_the_same_length, write_and_set_the_time_back, replace]
)
def test_a_file_that_may_hold_something_else_is_found(tmp_path: Path, act: object) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x")
    os.utime(file, ns=(10**18, 10**18))
    tree = known(tmp_path)
    assert callable(act)
    act(file)

    assert ops(look(tree)) == [("write", "a.txt")]


def test_a_mode_alone_is_no_write(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x")
    tree = known(tmp_path)
    file.chmod(0o755)

    assert look(tree) == []


def test_a_file_where_a_directory_was_is_both(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.txt").write_text("x")
    tree = known(tmp_path)
    (tmp_path / "a/b.txt").unlink()
    (tmp_path / "a").rmdir()
    (tmp_path / "a").write_text("x")

    assert ops(look(tree)) == [("delete", "a/b.txt"), ("delete", "a"), ("write", "a")]


def test_a_link_is_found_and_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    tree = known(root)
    (outside / "secret.txt").write_text("x")
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(root)

    assert ops(look(tree)) in (
        [("write", "link"), ("write", "loop")],
        [("write", "loop"), ("write", "link")],
    )


def test_pipes_and_sockets_are_no_trouble(tmp_path: Path) -> None:
    tree = known(tmp_path)
    os.mkfifo(tmp_path / "pipe")

    assert ops(look(tree)) == [("write", "pipe")]


def test_what_is_hidden_is_not_looked_in(tmp_path: Path) -> None:
    tree = known(tmp_path, "secret/")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.txt").write_text("x")

    assert look(tree) == []


def test_a_tree_may_be_deeper_than_a_call_stack(tmp_path: Path) -> None:
    tree = known(tmp_path)
    deep = [tmp_path / "/".join("d" * depth) for depth in range(1, 1_501)]
    for path in deep:
        path.mkdir()

    assert len(look(tree)) == 1_500
    for path in reversed(deep):
        path.rmdir()
    assert len(look(tree)) == 1_500


def test_a_name_that_is_no_text_is_told_with_its_bytes(tmp_path: Path) -> None:
    tree = known(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("x")

    [found] = look(tree)

    assert told_path(found.path) == r"caf\xe9"
    assert told_path("café") == "café"


# --- moves -------------------------------------------------------------------------


def test_a_file_that_moved_is_known_by_its_inode(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    tree = known(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")

    assert moves_in(look(tree)) == {"a.txt": "b.txt"}


def test_a_directory_moves_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/c.txt").write_text("x")
    tree = known(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")

    assert moves_in(look(tree)) == {"a": "b", "a/c.txt": "b/c.txt"}


def test_a_directory_that_changed_before_it_moved_is_known_by_what_is_in_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/c.txt").write_text("x")
    os.utime(tmp_path / "a", ns=(10**18, 10**18))
    tree = known(tmp_path)
    (tmp_path / "a/new.txt").write_text("x")
    (tmp_path / "a").rename(tmp_path / "b")

    assert moves_in(look(tree))["a"] == "b"


def test_a_file_moved_over_another_has_moved(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("new")
    (tmp_path / "b.txt").write_text("old")
    tree = known(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")

    assert moves_in(look(tree)) == {"a.txt": "b.txt"}


def test_an_inode_that_is_used_again_is_no_move(tmp_path: Path) -> None:
    """ext4 gives a number away again at once."""
    (tmp_path / "a.txt").write_text("x")
    os.utime(tmp_path / "a.txt", ns=(10**18, 10**18))
    tree = known(tmp_path)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.txt").write_text("y")

    assert moves_in(look(tree)) == {}
