"""The watcher over real directories: what is told, and what is not."""

import json
import os
import shutil
import threading
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from eventbus import Event, EventBus, tool
from eventbus.disk import Disk
from eventbus.errors import SettingsError
from eventbus.events import (
    ErrorRaised,
    FileDeleted,
    FileWritten,
    WatchBurst,
    WatchGap,
)
from eventbus.producers import root as root_module
from eventbus.producers import rounds
from eventbus.producers.watcher import Watcher
from eventbus.scope import Scope
from eventbus.watching.change import Actor, Change
from eventbus.watching.settings import WatchSettings
from sinks.memory import MemorySink
from tests.letters import eventually
from tests.watching.heard import QUICK, watching
from tests.watching.trees import told_tree


@pytest.fixture(autouse=True)
def turns_come_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found once a second is found ten times as soon."""
    monkeypatch.setattr(rounds, "TURN_S", 0.1)
    monkeypatch.setattr(root_module, "CLAIM_S", 0.1)


# --- what is told ------------------------------------------------------------------


def test_a_file_that_is_written_is_told_with_its_size(tmp_path: Path) -> None:
    with watching(tmp_path) as heard:
        (tmp_path / "root/a.txt").write_text("hello")
        assert eventually(lambda: heard.of(FileWritten))

    [told] = heard.of(FileWritten)
    assert (told.path, told.size_bytes, told.actor, told.hash) == ("a.txt", 5, None, None)


@pytest.mark.on_both_backends
async def test_it_is_a_block_in_a_loop_as_well(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    sink = MemorySink()
    async with EventBus(None, sinks=[sink]) as bus, Watcher(bus, [root], settings=QUICK):
        await anyio.to_thread.run_sync((root / "a.txt").write_text, "hello")

    assert [event.path for event in sink.events if isinstance(event, FileWritten)] == ["a.txt"]


def test_leaving_the_block_tells_what_was_changed_right_before(tmp_path: Path) -> None:
    with watching(tmp_path) as heard:
        (tmp_path / "root/a.txt").write_text("hello")
        heard.watcher.close()

        assert heard.ops == [("write", "a.txt")]


def test_a_move_is_a_delete_and_a_write_that_name_each_other(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.txt").write_text("hello")
    with watching(tmp_path) as heard:
        (tmp_path / "root/a.txt").rename(tmp_path / "root/b.txt")
        assert eventually(lambda: len(heard.ops) == 2)

    [written], [deleted] = heard.of(FileWritten), heard.of(FileDeleted)
    assert (written.path, written.moved_from) == ("b.txt", "a.txt")
    assert (deleted.path, deleted.moved_to) == ("a.txt", "b.txt")


def test_what_is_in_directories_made_at_once_is_told(tmp_path: Path) -> None:
    with watching(tmp_path) as heard:
        deep = tmp_path / "root/a/b/c"
        deep.mkdir(parents=True)
        (deep / "d.txt").write_text("x")
        assert heard.tells(tmp_path / "root")
        (deep / "d.txt").write_text("more")
        assert heard.tells(tmp_path / "root")


def test_writes_in_a_directory_that_was_moved_are_told_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "root/a").mkdir(parents=True)
    (tmp_path / "root/a/f.txt").write_text("x")
    with watching(tmp_path) as heard:
        (tmp_path / "root/a").rename(tmp_path / "root/b")
        assert eventually(lambda: ("delete", "a") in heard.ops)
        (tmp_path / "root/b/f.txt").write_text("longer")

        assert eventually(lambda: heard.of(FileWritten)[-1].size_bytes == 6)
        assert heard.of(FileWritten)[-1].path == "b/f.txt"


def test_a_directory_removed_and_made_again_is_watched(tmp_path: Path) -> None:
    """It may have the inode of the one before, and the kernel forgot that one."""
    (tmp_path / "root/a").mkdir(parents=True)
    with watching(tmp_path) as heard:
        for number in range(5):
            shutil.rmtree(tmp_path / "root/a")
            (tmp_path / "root/a").mkdir()
            (tmp_path / f"root/a/{number}.txt").write_text("x")
            wanted = f"a/{number}.txt"
            assert eventually(lambda wanted=wanted: ("write", wanted) in heard.ops)
            (tmp_path / f"root/a/{number}.txt").write_text("more")
            assert eventually(
                lambda wanted=wanted: told_tree(heard.of(Event), start={"a": None})[wanted] == 4
            )


def test_a_second_write_within_the_same_tick_is_told(tmp_path: Path) -> None:
    """Neither its size nor its time differs, yet its content may."""
    with watching(tmp_path, settings=WatchSettings(quick=True, hash=True)) as heard:
        file = tmp_path / "root/a.txt"
        for text in "abcabcabcd":
            file.write_text(text)
        last = f"sha256:{sha256(b'd').hexdigest()}"

        assert eventually(lambda: heard.of(FileWritten) and heard.of(FileWritten)[-1].hash == last)


def test_a_hash_is_told_on_request_up_to_a_size(tmp_path: Path) -> None:
    settings = WatchSettings(quick=True, hash=True, hash_bytes=10)
    with watching(tmp_path, settings=settings) as heard:
        (tmp_path / "root/small").write_text("x" * 10)
        (tmp_path / "root/large").write_text("x" * 11)
        os.mkfifo(tmp_path / "root/pipe")
        assert eventually(lambda: len(heard.ops) == 3)

    hashes = {event.path: event.hash for event in heard.of(FileWritten)}
    assert hashes == {
        "small": f"sha256:{sha256(b'x' * 10).hexdigest()}",
        "large": None,
        "pipe": None,
    }


def test_a_file_written_all_the_time_does_not_flood(tmp_path: Path) -> None:
    with watching(tmp_path) as heard:
        file = tmp_path / "root/log.txt"
        is_over = threading.Event()

        def write() -> None:
            with file.open("w", buffering=1) as out:
                while not is_over.wait(0.005):
                    out.write("line\n")

        writing = threading.Thread(target=write)
        writing.start()
        is_over.wait(0.8)
        is_over.set()
        writing.join()
        assert heard.tells(tmp_path / "root")

    assert 1 <= len(heard.of(FileWritten)) <= 12


def test_a_name_that_is_no_text_ends_nothing(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "root")
    with watching(tmp_path) as heard:
        for number in range(3):
            with open(root + b"/caf\xe9%d" % number, "w") as file:
                file.write("x")
            (tmp_path / f"root/plain{number}").write_text("xx")
            assert heard.tells(tmp_path / "root")

    assert ("write", r"caf\xe92") in heard.ops


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with watching(tmp_path) as heard:
        (tmp_path / "root/link").symlink_to(outside)
        (tmp_path / "root/everything").symlink_to("/")
        (outside / "secret.txt").write_text("x")
        (tmp_path / "root/last.txt").write_text("x")
        assert heard.tells(tmp_path / "root")

    assert {path for _, path in heard.ops} == {"link", "everything", "last.txt"}


# --- what is not -------------------------------------------------------------------


def test_its_own_files_are_never_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    sink = MemorySink()
    with EventBus(root / "deep/kept", sinks=[sink, "jsonl"]) as bus:
        with Watcher(bus, [root], settings=QUICK, own=[root / "mine*.log"]):
            (root / "mine-1.log").write_text("x")
            (root / "a.txt").write_text("x")
            assert eventually(lambda: any(isinstance(each, FileWritten) for each in sink.events))
        bus.flush_now(timeout=10)

    assert (root / "deep/kept/logs/events.jsonl").exists()
    assert [event.path for event in sink.events if isinstance(event, FileWritten)] == ["a.txt"]


def test_what_is_ignored_is_not_told(tmp_path: Path) -> None:
    settings = WatchSettings(quick=True, ignore=("*.log",))
    with watching(tmp_path, settings=settings) as heard:
        for path in ("node_modules/a/b.js", ".git/index", "a.log", "told.txt"):
            (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / path).write_text("x")
        assert eventually(lambda: heard.ops)

    assert heard.ops == [("write", "told.txt")]


def test_a_gitignore_counts_only_if_asked_for(tmp_path: Path) -> None:
    """An agent that writes `*` into one would go unrecorded."""
    with watching(tmp_path) as heard:
        (tmp_path / "root/.gitignore").write_text("*")
        (tmp_path / "root/a.txt").write_text("x")
        assert heard.tells(tmp_path / "root")


def test_a_gitignore_hides_and_its_change_shows(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / ".gitignore").write_text("*.o\n")
    settings = WatchSettings(quick=True, gitignore=True)
    with watching(tmp_path, settings=settings) as heard:
        (root / "sub/a.o").write_text("x")
        (root / "sub/a.c").write_text("x")
        assert eventually(lambda: ("write", "sub/a.c") in heard.ops)
        assert ("write", "sub/a.o") not in heard.ops
        (root / ".gitignore").write_text("*.c\n")
        assert eventually(lambda: ("write", "sub/a.o") in heard.ops)


def test_what_was_there_when_it_was_watched_first_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/old.txt").write_text("x")

    with watching(tmp_path) as heard:
        pass

    assert heard.of(FileWritten, WatchGap) == []


def test_nothing_is_watched_when_it_is_off_or_recording_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watching(tmp_path, settings=WatchSettings(off=True)) as heard:
        assert heard.watcher.told == 0
    monkeypatch.setenv("EVENTBUS_DISABLED", "1")
    with watching(tmp_path) as heard:
        assert heard.watcher.wait(0)


def test_what_is_written_while_everything_is_looked_at_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    sink = MemorySink()
    with EventBus(None, sinks=[sink]) as bus:
        watcher = Watcher(bus, [root], settings=QUICK).open()
        (root / "a.txt").write_text("x")
        watcher.close()

    assert told_tree(sink.events) == {"a.txt": 1}


# --- gaps --------------------------------------------------------------------------


def test_what_changed_while_nobody_watched_is_told_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with watching(tmp_path):
        (root / "gone.txt").write_text("x")
        (root / "kept.txt").write_text("x")
    (root / "gone.txt").unlink()
    (root / "new").mkdir()
    (root / "new/a.txt").write_text("x")

    with watching(tmp_path) as heard:
        pass

    assert sorted(heard.ops) == [("delete", "gone.txt"), ("mkdir", "new"), ("write", "new/a.txt")]
    [gap] = heard.of(WatchGap)
    assert (gap.reason, gap.found) == ("not running", 3)
    assert gap.from_ < gap.to


def test_what_other_rules_had_hidden_is_no_change(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "out").mkdir(parents=True)
    (root / "out/a.txt").write_text("x")
    with watching(tmp_path, settings=WatchSettings(quick=True, ignore=("out/",))):
        pass

    with watching(tmp_path) as heard:
        pass

    assert heard.ops == []


def test_a_root_that_goes_and_comes_back_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with watching(tmp_path) as heard:
        (root / "a.txt").write_text("x")
        assert heard.tells(root)
        shutil.rmtree(root)
        assert eventually(lambda: heard.of(WatchGap))
        root.mkdir()
        (root / "b.txt").write_text("x")
        assert heard.tells(root)
        (root / "b.txt").write_text("longer")
        assert heard.tells(root)

    assert [gap.reason for gap in heard.of(WatchGap)] == ["root gone", "root back"]


def test_a_root_that_is_not_there_yet_is_watched_once_it_is(tmp_path: Path) -> None:
    root = tmp_path / "later"
    sink = MemorySink()
    with EventBus(None, sinks=[sink]) as bus, Watcher(bus, [root], settings=QUICK):
        root.mkdir()
        (root / "a.txt").write_text("x")
        assert eventually(lambda: bool(bus.flush_now()) and told_tree(sink.events) == {"a.txt": 1})


def test_roots_inside_each_other_or_the_state_are_refused(tmp_path: Path) -> None:
    bus = EventBus(tmp_path / "state")

    with pytest.raises(SettingsError, match=r"cannot hold '.*/a/b': it is in '.*/a'"):
        Watcher(bus, [tmp_path / "a", tmp_path / "a/b"])
    with pytest.raises(SettingsError, match="it is in the state directory"):
        Watcher(bus, [tmp_path / "state/logs"])


def test_of_two_watchers_on_one_state_directory_one_is_at_work(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with watching(tmp_path) as heard, Watcher(heard.bus, [root], settings=QUICK) as second:
        (root / "a.txt").write_text("x")
        assert heard.tells(root)
        assert second.told == 0
        heard.watcher.close()
        (root / "b.txt").write_text("x")
        assert eventually(lambda: second.told)

    assert [path for _, path in heard.ops] == ["a.txt", "b.txt"]


class StumblingDisk(Disk):
    """Raises what no disk should, once it is told to."""

    def __init__(self) -> None:
        self.stumbles = False

    def scan(self, directory: Path | str) -> list[os.DirEntry[str]]:
        if self.stumbles:
            self.stumbles = False
            raise RuntimeError("no disk says that")
        return super().scan(directory)


def test_an_error_of_its_own_is_recorded_and_everything_looked_at_anew(tmp_path: Path) -> None:
    disk = StumblingDisk()
    with watching(tmp_path, disk=disk) as heard:
        disk.stumbles = True
        (tmp_path / "root/a").mkdir()
        assert eventually(lambda: heard.of(WatchGap))
        (tmp_path / "root/a/b.txt").write_text("x")
        assert heard.tells(tmp_path / "root")

    assert heard.of(WatchGap)[0].reason == "watcher died: RuntimeError: no disk says that"
    [error] = heard.of(ErrorRaised)
    assert (error.type, error.context) == ("RuntimeError", "watching files")


def test_where_the_kernel_is_not_to_be_asked_it_looks(tmp_path: Path) -> None:
    with watching(tmp_path, settings=WatchSettings(poll=True)) as heard:
        (tmp_path / "root/a/b").mkdir(parents=True)
        (tmp_path / "root/a/b/c.txt").write_text("x")
        assert heard.tells(tmp_path / "root")
        (tmp_path / "root/a/b/c.txt").write_text("longer")
        assert heard.tells(tmp_path / "root")
        shutil.rmtree(tmp_path / "root/a")
        assert heard.tells(tmp_path / "root")

    assert heard.of(WatchGap) == []
    assert not [each for each in threading.enumerate() if each.name == "eventbus-ear"]


# --- who did it, and what was kept ------------------------------------------------------


class AlwaysScout:
    """Says that one tool call did all of it."""

    def __init__(self) -> None:
        self.caught_up: list[datetime] = []

    async def catch_up(self, noticed: datetime, changes: object = ()) -> None:
        await anyio.sleep(0)
        self.caught_up.append(noticed)

    def actor_of(self, change: Change) -> Actor:
        assert self.caught_up[-1] >= change.noticed
        return Actor(actor="edit", agent_name="scout", trace="t1", scope=SCOPE, cause="c1")


SCOPE = Scope(session="s-1", agent="scout")


def test_the_tool_call_that_made_a_change_is_told_with_it(tmp_path: Path) -> None:
    with watching(tmp_path) as heard:
        with tool("edit", {"path": "a.txt"}, bus=heard.bus, cwd=tmp_path / "root") as call:
            (tmp_path / "root/a.txt").write_text("hello")
        assert eventually(lambda: heard.of(FileWritten))

        written = heard.of(FileWritten)[-1]
        assert (written.actor, written.trace, written.cause) == ("edit", call.trace, call.trace)


def test_who_did_it_is_asked_and_told(tmp_path: Path) -> None:
    with watching(tmp_path, attribution=AlwaysScout()) as heard:
        (tmp_path / "root/a.txt").write_text("x")
        assert eventually(lambda: heard.ops)

    [told] = heard.of(FileWritten)
    assert (told.actor, told.agent_name, told.trace) == ("edit", "scout", "t1")
    assert (told.scope, told.cause) == (SCOPE, "c1")


def test_what_is_written_can_be_kept_and_is_told_under_its_hash(tmp_path: Path) -> None:
    kept: list[tuple[str, bytes]] = []

    def keep(change: Change) -> str:
        kept.append((change.path, change.where.read_bytes()))
        return "sha256:abc"

    with watching(tmp_path, keep=keep) as heard:
        (tmp_path / "root/a.txt").write_text("x")
        assert eventually(lambda: heard.ops)

    assert kept == [("a.txt", b"x")]
    assert heard.of(FileWritten)[0].hash == "sha256:abc"


class Broken:
    async def catch_up(self, noticed: datetime, changes: object = ()) -> None:
        raise RuntimeError("no idea")

    def actor_of(self, change: Change) -> Actor:
        raise RuntimeError("no idea")


def test_trouble_in_asking_is_recorded_and_the_change_told(tmp_path: Path) -> None:
    with watching(tmp_path, attribution=Broken()) as heard:
        (tmp_path / "root/a.txt").write_text("x")
        (tmp_path / "root/b.txt").write_text("x")
        assert heard.tells(tmp_path / "root")

    [error] = heard.of(ErrorRaised)
    assert (error.type, error.context) == ("RuntimeError", "asking who changed files")


# --- bursts ------------------------------------------------------------------------


def test_a_burst_is_one_line_in_the_activity_log_and_each_path_in_the_audit(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with EventBus(tmp_path / "state", sinks=["flat", "audit"]) as bus:
        with Watcher(bus, [root], settings=QUICK):
            for directory in ("src", "build"):
                (root / directory).mkdir()
                for number in range(300):
                    (root / directory / f"{number}.txt").write_text("xx")
        assert bus.flush_now(timeout=10).reached

    logs = tmp_path / "state/logs"
    audit = (logs / "audit.jsonl").read_text().splitlines()
    flat = (logs / "activity.log").read_text().splitlines()
    assert len({json.loads(line)["path"] for line in audit}) == 602
    bursts = [line for line in flat if "|watch:burst|watch|changes=" in line]
    assert bursts
    single = [line for line in flat if "|file:" in line]
    assert len(single) + sum(_changes(line) for line in bursts) == len(audit)
    assert len(flat) < 250


def _changes(line: str) -> int:
    return int(line.partition("changes=")[2].partition(" ")[0])


def test_a_burst_says_what_and_where(tmp_path: Path) -> None:
    with watching(tmp_path, attribution=AlwaysScout()) as heard:
        made = tmp_path / "made/gen"
        made.mkdir(parents=True)
        for number in range(400):
            (made / f"{number}.txt").write_text("xx")
        made.parent.rename(tmp_path / "root/out")
        assert heard.tells(tmp_path / "root")

    [burst] = heard.of(WatchBurst)
    assert (burst.changes, burst.written, burst.made, burst.size_bytes) == (402, 400, 2, 800)
    assert burst.where == {".": 1, "out": 401}
    assert (burst.actor, burst.scope) == ("edit", SCOPE)
    assert {event.burst for event in heard.of(FileWritten)} == {burst.id}
    assert burst.ts.tzinfo is UTC
