"""`eventbus diff` and `eventbus restore --at` tell what a file held, and bring it back."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus.bus import EventBus
from eventbus.events import FileDeleted, FileWritten, ToolFinished, ToolStarted
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.putting import write_back
from eventbus.replay import read_journal
from eventbus.watching.baseline import Baseline
from eventbus.watching.contents import Contents, hash_of
from eventbus.watching.settings import WatchSettings
from tests.frontends.console import Here
from tests.frontends.day import HOSTILE, at

FIRST = "one\ntwo\n"
SECOND = "one\n2\nthree"
BINARY = b"\x00\x01\xff"
THEN = {"first": "2026-11-20T12:00:01Z", "second": "2026-11-20T12:00:02Z"}


@pytest.fixture
def kept(here: Here) -> Here:
    """A directory with a file that was written twice, each content kept."""
    contents = Contents(here.state)

    def written(path: str, seconds: float, content: str | bytes) -> FileWritten:
        content = content.encode() if isinstance(content, str) else content
        (here.directory / path).write_bytes(content)
        size, hash = len(content), contents.put(content)
        return FileWritten(path=path, ts=at(seconds), size_bytes=size, hash=hash, actor="edit")

    with EventBus(here.state, sinks=["sqlite"]) as bus:
        for event in (
            written("a.txt", 1, FIRST),
            written("a.txt", 2, SECOND),
            written("binary", 1, BINARY),
            written("binary", 2, BINARY * 2),
            written("gone", 1, FIRST),
            FileDeleted(path="gone", ts=at(2)),
            FileWritten(path="unkept", ts=at(1), size_bytes=3),
            written(HOSTILE, 1, HOSTILE + "\n"),
            written(HOSTILE, 2, "\tx\n"),
        ):
            bus.emit_nowait(event)
    (here.directory / "gone").unlink()
    (here.directory / "eventbus.toml").write_text('lanes = ["sqlite"]\n')
    return here


# --- diff --------------------------------------------------------------------------------


def test_what_changed_last_is_shown_line_by_line(kept: Here) -> None:
    told = kept("diff", "a.txt")

    assert told.code == exits.OK
    assert told.out == (
        "--- a/a.txt\t2026-11-20 12:00:01 UTC, by edit\n"
        "+++ b/a.txt\tnow\n"
        "@@ -1,2 +1,3 @@\n"
        " one\n"
        "-two\n"
        "+2\n"
        "+three\n"
        "\\ No newline at end of file\n"
    )


def test_any_two_moments_are_compared(kept: Here) -> None:
    back = kept("diff", "a.txt", "--from", THEN["second"], "--to", THEN["first"])
    same = kept("diff", "a.txt", "--from", THEN["second"])

    assert back.lines[2:6] == ["@@ -1,3 +1,2 @@", " one", "-2", "-three"]
    assert same.out == "a.txt: the same, 2026-11-20 12:00:02 UTC, by edit and now\n"


def test_what_nobody_recorded_is_compared_with_too(kept: Here) -> None:
    (kept.directory / "a.txt").write_text(FIRST)

    told = kept("diff", "a.txt", "--from", THEN["second"])

    assert told.lines[3:] == [" one", "-2", "-three", "\\ No newline at end of file", "+two"]


def test_a_file_that_is_gone_is_empty(kept: Here) -> None:
    told = kept("diff", "gone")

    assert told.lines[1:] == ["+++ /dev/null\tnow", "@@ -1,2 +0,0 @@", "-one", "-two"]
    assert kept("diff", "gone", "--to", "2026-11-20T12:00:02Z").lines[0].startswith("--- a/gone")


def test_binary_files_are_told_by_size_and_hash(kept: Here) -> None:
    told = kept("diff", "binary")

    assert told.out == (
        f"binary: binary: 2026-11-20 12:00:01 UTC, by edit: 3 B, {hash_of(BINARY)};"
        f" now: 6 B, {hash_of(BINARY * 2)}\n"
    )


def test_a_diff_as_json_can_be_applied(kept: Here) -> None:
    told = kept("diff", "a.txt", "--json").json

    assert (told["path"], told["is_same"], told["by_lines"]) == ("a.txt", False, True)
    assert told["from"]["hash"] == hash_of(FIRST.encode())
    assert told["diff"].startswith("--- a/a.txt\t")
    assert kept("diff", "binary", "--json").json["by_lines"] is False


def test_nothing_in_a_file_or_its_name_commands_the_terminal(kept: Here) -> None:
    told = kept("diff", HOSTILE)

    assert "\x1b" not in told.out
    assert "\x9b" not in told.out
    assert "+\tx" in told.lines
    assert "--- a/a\\u001b[2Jb\\nc\\u202ed\\u009b\t2026-11-20 12:00:01 UTC, by edit" in told.lines


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("never",), "no change of 'never' is recorded; 'eventbus audit' lists what is"),
        (("unkept", "--from", "2026-11-20T12:00:05Z"), "was not kept; watch.keep = "),
        (("a.txt", "--from", "2020-01-01T00:00Z"), "no change of 'a.txt' is recorded up to"),
        (("a.txt", "--from", "someday"), "not a moment: 'someday'"),
    ],
)
def test_what_cannot_be_told_is_said(kept: Here, args: tuple[str, ...], why: str) -> None:
    told = kept("diff", *args)

    assert told.code == exits.WRONG_USE
    assert why in told.err


def test_a_diff_has_colours_on_a_terminal(kept: Here, terminal: Callable[[int], None]) -> None:
    terminal(80)

    assert "\x1b[31m-two\x1b[0m" in kept("diff", "a.txt").out


# --- restore -----------------------------------------------------------------------------


def test_a_file_is_put_back_as_it_was(kept: Here) -> None:
    path = kept.directory / "a.txt"
    path.chmod(0o751)

    told = kept("restore", "a.txt", "--at", THEN["first"])

    assert told.code == exits.OK
    assert told.out == f"put back {path}, 8 B: 2026-11-20 12:00:01 UTC, by edit\n"
    assert path.read_text() == FIRST
    assert path.stat().st_mode & 0o777 == 0o751
    assert [each.name for each in kept.directory.iterdir() if each.suffix == ".restore"] == []


def test_it_is_recorded_as_a_call_that_names_the_file(kept: Here) -> None:
    path = kept.directory / "a.txt"

    trace = kept("restore", "a.txt", "--at", THEN["first"], "--json").json["trace"]
    calls = list(read_journal(kept.state, kinds="tool:*"))

    start, finish = calls
    assert isinstance(start, ToolStarted)
    assert isinstance(finish, ToolFinished)
    assert (start.trace, start.name, start.cwd) == (trace, "eventbus restore", str(kept.directory))
    assert start.input == {"path": "a.txt", "at": "2026-11-20T12:00:01.000Z"}
    assert (finish.outcome, start.scope.agent) == ("success", None)
    written = path.stat().st_mtime
    assert start.ts.timestamp() - 0.01 <= written <= finish.ts.timestamp()


def test_a_moment_as_it_is_shown_means_the_change_that_was_made_then(kept: Here) -> None:
    with EventBus(kept.state, sinks=["sqlite"]) as bus:
        hash = Contents(kept.state).put(b"of that second")
        bus.emit_nowait(FileWritten(path="a.txt", ts=at(3.75), hash=hash))

    for moment in ("2026-11-20T12:00:03Z", "2026-11-20T12:00:03.750Z"):
        (kept.directory / "a.txt").unlink(missing_ok=True)
        assert kept("restore", "a.txt", "--at", moment).code == exits.OK
        assert (kept.directory / "a.txt").read_text() == "of that second"


def test_a_file_that_is_gone_comes_back_with_its_directory(kept: Here) -> None:
    assert kept("restore", "gone", "--at", THEN["first"]).code == exits.OK
    assert (kept.directory / "gone").read_text() == FIRST


def test_what_is_not_kept_is_not_overwritten_unless_by_force(kept: Here) -> None:
    path = kept.directory / "a.txt"
    path.write_text("nobody knows of this")

    refused = kept("restore", "a.txt", "--at", THEN["first"])
    assert refused.code == exits.FINDING
    assert "was left as it is: what it holds now is not kept" in refused.err
    assert path.read_text() == "nobody knows of this"

    assert kept("restore", "a.txt", "--at", THEN["first"], "--force").code == exits.OK
    assert path.read_text() == FIRST


def test_a_file_that_is_so_already_is_left_alone(kept: Here) -> None:
    before = (kept.directory / "a.txt").stat()

    told = kept("restore", "a.txt", "--at", THEN["second"])

    assert told.out.startswith("it is the same already: ")
    assert (kept.directory / "a.txt").stat().st_ino == before.st_ino
    assert [each.kind for each in read_journal(kept.state, kinds="tool:*")] == []


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("gone", "--at", "2026-11-20T12:00:03Z"), "there was no 'gone' then"),
        (("a.txt", "--at", "someday"), "not a moment: 'someday'"),
        (("--at", "1h"), "--at takes the PATH of a file"),
        (("a.txt", "--at", "1h", "--list"), "--at takes the PATH of a file"),
        (("a.txt", "--force"), "--force is for a file; say which moment by --at"),
    ],
)
def test_what_cannot_be_put_back_is_said(kept: Here, args: tuple[str, ...], why: str) -> None:
    told = kept("restore", *args)

    assert told.code == exits.WRONG_USE
    assert why in told.err


def test_no_link_is_written_through(kept: Here, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "b").write_text("x")
    contents = Contents(kept.state)
    with EventBus(kept.state, sinks=["sqlite"]) as bus:
        for path in ("link", "way/b"):
            bus.emit_nowait(FileWritten(path=path, ts=at(1), hash=contents.put(b"mine")))
    (kept.directory / "link").symlink_to(outside / "b")
    (kept.directory / "way").symlink_to(outside)

    link = kept("restore", "link", "--at", THEN["first"], "--force")
    way = kept("restore", "way/b", "--at", THEN["first"], "--force")

    assert "is no regular file; nothing is read or written" in link.err
    assert "leads out of" in way.err
    assert (outside / "b").read_text() == "x"


def test_what_changes_at_the_last_moment_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"just written")

    with pytest.raises(Exception, match="has just been changed by somebody else"):
        write_back(path, b"old", instead_of=b"what was read")

    assert path.read_bytes() == b"just written"
    assert os.listdir(tmp_path) == ["a"]


# --- what was there before ---------------------------------------------------------------


def test_the_first_change_that_was_seen_can_be_compared_and_undone(here: Here) -> None:
    path = here.directory / "old.txt"
    path.write_text("as it was\n")
    contents = Contents(here.state, WatchSettings(keep="text"))
    found = [("old.txt", path.stat().st_ctime_ns)]
    assert Baseline(here.directory.resolve(), contents).take(found) == 1
    before = datetime.now(UTC)
    path.write_text("broken\n")
    told = before + timedelta(milliseconds=50)
    event = FileWritten(path="old.txt", ts=told, hash=contents.put(b"broken\n"))
    with EventBus(here.state, sinks=["sqlite"]) as bus:
        bus.emit_nowait(event)

    shown = here("diff", "old.txt")
    put = here("restore", "old.txt", "--at", before.isoformat())

    assert shown.lines[0].endswith(" UTC, before it was watched")
    assert shown.lines[3:] == ["-as it was", "+broken"]
    assert put.code == exits.OK
    assert path.read_text() == "as it was\n"
