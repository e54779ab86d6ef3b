"""A file that grows by whole pieces, whatever the disk and others do."""

import errno
import os
from pathlib import Path

import pytest

from eventbus.testing import FaultyDisk
from sinks._append import Appender, make_directories
from sinks._resume import CursorLog, FileMark, Record


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


def test_a_failed_piece_leaves_nothing_behind(tmp_path: Path, disk: FaultyDisk) -> None:
    file = Appender(tmp_path / "a", disk)
    file.append(b"one\n")
    disk.shorten()
    disk.fail("write", 2, error=errno.ENOSPC)

    with pytest.raises(OSError, match="No space"):
        file.append(b"two\n")

    assert (tmp_path / "a").read_bytes() == b"one\n"
    assert file.size == 4
    file.close()


def test_what_cannot_be_cut_now_is_cut_before_the_next_piece(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    file = Appender(tmp_path / "a", disk)
    disk.shorten()
    disk.fail("write", 2)
    disk.fail("truncate")
    with pytest.raises(OSError, match="Input/output"):
        file.append(b"one\n")

    file.append(b"two\n")

    assert (tmp_path / "a").read_bytes() == b"two\n"
    file.close()


def test_what_replaces_synced_bytes_is_synced_too(tmp_path: Path, disk: FaultyDisk) -> None:
    file = Appender(tmp_path / "a", disk)
    file.append(b"one\ntwo\n")
    file.sync()
    file.cut(4)
    file.append(b"2nd\n")

    disk.calls.clear()
    file.sync()

    assert disk.calls == ["sync"]
    file.close()


def test_a_failed_sync_is_never_tried_again(tmp_path: Path, disk: FaultyDisk) -> None:
    file = Appender(tmp_path / "a", disk)
    file.append(b"one\n")
    disk.fail("sync")
    for _ in range(2):
        with pytest.raises(OSError, match=r"Input/output|an earlier sync of this file failed"):
            file.sync()

    assert disk.calls.count("sync") == 1
    assert not file.is_synced
    file.close()


def test_a_file_put_down_is_taken_up_again_unless_it_was_replaced(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    path = tmp_path / "a"
    file = Appender(path, disk)
    file.append(b"one\n")
    file.close()
    file.append(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"

    file.close()
    path.rename(tmp_path / "b")
    path.write_bytes(b"theirs\n")

    with pytest.raises(OSError, match="the file was replaced"):
        file.append(b"three\n")
    assert path.read_bytes() == b"theirs\n"


def test_the_last_line_is_found_however_long(tmp_path: Path, disk: FaultyDisk) -> None:
    for content, last in [
        (b"one\ntwo\n", b"two\n"),
        (b"one\ntwo\ntorn", b"two\n"),
        (b"torn", b"torn"),
        (b"a\n" + b"x" * 200_000 + b"\n", b"x" * 65_536),
    ]:
        (tmp_path / "a").write_bytes(content)
        file = Appender(tmp_path / "a", disk)

        assert file.last_line() == last
        file.close()


def test_every_directory_that_is_made_is_private(tmp_path: Path, disk: FaultyDisk) -> None:
    umask = os.umask(0)
    make_directories(tmp_path / "a" / "b" / "c", disk)
    os.umask(umask)

    assert [path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")] == [0o700] * 3


# --- the cursor beside the files --------------------------------------------------


def record(size: int) -> Record:
    return Record(cursor={}, files=[FileMark("a", 1, size)])


def test_any_beginning_of_the_cursor_file_gives_the_records_before(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    path = tmp_path / ".cursor"
    book = CursorLog(path, disk)
    ends = []
    for size in range(3):
        book.append(record(size))
        ends.append(path.stat().st_size)
    book.close()
    content = path.read_bytes()

    for length in range(len(content) + 1):
        for tail in (b"", b"\0\0\0", b"garbage\n"):
            path.write_bytes(content[:length] + tail)
            book = CursorLog(path, disk)
            whole = sum(end <= length for end in ends)

            assert [one.files[0].size for one in book.records][:whole] == list(range(whole))
            assert len(book.records) <= whole + 1
            book.close()


def test_a_cursor_begun_anew_is_one_record_and_still_held(tmp_path: Path, disk: FaultyDisk) -> None:
    path = tmp_path / ".cursor"
    book = CursorLog(path, disk)
    for size in range(9):
        book.append(record(size))
    before = book.size

    book.restart(record(9))

    assert book.size < before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="another sink writes these files"):
        CursorLog(path, disk)
    book.append(record(10))
    book.close()
    again = CursorLog(path, disk)
    assert [one.files[0].size for one in again.records] == [9, 10]
    again.close()


def test_a_cursor_file_that_somebody_took_away_is_missed(tmp_path: Path, disk: FaultyDisk) -> None:
    book = CursorLog(tmp_path / ".cursor", disk)
    assert not book.is_gone

    (tmp_path / ".cursor").unlink()

    assert book.is_gone
    book.close()
