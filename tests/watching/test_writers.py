"""Which process wrote a file, as Linux's fanotify tells those who may ask."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus.watching import writers as writers_module
from eventbus.watching.writers import Writer, Writers, listen_for_writers
from tests.letters import eventually

WRITE = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('x'); input()"


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    (tmp_path / "root" / ".state").mkdir(parents=True)
    listening = listen_for_writers([tmp_path / "root"])
    if listening is None:
        pytest.skip("this process may not ask the kernel who writes")
    yield listening
    listening.close()


def seen(writers: Writers, path: Path) -> Writer:
    assert eventually(lambda: writers.writer_of(path))
    writer = writers.writer_of(path)
    assert writer is not None
    return writer


def test_the_process_that_wrote_a_file_is_known(writers: Writers, tmp_path: Path) -> None:
    path = tmp_path / "root" / "a"
    process = subprocess.Popen([sys.executable, "-c", WRITE, path], stdin=subprocess.PIPE)

    writer = seen(writers, path)
    process.communicate(b"\n")

    assert writer.pid == process.pid
    assert writer.command is not None
    assert writer.command.startswith(f"{sys.executable} -c import sys, pathlib")
    assert abs(datetime.now(UTC) - writer.at) < timedelta(minutes=1)


def test_a_file_that_was_renamed_after_is_known_too(writers: Writers, tmp_path: Path) -> None:
    path = tmp_path / "root" / "a"
    path.write_text("one\n")
    subprocess.run(["sed", "-i", "s/one/two/", path], check=True)

    assert seen(writers, path).pid != os.getpid()
    assert path.read_text() == "two\n"


def test_what_is_written_in_other_directories_is_not_told(writers: Writers, tmp_path: Path) -> None:
    elsewhere, ours = tmp_path / "a", tmp_path / "root" / ".state" / "a"
    for path in (elsewhere, ours, tmp_path / "root" / "last"):
        path.write_text("x")

    assert seen(writers, tmp_path / "root" / "last").pid == os.getpid()
    assert writers.writer_of(elsewhere) is None
    assert writers.writer_of(ours) is None
    assert writers.writer_of(tmp_path / "gone") is None


def test_a_directory_that_comes_later_is_listened_to_as_well(
    writers: Writers, tmp_path: Path
) -> None:
    later = tmp_path / "root" / "later"
    later.mkdir()

    writers.listen_to([later, tmp_path / "gone"])
    (later / "a").write_text("x")

    assert seen(writers, later / "a").pid == os.getpid()


def test_one_that_wrote_long_before_the_change_is_not_who_made_it(
    writers: Writers, tmp_path: Path
) -> None:
    path = tmp_path / "root" / "a"
    path.write_text("x")
    at = seen(writers, path).at

    assert writers.writer_of(path, changed=at)
    assert writers.writer_of(path, changed=at + timedelta(seconds=5)) is None


def test_memory_is_bounded(
    writers: Writers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers_module, "KNOWN_MOST", 10)
    for number in range(100):
        (tmp_path / "root" / str(number)).write_text("x")

    seen(writers, tmp_path / "root" / "99")

    assert len(writers._wrote) <= 10
    assert writers.writer_of(tmp_path / "root" / "0") is None


def test_it_ends_with_its_thread_and_descriptors(writers: Writers) -> None:
    fds = (writers._fd, writers._wake, writers._end)
    were = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in fds}

    writers.close()
    writers.close()

    assert not writers._thread.is_alive()
    assert [fd for fd in fds if link_of(fd) == were[fd]] == []


def link_of(fd: int) -> str | None:
    """What a descriptor is of; None: it is closed."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None


def test_without_the_privilege_nothing_is_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers_module, "_new_group", lambda: -1)

    assert listen_for_writers([tmp_path]) is None


def test_a_root_that_cannot_be_asked_about_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(writers_module, "_new_group", lambda: write)

    assert listen_for_writers([tmp_path / "nowhere"]) is None

    assert os.read(read, 1) == b"", "its other end is closed"
    os.close(read)
