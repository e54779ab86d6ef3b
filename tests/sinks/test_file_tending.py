"""The file sink between batches: files that others move, pruning, packing, syncs that fail."""

import asyncio
import errno
import gc
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus.disk import Disk
from eventbus.errors import SettingsError
from eventbus.events import IoFailed
from eventbus.segments import Series, read_lines
from eventbus.sink import Batch, Home
from eventbus.testing import FaultyDisk
from sinks.file import FileSink, Flat, Jsonl, Sessions
from tests.sinks.files import NOON, Desk, at, line, lines_in, messages, place, run


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def names_of_a_month(desk: Desk, days: int = 40) -> list[str]:
    """Make a file for each of the days before today."""
    desk.logs.mkdir(parents=True, exist_ok=True)
    today = desk.clock.now().date()
    names = [f"activity-{today - timedelta(days=n)}.log" for n in range(1, days + 1)]
    for name in names:
        (desk.logs / name).write_bytes(b"2026-01-01T00:00:00.000Z|a:b|c|old\n")
    return names


# --- files that others move -------------------------------------------------------


@pytest.mark.parametrize("notice", ["tick", "write"])
@pytest.mark.parametrize("act", ["delete", "rename", "replace", "cut", "empty the directory"])
def test_a_file_moved_by_others_is_noticed_and_writing_goes_on(
    desk: Desk, act: str, notice: str
) -> None:
    path = desk.logs / "activity.log"

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("before"))
        if act == "delete":
            path.unlink()
        elif act == "rename":
            path.rename(path.with_name("elsewhere"))
        elif act == "replace":
            path.with_name("new").write_bytes(b"2026-03-10T01:00:00.000Z|a:b|c|theirs\n")
            path.with_name("new").rename(path)
        elif act == "cut":
            os.truncate(path, 0)
        else:
            for each in desk.logs.iterdir():
                each.unlink()
            desk.logs.rmdir()
        if notice == "tick":
            await desk.tick(seconds=1)
            assert path.exists()
        await desk.write(line("after"))
        assert desk.sink.reopened == 1
        await desk.close()
        await desk.open(Flat())
        await desk.write(line("later"))
        await desk.close()

    run(go())

    theirs = ["theirs"] if act == "replace" else []
    assert lines_in(path) == [*theirs, "after", "later"]
    failures = [event for event in desk.told if isinstance(event, IoFailed)]
    assert len(failures) == 1
    assert failures[0].message.startswith("activity.log was ")


def test_lines_that_others_append_are_left_alone(desk: Desk) -> None:
    path = desk.logs / "activity.log"

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        with path.open("ab") as file:
            file.write(
                b"2026-03-10T01:00:00.000Z|a:b|c|theirs\n2026-03-10T01:00:00.000Z|a:b|c|torn"
            )
        await desk.write(line("b"))
        await desk.close()

    run(go())

    assert lines_in(path) == ["a", "theirs", "torn", "b"]
    assert desk.sink is None
    assert desk.told == []


def test_a_file_rotated_by_hand_is_no_trouble(desk: Desk) -> None:
    """`rotate_log` gives the file an archive's name; the sink begins a new one."""

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        archive = desk.logs / "activity-2026-03-10.1.log"
        (desk.logs / "activity.log").rename(archive)
        await desk.write(line("b"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity-2026-03-10.1.log") == ["a"]
    assert lines_in(desk.logs / "activity.log") == ["b"]
    assert desk.told == []


# --- pruning ------------------------------------------------------------------------


def test_files_older_than_thirty_days_are_pruned_and_no_others(desk: Desk) -> None:
    names = names_of_a_month(desk)
    foreign = [
        *("activity-2020-01-01.log.bak", "activity-2020-01-01.txt", "myactivity-2020-01-01.log"),
        *("activity-2020-02-30.log", "activity-2020-1-1.log", "activity-2020-01-01.01.log"),
        *("activity-2020-01-01.0.log", "audit-2020-01-01.jsonl", "activity-2020-01-01.log.gz"),
        "activity-2020-01-01.1.2.log",
    ]
    for name in foreign:
        (desk.logs / name).write_bytes(b"theirs")
    (desk.logs / "activity-2020-01-02.log").symlink_to(desk.logs / foreign[0])
    (desk.logs / "activity-2020-01-03.log").mkdir()
    ours = ["activity-2020-01-01.log", "activity-2020-01-01.7.log", "activity-2020-01-01.log.zst"]
    for name in ours:
        (desk.logs / name).write_bytes(b"ours")

    async def go() -> None:
        await desk.open(Flat())
        await desk.tick()
        await desk.close()

    run(go())

    left = {path.name for path in desk.logs.iterdir() if not path.name.startswith(".")}
    assert left == {*names[:30], *foreign, "activity-2020-01-02.log", "activity-2020-01-03.log"}


def test_keeping_for_zero_days_is_keeping_for_ever(desk: Desk) -> None:
    names = names_of_a_month(desk)

    async def go() -> None:
        await desk.open(Flat(keep_days=0))
        await desk.tick()
        await desk.close()

    run(go())

    assert set(names) <= set(desk.names())


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_jumps_ten_years_deletes_nothing_that_day(desk: Desk, restarts: bool) -> None:
    names = names_of_a_month(desk, days=25)

    async def go() -> None:
        await desk.open(Flat())
        await desk.tick()
        await desk.write(line("m"))
        if restarts:
            await desk.close()
        desk.clock.jump(at(10).replace(year=2036))
        if restarts:
            await desk.open(Flat())
        for _ in range(23):
            await desk.tick()
            await desk.tick(hours=1)
        assert set(names) <= set(desk.names())
        desk.clock.jump(at(11))
        await desk.tick()
        for _ in range(100):
            await desk.tick(hours=1)
        await desk.close()

    run(go())

    assert set(names) <= set(desk.names())


def test_a_clock_that_stays_wrong_costs_a_day_at_a_time(desk: Desk) -> None:
    names = names_of_a_month(desk, days=25)

    async def go() -> None:
        await desk.open(Flat())
        await desk.tick()
        desk.clock.jump(at(10).replace(year=2036))
        for _ in range(26):
            await desk.tick(hours=1)
        await desk.close()

    run(go())

    assert 20 <= len(set(names) & set(desk.names())) < 25


def test_a_session_that_is_still_written_is_not_pruned(desk: Desk) -> None:
    old = at(1, month=1)

    async def go() -> None:
        desk.clock.jump(old)
        await desk.open(Sessions())
        await desk.write(line("a", old, session="long"), line("b", old, session="short"))
        await desk.close()
        for number in (1, 2):
            os.utime(desk.logs / "sessions" / f"2026-01-01_00{number}.log", (0, old.timestamp()))
        desk.clock.advance(days=29)
        await desk.open(Sessions())
        await desk.write(line("c", session="long"))
        await desk.sync()
        os.utime(desk.logs / "sessions" / "2026-01-01_001.log", (0, desk.clock.now().timestamp()))
        for _ in range(72):
            await desk.tick(hours=1)
        await desk.close()

    run(go())

    assert desk.names("sessions") == ["2026-01-01_001.log"]


# --- packing ------------------------------------------------------------------------


def test_files_of_past_days_are_packed_and_read_all_the_same(desk: Desk) -> None:
    pytest.importorskip("backports.zstd")

    async def go() -> None:
        await desk.open(Flat(compress="zstd", rotate_bytes=100))
        await desk.write(*(line(f"n={n}") for n in range(6)))
        await desk.tick(days=1)
        await desk.write(line("today", at(11)))
        await desk.sync()
        await desk.tick(hours=1)
        await desk.tick()
        await desk.close()

    run(go())

    assert [name for name in desk.names() if not name.endswith(".zst")] == ["activity.log"]
    whole = messages(read_lines(Series.of(desk.logs / "activity.log")))
    assert whole == [*(f"n={n}" for n in range(6)), "today"]


def test_a_line_too_late_for_a_packed_file_gets_one_of_its_own(desk: Desk) -> None:
    pytest.importorskip("backports.zstd")

    async def go() -> None:
        await desk.open(Flat(compress="zstd"))
        await desk.write(line("yesterday"))
        await desk.tick(days=1)
        await desk.sync()
        await desk.tick(hours=1)
        assert desk.names() == ["activity-2026-03-10.log.zst"]
        await desk.write(line("late"))
        await desk.write(line("late too"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity-2026-03-10.1.log") == ["late", "late too"]


def test_a_file_that_may_have_to_be_cut_is_neither_packed_nor_pruned(desk: Desk) -> None:
    pytest.importorskip("backports.zstd")
    old = NOON - timedelta(days=60)

    async def go() -> None:
        await desk.open(Flat(compress="zstd"))
        await desk.write(line("late", at(9)), line("old", old))
        await desk.tick()
        assert desk.names() == ["activity-2026-01-09.log", "activity-2026-03-09.log"]
        await desk.sync()
        await desk.tick(hours=1)
        await desk.close()

    run(go())

    assert desk.names() == ["activity-2026-03-09.log.zst"]


@pytest.mark.parametrize("packed_lines", [b"same", b"other", None])
def test_a_packed_file_beside_its_plain_one_costs_no_line(
    desk: Desk, packed_lines: bytes | None
) -> None:
    """It is there when a crash came between the renaming and the unlinking."""
    zstd = pytest.importorskip("backports.zstd")
    desk.logs.mkdir(parents=True)
    plain = desk.logs / "activity-2026-03-09.log"
    plain.write_bytes(b"2026-03-09T00:00:00.000Z|a:b|c|same\n")
    content = plain.read_bytes().replace(b"same", packed_lines or b"")
    packed = zstd.compress(content) if packed_lines else b"no zstd at all"
    Path(f"{plain}.zst").write_bytes(packed)

    async def go() -> None:
        await desk.open(Flat(compress="zstd"))
        await desk.close()

    run(go())

    told = messages(read_lines(Series.of(desk.logs / "activity.log")))
    assert sorted(told) == sorted({"same", (packed_lines or b"same").decode()})
    assert Path(f"{plain}.zst").exists()
    assert plain.exists() is False


def test_packing_without_its_library_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "backports", None)
    monkeypatch.setitem(sys.modules, "compression", None)

    with pytest.raises(SettingsError, match=r"install eventbus-recorder\[zstd\]"):
        FileSink(compress="zstd")


# --- syncs ----------------------------------------------------------------------------


class SyncCounts(FaultyDisk):
    """Knows which files were synced, and after which bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.synced: dict[str, int] = {}

    def _really(self, operation: str, args: tuple[object, ...]) -> object:
        if operation == "sync":
            path = os.readlink(f"/proc/self/fd/{args[0]}")
            self.synced[os.path.basename(path)] = os.stat(path).st_size
        return super()._really(operation, args)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_sync_covers_every_file_that_was_written(tmp_path: Path) -> None:
    disk = SyncCounts()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Flat(rotate_bytes=100))
        await desk.write(line("late", at(8)), *(line(f"n={n}") for n in range(4)))
        await desk.sync()
        await desk.close()

    run(go())

    sizes = {name: (desk.logs / name).stat().st_size for name in desk.names()}
    assert len(sizes) >= 3
    assert {name: disk.synced.get(name) for name in sizes} == sizes


def test_after_a_failed_sync_the_bytes_are_written_again_to_a_new_file(tmp_path: Path) -> None:
    """The kernel may have dropped them, and would say yes the second time."""
    disk = FaultyDisk()
    desk = Desk(tmp_path / "state", disk=disk)
    path = desk.logs / "activity.log"

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        before = path.stat().st_ino
        disk.fail("sync")
        await desk.sync()
        assert path.stat().st_ino != before
        await desk.write(line("b"))
        await desk.close()

    run(go())

    assert lines_in(path) == ["a", "b"]


def test_a_sync_that_cannot_be_made_good_says_so_until_it_is(tmp_path: Path) -> None:
    disk = FaultyDisk()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        disk.fail("sync", for_good=True)
        for _ in range(3):
            with pytest.raises(OSError, match="Input/output"):
                await desk.sink.sync()
        await desk.write(line("b"))
        disk.heal()
        await desk.sync()
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity.log") == ["a", "b"]


def test_what_was_never_synced_well_is_handed_over_again(tmp_path: Path) -> None:
    disk = FaultyDisk()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        await desk.sync()
        await desk.write(line("b"))
        disk.fail("sync", for_good=True)
        with pytest.raises(OSError, match="Input/output"):
            await desk.close()
        desk.disk = Disk()
        assert await desk.open(Flat()) == place(1)
        assert lines_in(desk.logs / "activity.log") == ["a"]
        await desk.close()

    run(go())


# --- what lanes do ----------------------------------------------------------------------


def test_a_lane_that_does_not_ask_for_the_cursor_loses_no_line(desk: Desk) -> None:
    """A local lane hands nothing over again, so nothing whole is cut for it."""
    path = desk.logs / "activity.log"

    async def go() -> None:
        for message in ("a", "b"):
            sink = Flat()
            await sink.open(Home(desk.state, clock=desk.clock))
            await sink.write(Batch(events=[line(message)]))
            die(sink)
            with path.open("ab") as file:
                file.write(b"2026-03-10T12:00:00.000Z|test:line|test|whole\n2026-03-10T12:00:")

    run(go())

    *lines, torn = path.read_bytes().split(b"\n")
    assert messages(lines) == ["a", "whole", "b", "whole"]
    assert torn == b"2026-03-10T12:00:"


def die(sink: FileSink) -> None:
    """Leave everything as a process does that is gone."""
    assert sink._thread is not None
    assert sink._shelf is not None
    sink._thread.shutdown(wait=True)
    sink._shelf._ledger._book.close()


def test_without_cursors_files_that_are_done_are_let_go_all_the_same(desk: Desk) -> None:
    async def go() -> int:
        sink = Flat()
        await sink.open(Home(desk.state, clock=desk.clock))
        for day in range(1, 10):
            await sink.write(Batch(events=[line("m", at(day))]))
            await sink.sync()
        assert sink._shelf is not None
        kept = len(sink._shelf._ledger.files)
        await sink.close()
        return kept

    assert run(go()) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_what_a_dead_process_wrote_is_synced_before_it_is_counted_on(tmp_path: Path) -> None:
    disk = SyncCounts()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        die(desk.sink)
        disk.synced.clear()
        await desk.open(Flat())
        await desk.close()

    run(go())

    assert disk.synced["activity.log"] == (desk.logs / "activity.log").stat().st_size


def test_a_sink_that_nobody_closed_lets_its_files_go(desk: Desk) -> None:
    """A lane whose time is over goes without closing its sink."""

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        thread = desk.sink._thread._thread
        desk.sink = None
        gc.collect()
        thread.join(10)
        await desk.open(Flat())
        await desk.write(line("b"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity.log") == ["a", "b"]


def test_a_batch_handed_over_in_halves_is_there_once(desk: Desk) -> None:
    """The first half brings no cursor; what it wrote stands behind the one before."""
    batch = Batch(events=[line("a"), line("b"), line("c")], cursor=place(1))
    first, second = batch.halves()

    async def go() -> object:
        await desk.open(Flat())
        await desk.sink.write(first)
        die(desk.sink)
        told = await desk.open(Flat())
        await desk.sink.write(first)
        await desk.sink.write(second)
        await desk.close()
        return told

    assert run(go()) == {}
    assert lines_in(desk.logs / "activity.log") == ["a", "b", "c"]


class SlowDisk(Disk):
    """Writes wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.is_slow = False

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.is_slow:
            self.go.wait(10)
        return super().write(fd, data)


def test_a_write_that_was_cut_off_and_comes_again_is_there_once(tmp_path: Path) -> None:
    """Whoever cancels does not know that the thread writes on."""
    disk = SlowDisk()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("a"))
        disk.is_slow = True
        writing = asyncio.ensure_future(desk.write(line("b")))
        await asyncio.sleep(0.05)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        disk.go.set()
        await desk.deliver(Batch(events=[line("not this one")]))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity.log") == ["a", "b"]


def test_a_hung_disk_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    disk = SlowDisk()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> float:
        await desk.open(Flat())
        disk.is_slow = True
        writing = asyncio.ensure_future(desk.write(line("b")))
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        late = asyncio.get_running_loop().time() - before
        disk.go.set()
        await writing
        await desk.close()
        return late

    assert run(go()) < 1


def test_whatever_else_waits_in_threads_does_not_hold_up_the_sink(desk: Desk) -> None:
    """The loop's own pool is small, and anybody may fill it."""
    let_go = threading.Event()

    async def go() -> None:
        loop = asyncio.get_running_loop()
        waiting = [loop.run_in_executor(None, let_go.wait, 10) for _ in range(64)]
        await desk.open(Flat())
        await asyncio.wait_for(desk.write(line("a")), 5)
        let_go.set()
        await asyncio.gather(*waiting)
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity.log") == ["a"]


def test_a_close_that_was_cut_off_is_done_once_the_disk_goes_on(tmp_path: Path) -> None:
    disk = SlowDisk()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Flat())
        disk.is_slow = True
        writing = asyncio.ensure_future(desk.write(line("a")))
        await asyncio.sleep(0.01)
        sink, desk.sink = desk.sink, None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sink.close(), 0.01)
        disk.go.set()
        await writing
        await until_open(desk)
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity.log") == ["a"]


async def until_open(desk: Desk) -> None:
    """Open as a lane does, which tries again."""
    for _ in range(500):
        try:
            await desk.open(Flat())
            return
        except OSError:
            await asyncio.sleep(0.01)
    pytest.fail("the files were never let go")


def test_a_disk_with_no_room_is_tried_again_and_heals(tmp_path: Path) -> None:
    disk = FaultyDisk()
    desk = Desk(tmp_path / "state", disk=disk)

    async def go() -> None:
        await desk.open(Jsonl())
        await desk.write(line("a"))
        disk.shorten(for_good=False)
        disk.fail("write", 2, error=errno.ENOSPC, for_good=True)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                await desk.write(line("b"))
            assert lines_in(desk.logs / "events.jsonl") == ["a"]
        disk.heal()
        await desk.write(line("b"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "events.jsonl") == ["a", "b"]


def test_a_second_of_many_late_days_leaves_few_descriptors_open(desk: Desk) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)

    async def go() -> int:
        await desk.open(Flat())
        before = len(os.listdir("/proc/self/fd"))
        await desk.write(*(line(f"{n}", start + timedelta(days=n)) for n in range(100)))
        after = len(os.listdir("/proc/self/fd"))
        await desk.sync()
        await desk.close()
        return after - before

    assert run(go()) <= 20
    assert len(desk.names()) == 100


FORK = """
import asyncio, os, sys
from pathlib import Path
from eventbus.events import LogLine
from eventbus.sink import Batch, Home
from sinks import ConsoleSink, FileSink

sinks = [FileSink(path="m.log", shape="flat"), ConsoleSink()]

async def go(state):
    for sink in sinks:
        await sink.open(Home(Path(state)))
        await asyncio.wait_for(sink.write(Batch(events=[LogLine(event_type="a:b")])), 10)

asyncio.run(go(sys.argv[1]))
child = os.fork()
if child == 0:
    asyncio.run(go(sys.argv[2]))
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
asyncio.run(asyncio.wait_for(sinks[0].close(), 10))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_the_sink_anew(tmp_path: Path) -> None:
    """The thread of the parent does not run in the child."""
    states = [tmp_path / "parent", tmp_path / "child"]

    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK, *states], check=True, timeout=30)

    for state in states:
        assert len((state / "logs" / "m.log").read_text().split("\n")) == 2
