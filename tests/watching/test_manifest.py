import os
from datetime import UTC, datetime
from pathlib import Path

from eventbus.disk import SYSTEM_DISK
from eventbus.watching.manifest import Manifest
from eventbus.watching.rules import Rules
from eventbus.watching.tree import Tree
from tests.watching.test_tree import known, look

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rooted(tmp_path: Path) -> tuple[Path, Manifest]:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/b.txt").write_text("x")
    return root, Manifest(tmp_path / "state", root, disk=SYSTEM_DISK)


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    root, manifest = rooted(tmp_path)
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_text("x")
    tree = known(root)
    manifest.save(tree, now=NOW)

    kept = manifest.load()

    assert kept is not None
    assert kept.saved == NOW
    assert kept.entries == tree.entries


def test_what_was_told_since_is_known_without_a_save(tmp_path: Path) -> None:
    root, manifest = rooted(tmp_path)
    tree = known(root)
    manifest.save(tree, now=NOW)
    (root / "a/b.txt").unlink()
    (root / "c.txt").write_text("new")
    manifest.note(tree, [each.path for each in look(tree)])

    kept = manifest.load()

    assert kept is not None
    assert [*kept.entries] == sorted(tree.entries)
    assert kept.entries["c.txt"] == tree.entries["c.txt"]


def test_what_was_about_to_be_told_is_found_again(tmp_path: Path) -> None:
    """Nobody knows whether it was told; gone meanwhile, it has to be told as deleted."""
    root, manifest = rooted(tmp_path)
    tree = known(root)
    manifest.save(tree, now=NOW)
    (root / "new").mkdir()
    (root / "new/c.txt").write_text("new")
    manifest.note_before(tree, [each.path for each in look(tree)])

    kept = manifest.load()

    assert kept is not None
    assert kept.untold_directories == ["new"]
    assert kept.entries["new/c.txt"].size_bytes < 0


def test_a_note_that_was_cut_short_counts_as_none(tmp_path: Path) -> None:
    root, manifest = rooted(tmp_path)
    tree = known(root)
    manifest.save(tree, now=NOW)
    (root / "c.txt").write_text("new")
    manifest.note(tree, ["c.txt"])
    [since] = (tmp_path / "state/watch").glob("*.since")
    os.truncate(since, since.stat().st_size // 2)

    kept = manifest.load()

    assert kept is not None
    assert [*kept.entries] == ["a", "a/b.txt"]


def test_a_save_that_was_cut_short_counts_as_none(tmp_path: Path) -> None:
    root, manifest = rooted(tmp_path)
    manifest.save(known(root), now=NOW)
    [file] = (tmp_path / "state/watch").glob("*.manifest")
    os.truncate(file, file.stat().st_size - 5)

    assert manifest.load() is None


def test_what_is_still_to_be_told_is_found_changed(tmp_path: Path) -> None:
    root, manifest = rooted(tmp_path)
    tree = known(root)
    manifest.save(tree, now=NOW, untold={"a/b.txt"})

    kept = manifest.load()

    assert kept is not None
    again = Tree(root, Rules(), disk=SYSTEM_DISK)
    for path, entry in kept.entries.items():
        again.put(path, entry)
    assert [(each.op, each.path) for each in look(again)] == [("write", "a/b.txt")]


def test_a_path_that_was_hidden_then_was_not_known(tmp_path: Path) -> None:
    root, manifest = rooted(tmp_path)
    manifest.save(known(root, "out/", "*.log"), now=NOW)

    kept = manifest.load()

    assert kept is not None
    assert kept.knew("src/a.py", is_directory=False)
    assert not kept.knew("a.log", is_directory=False)
    assert not kept.knew("out/deep/a.py", is_directory=False)
