"""What files held before anybody saw them change is kept as well."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus.watching.baseline import Baseline
from eventbus.watching.contents import Contents
from eventbus.watching.settings import WatchSettings


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    (tmp_path / "root").mkdir()
    return Contents(tmp_path / "state", WatchSettings(keep="text"))


def baseline(tmp_path: Path, contents: Contents) -> Baseline:
    return Baseline(tmp_path / "root", contents)


def files(tmp_path: Path) -> list[tuple[str, int]]:
    root = tmp_path / "root"
    return [(each.name, each.stat().st_ctime_ns) for each in sorted(root.iterdir())]


def held(contents: Contents, kept: Baseline, path: str, at: datetime) -> bytes | None:
    known = kept.find(path, at)
    return None if known is None else contents.read(known.hash)


def test_what_a_file_held_is_known_from_when_it_was_changed_last(
    tmp_path: Path, contents: Contents
) -> None:
    (tmp_path / "root" / "a").write_text("first")
    (tmp_path / "root" / "binary").write_bytes(b"\0")
    changed = datetime.fromtimestamp((tmp_path / "root" / "a").stat().st_ctime, UTC)
    kept = baseline(tmp_path, contents)

    assert kept.take(files(tmp_path)) == 1

    assert held(contents, kept, "a", datetime.now(UTC)) == b"first"
    assert held(contents, kept, "a", changed + timedelta(milliseconds=1)) == b"first"
    assert held(contents, kept, "a", changed - timedelta(seconds=1)) is None
    assert held(contents, kept, "binary", datetime.now(UTC)) is None
    assert held(contents, kept, "b", datetime.now(UTC)) is None


def test_what_is_as_it_was_is_not_read_again(tmp_path: Path, contents: Contents) -> None:
    (tmp_path / "root" / "a").write_text("first")
    baseline(tmp_path, contents).take(files(tmp_path))
    [blob] = contents.directory.glob("*/*")
    os.utime(blob, (0, 0))

    assert baseline(tmp_path, contents).take(files(tmp_path)) == 0
    assert blob.stat().st_mtime > 0, "it counts as new, for it is what the file holds"


def test_what_it_held_before_and_after_is_told_apart(tmp_path: Path, contents: Contents) -> None:
    path = tmp_path / "root" / "a"
    path.write_text("first")
    baseline(tmp_path, contents).take(files(tmp_path))
    between = datetime.now(UTC)
    path.unlink()
    while datetime.fromtimestamp(path.parent.stat().st_mtime, UTC) <= between:
        (path.parent / "b").write_text("x")  # until the kernel's clock has moved on
        (path.parent / "b").unlink()
    path.write_text("second")
    again = baseline(tmp_path, contents)

    assert again.take(files(tmp_path)) == 1

    assert held(contents, again, "a", datetime.now(UTC)) == b"second"
    assert held(contents, again, "a", between) == b"first"
    known = again.find("a", datetime.now(UTC), kept_before=between)
    assert known is not None
    assert contents.read(known.hash) == b"first"


def test_a_file_that_changes_meanwhile_is_left_to_be_told(
    tmp_path: Path, contents: Contents
) -> None:
    (tmp_path / "root" / "a").write_text("now")
    kept = baseline(tmp_path, contents)

    assert kept.take([("a", 1), ("gone", 2)]) == 0
    assert held(contents, kept, "a", datetime.now(UTC)) is None


def test_it_ends_when_it_is_told_to(tmp_path: Path, contents: Contents) -> None:
    for number in range(10):
        (tmp_path / "root" / str(number)).write_text(str(number))
    left = iter([False] * 3 + [True])

    assert baseline(tmp_path, contents).take(files(tmp_path), is_over=lambda: next(left)) == 3


def test_what_was_pruned_is_dropped_and_a_torn_line_passed_over(
    tmp_path: Path, contents: Contents
) -> None:
    for name in ("a", "b"):
        (tmp_path / "root" / name).write_text(name)
    kept = baseline(tmp_path, contents)
    kept.take(files(tmp_path))
    [index] = contents.directory.glob("*.known")
    with index.open("ab") as file:
        file.write(b'["c","sha2')
    known = kept.find("a", datetime.now(UTC))
    assert known is not None
    next(contents.directory.glob(f"*/{known.hash.removeprefix('sha256:')[2:]}*")).unlink()

    assert kept.take([]) == 0

    assert index.read_bytes().count(b"\n") == 1
    assert held(contents, kept, "b", datetime.now(UTC)) == b"b"
    assert index.stat().st_mode & 0o777 == 0o600
