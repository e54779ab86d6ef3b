"""What watched files held is kept once, privately, within bounds, and comes back as it was."""

import os
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eventbus.disk import Disk
from eventbus.errors import ContentUnknown
from eventbus.testing import FakeClock
from eventbus.watching import contents as contents_module
from eventbus.watching.change import Change
from eventbus.watching.contents import Contents, hash_of
from eventbus.watching.settings import WatchSettings

TEXT = "caf\u00e9\n".encode() * 100
BINARY = bytes(range(256))


def made(tmp_path: Path, *, disk: Disk | None = None, clock: Any = None, **said: Any) -> Contents:
    settings = WatchSettings(**{"keep": "all", **said})
    more = {} if disk is None else {"disk": disk}
    return Contents(tmp_path / "state", settings, clock=clock or FakeClock(now()), **more)


def now() -> datetime:
    return datetime.now(UTC)


def change(tmp_path: Path, content: bytes | None = None, **fields: Any) -> Change:
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    return Change(**{"op": "write", "path": "a", "root": tmp_path, "noticed": now(), **fields})


def blobs(contents: Contents) -> list[Path]:
    return sorted(path for path in contents.directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("content", [TEXT, BINARY, b"", os.urandom(300_000)])
def test_a_content_comes_back_as_it_was(tmp_path: Path, content: bytes) -> None:
    contents = made(tmp_path)

    hash = contents.keep(change(tmp_path, content))

    assert hash == hash_of(content)
    assert contents.has(hash)
    assert contents.read(hash) == content


def test_each_is_kept_once_under_its_hash_for_nobody_else_to_read(tmp_path: Path) -> None:
    contents = made(tmp_path)

    hash = contents.keep(change(tmp_path, TEXT))
    assert contents.keep(change(tmp_path, TEXT)) == hash

    [blob] = blobs(contents)
    assert hash is not None
    digits = hash.removeprefix("sha256:")
    assert (blob.parent.name, blob.stem) == (digits[:2], digits[2:])
    assert blob.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (contents.directory, blob.parent)} == {0o700}
    assert blob.stat().st_size < len(TEXT) / 5


@pytest.mark.parametrize(
    ("keep", "content", "is_kept"),
    [
        ("off", TEXT, False),
        ("text", TEXT, True),
        ("text", BINARY, False),
        ("text", b"\xff\xfe", False),
        ("all", BINARY, True),
    ],
)
def test_what_is_kept_is_what_was_asked_for(
    tmp_path: Path, keep: str, content: bytes, is_kept: bool
) -> None:
    contents = made(tmp_path, keep=keep)

    assert (contents.keep(change(tmp_path, content)) is not None) == is_kept
    assert len(blobs(contents)) == is_kept


def test_only_what_was_written_is_kept_and_only_of_files(tmp_path: Path) -> None:
    contents = made(tmp_path)
    (tmp_path / "a").write_bytes(TEXT)
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")

    for fields in ({"op": "delete"}, {"path": "gone"}, {"path": "link"}, {"path": "pipe"}):
        assert contents.keep(change(tmp_path, **fields)) is None
    assert contents.keep(change(tmp_path, path="state", op="mkdir")) is None
    assert blobs(contents) == []


def test_a_file_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents_module, "FILE_MOST", 10)
    contents = made(tmp_path)

    assert contents.keep(change(tmp_path, b"x" * 11)) is None
    assert contents.keep(change(tmp_path, b"x" * 10)) is not None


class Restless(Disk):
    """Changes a file while it is read, so many times."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.times = path, times

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        read = super().pread(fd, size, offset)
        if self.times:
            self.times -= 1
            self.path.write_bytes(b"changed" * self.times)
        return read


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    contents = made(tmp_path, disk=Restless(tmp_path / "a", 1))

    assert contents.keep(change(tmp_path, TEXT)) == hash_of(b"")


def test_one_that_changes_on_and_on_is_not_kept(tmp_path: Path) -> None:
    contents = made(tmp_path, disk=Restless(tmp_path / "a", 99))

    assert contents.keep(change(tmp_path, TEXT)) is None
    assert blobs(contents) == []


def test_a_full_disk_keeps_nothing_and_harms_nobody(tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(28, "no space left")

    contents = made(tmp_path, disk=Full())

    assert contents.keep(change(tmp_path, TEXT)) is None


def test_without_zstd_it_is_zlib_and_either_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_zstd = made(tmp_path)
    one = with_zstd.put(TEXT)
    monkeypatch.setattr(contents_module, "_zstd", lambda: None)
    without = made(tmp_path)
    other = without.put(BINARY)

    assert {blob.suffix for blob in blobs(without)} == {".z", ".zst"}
    assert zlib.decompress(
        next(each for each in blobs(without) if each.suffix == ".z").read_bytes()
    )
    assert (with_zstd.read(one), with_zstd.read(other)) == (TEXT, BINARY)


def test_what_is_not_kept_or_damaged_is_said_to_be(tmp_path: Path) -> None:
    contents = made(tmp_path)
    damaged, other = contents.put(TEXT), contents.put(BINARY)
    one, two = blobs(contents)
    two.write_bytes(one.read_bytes())
    one.write_bytes(b"no zstd")

    for hash in (damaged, other):
        with pytest.raises(ContentUnknown, match="is damaged"):
            contents.read(hash)
    with pytest.raises(ContentUnknown, match="is not kept, or no more"):
        contents.read(hash_of(b"never"))
    with pytest.raises(ContentUnknown, match="no hash of a content"):
        contents.read("sha256:../../../etc/passwd")


# --- pruning -----------------------------------------------------------------------------


def aged(contents: Contents, **seconds: float) -> list[Path]:
    """Contents that were kept so long ago, by what they hold."""
    paths = []
    for content, ago in seconds.items():
        hash = contents.put(content.encode() * 400)
        [path] = contents.directory.rglob(f"{hash.removeprefix('sha256:')[2:]}.*")
        when = now().timestamp() - ago
        os.utime(path, (when, when))
        paths.append(path)
    return paths


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    contents = made(tmp_path, keep_days=1)
    old, new = aged(contents, old=86_500, new=86_300)

    pruned = contents.prune()

    assert pruned is not None
    assert (old.exists(), new.exists(), pruned.number) == (False, True, 1)
    assert contents.prune() is None


def test_of_what_is_too_much_the_oldest_goes_but_nothing_of_the_last_minute(tmp_path: Path) -> None:
    contents = made(tmp_path, keep_bytes=0, keep_days=0)
    oldest, old, young = aged(contents, oldest=900, old=90, young=30)

    pruned = contents.prune()

    assert [path.exists() for path in (oldest, old, young)] == [False, False, True]
    assert pruned is not None
    assert pruned.left_bytes == young.stat().st_size


def test_as_much_stays_as_may(tmp_path: Path) -> None:
    contents = made(tmp_path)
    oldest, old, young = aged(contents, oldest=900, old=800, young=700)
    sizes = old.stat().st_size + young.stat().st_size
    contents.settings = WatchSettings(keep="all", keep_bytes=sizes, keep_days=0)

    contents.prune()

    assert [path.exists() for path in (oldest, old, young)] == [False, True, True]


def test_what_is_seen_again_is_young_again(tmp_path: Path) -> None:
    contents = made(tmp_path, keep_days=1)
    [old] = aged(contents, old=86_500)

    contents.put(b"old" * 400)

    assert contents.prune() is None
    assert old.exists()


def test_left_overs_go_and_files_of_others_stay(tmp_path: Path) -> None:
    contents = made(tmp_path, keep_days=1)
    [old] = aged(contents, old=86_500)
    left_over = old.with_name(f".{old.name}.123.tmp")
    strange = [old.with_name("notes"), contents.directory / "zz", contents.directory / "ab" / "x"]
    for path in (left_over, *strange):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        os.utime(path, (0, 0))

    contents.prune()

    assert [path.exists() for path in (old, left_over)] == [False, False]
    assert [path.exists() for path in strange] == [True, True, True]


def test_after_a_jump_of_the_clock_nothing_is_pruned(tmp_path: Path) -> None:
    clock = FakeClock(now())
    contents = made(tmp_path, clock=clock, keep_days=1)
    [path] = aged(contents, a=10)
    assert contents.prune() is None

    clock.jump(now() + timedelta(days=3650))

    assert contents.prune() is None
    assert path.exists()
