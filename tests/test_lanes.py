"""Shared lanes: one process at a time serves each, and whoever is next goes on from its cursor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import (
    DefinitionError,
    EventBus,
    JournalSettings,
    SettingsError,
    SinkNotFound,
    read_journal,
)
from eventbus.disk import SYSTEM_DISK
from eventbus.events.bus import GapLeft
from eventbus.resume import read_cursor
from eventbus.segment import segment_name
from eventbus.sink import NamedSink, Place
from tests.letters import PATIENCE, LetterSent, eventually, letters

ROOT = Path(__file__).parents[1]

PLUGIN = '''
import asyncio, os
import msgspec
from eventbus import Cursor, Place, Sink


class Tally(Sink):
    """Writes the number of each letter, and who wrote it; keeps no cursor of its own."""

    kinds = ("letter:*",)

    class Settings(msgspec.Struct, frozen=True):
        path: str
        holds: bool = False

    def __init__(self, settings):
        self.settings = settings

    async def write(self, batch):
        if self.settings.holds:
            await asyncio.sleep(3600)
        lines = "".join(f"{os.getpid()} {event.n}\\n" for event in batch.events)
        fd = os.open(self.settings.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, lines.encode())
        os.close(fd)


class Ledger(Tally):
    """Keeps its cursor beside what it wrote."""

    async def write(self, batch):
        await super().write(batch)
        with open(self.settings.path + ".cursor", "wb") as file:
            file.write(msgspec.json.encode(batch.cursor))

    async def cursor(self):
        try:
            with open(self.settings.path + ".cursor", "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, Place])
        except FileNotFoundError:
            return {}


class Broken(Sink):
    def __init__(self):
        raise RuntimeError("cannot be made")
'''

SERVER = """
import sys
from eventbus import EventBus
from eventbus.disk import SYSTEM_DISK
from eventbus.resume import read_cursor
from eventbus.events.bus import GapLeft
from eventbus.segment import segment_name
from eventbus.sink import NamedSink, Place
from tests.letters import LetterSent
state, path, serve, start, count, use = sys.argv[1:7]
sinks = [NamedSink(use=use, name="tally", settings={"path": path})]
with EventBus(state, sinks=sinks, serve=serve) as bus:
    for number in range(int(start), int(start) + int(count)):
        bus.emit_nowait(LetterSent(n=number))
    bus.flush_now(timeout=10)
    print("ready", bus.is_resident, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sinks of a stranger's, installed."""
    directory = tmp_path / "site"
    told = directory / "letter_plugins-1.0.dist-info"
    told.mkdir(parents=True)
    (directory / "letter_plugins.py").write_text(PLUGIN)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: letter-plugins\nVersion: 1.0\n")
    names = "".join(
        f"{name.lower()} = letter_plugins:{name}\n" for name in ("Tally", "Ledger", "Broken")
    )
    (told / "entry_points.txt").write_text(f"[eventbus.sinks]\n{names}")
    monkeypatch.syspath_prepend(directory)
    return directory


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the tally writes."""
    return tmp_path / "tally"


def tally(log: Path, name: str | None = "tally", **more: Any) -> NamedSink:
    use = more.pop("use", "tally")
    return NamedSink(use=use, name=name, settings={"path": str(log), **more})


def tallied(log: Path) -> list[int]:
    """The numbers written, in order."""
    return [int(line.split()[1]) for line in log.read_text().splitlines()] if log.exists() else []


def send(bus: EventBus, start: int, count: int) -> None:
    for event in letters(count, start=start):
        bus.emit_nowait(event)
    bus.flush_now(timeout=PATIENCE)


@contextmanager
def process(
    plugins: Path,
    state: Path,
    log: Path,
    *,
    serve: str = "auto",
    start: int = 0,
    count: int = 0,
    use: str = "tally",
) -> Iterator["subprocess.Popen[str]"]:
    """A process with that lane, from when it is ready."""
    arguments = [str(state), str(log), serve, str(start), str(count), use]
    path = os.pathsep.join([str(plugins), str(ROOT)])
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.is_resident = running.stdout.readline().split() == ["ready", "True"]  # type: ignore[attr-defined]
        try:
            yield running
        finally:
            if running.poll() is None:
                running.communicate("\n", timeout=PATIENCE)


# --- from the cursor ------------------------------------------------------------------


@pytest.mark.usefixtures("plugins")
def test_a_shared_lane_begins_at_the_oldest_kept(state: Path, log: Path) -> None:
    with EventBus(state) as bus:
        send(bus, 0, 100)
    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 100, 100)

    assert tallied(log) == list(range(200))


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("use", ["tally", "ledger"])
def test_it_goes_on_from_its_cursor_run_after_run(state: Path, log: Path, use: str) -> None:
    settings = JournalSettings(segment_bytes=5_000, sync_every=0.01)

    for run in range(6):
        sinks = [tally(log, use=use)] if run % 2 else []
        with EventBus(state, sinks=sinks, journal=settings) as bus:
            for part in range(5):
                send(bus, run * 100 + part * 20, 20)
                bus.flush_now(until="synced", timeout=PATIENCE)

    assert tallied(log) == list(range(600))


@pytest.mark.usefixtures("plugins")
def test_the_sinks_own_cursor_counts_and_not_the_lanes(state: Path, log: Path) -> None:
    with EventBus(state, sinks=[tally(log, use="ledger")]) as bus:
        send(bus, 0, 10)
    (state / "journal" / "cursors" / "tally.json").write_text("{}")
    with EventBus(state, sinks=[tally(log, use="ledger")]) as bus:
        send(bus, 10, 10)

    assert tallied(log) == list(range(20))


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}', "\0\0", '{"x": ["a", "b"]}'])
def test_a_cursor_that_cannot_be_read_loses_nothing(state: Path, log: Path, content: str) -> None:
    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 0, 10)
    (state / "journal" / "cursors" / "tally.json").write_text(content)
    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 10, 10)

    assert set(tallied(log)) == set(range(20))


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("use", ["tally", "ledger"])
def test_its_cursor_forgets_writers_nothing_is_left_of(state: Path, log: Path, use: str) -> None:
    cursors = state / "journal" / "cursors"
    with EventBus(state, sinks=[tally(log, use=use)]) as bus:
        send(bus, 0, 10)
        writer = bus.writer_id
    long_ago = Place("20200101T000000000000-0000dead.jsonl", 70)
    just_now = Place(segment_name(datetime.now(UTC), "0000beef"), 70)
    for path in (cursors / "tally.json", cursors / "tally.sink", Path(f"{log}.cursor")):
        if path.exists():
            kept = msgspec.json.decode(path.read_bytes(), type=dict[str, Place])
            more = {**kept, "0000dead": long_ago, "0000beef": just_now}
            path.write_bytes(msgspec.json.encode(more))

    for start in (10, 20):
        with EventBus(state, sinks=[tally(log, use=use)]) as bus:
            send(bus, start, 10)

    assert set(read_cursor(cursors / "tally.json", SYSTEM_DISK)) == {writer, "0000beef"}
    assert tallied(log) == list(range(30))


def nobody_prunes(state: Path) -> bool:
    with (state / "run" / "prune.lock").open("rb") as lock:
        return SYSTEM_DISK.lock(lock.fileno())


@pytest.mark.usefixtures("plugins")
def test_what_pruning_took_from_it_is_told_once_and_by_events(state: Path, log: Path) -> None:
    small = JournalSettings(segment_bytes=1_000)
    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 0, 10)

    with EventBus(state, serve="never", journal=small) as other:
        for start in range(10, 100, 5):
            send(other, start, 5)
            other.flush_now(until="synced", timeout=PATIENCE)
        held = set((state / "journal").glob("*.jsonl"))
        other.use_journal_settings(msgspec.structs.replace(small, keep_bytes=5_000))
        send(other, 100, 10)
        other.flush_now(until="synced", timeout=PATIENCE)
        # The writer prunes behind the flush: a lane that came before it would miss nothing.
        assert eventually(lambda: len([path for path in held if not path.exists()]) > 4)
        other.use_journal_settings(small)
        assert eventually(lambda: nobody_prunes(state))
        with EventBus(state, sinks=[tally(log)]) as bus:
            assert eventually(lambda: 109 in tallied(log))
            assert bus.writer_id != other.writer_id

    gaps = [gap for gap in read_journal(state, kinds="bus:gap") if isinstance(gap, GapLeft)]
    missing = set(range(110)) - set(tallied(log))
    assert len(missing) > 20
    assert {(gap.lane, gap.reason) for gap in gaps} == {("tally", "pruned")}
    assert sum(gap.count for gap in gaps) == len(missing)


@pytest.mark.usefixtures("plugins")
def test_each_lane_of_one_sink_has_its_own_cursor(state: Path, log: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 0, 10)
        bus.attach(tally(second, "second"))
        send(bus, 10, 10)

    assert tallied(log) == tallied(second) == list(range(20))


@pytest.mark.usefixtures("plugins")
def test_a_lane_detached_goes_on_from_there_when_it_is_attached_again(
    state: Path, log: Path
) -> None:
    with EventBus(state, sinks=[tally(log)]) as bus:
        for part in range(5):
            send(bus, part * 20, 10)
            bus.detach("tally")
            send(bus, part * 20 + 10, 10)
            bus.attach(tally(log))

    assert tallied(log) == list(range(100))


@pytest.mark.usefixtures("plugins")
def test_a_named_lane_gets_the_kinds_it_was_given(state: Path) -> None:
    wish = NamedSink(use="jsonl", name="gaps", kinds=("never:*",), settings={"path": "gaps.jsonl"})

    with EventBus(state, sinks=[wish]) as bus:
        send(bus, 0, 10)
        lane = bus.statistics().lanes["gaps"]

    assert (lane.delivered, lane.filtered) == (0, lane.seen)


# --- one at a time -----------------------------------------------------------------------


@pytest.mark.usefixtures("plugins")
def test_one_serves_for_both_and_the_other_takes_over(state: Path, log: Path) -> None:
    first = EventBus(state, sinks=[tally(log)]).open()
    send(first, 0, 10)
    with EventBus(state, sinks=[tally(log)]) as second:
        send(second, 10, 10)
        served = [bus.statistics().lanes["tally"].is_served for bus in (first, second)]
        assert eventually(lambda: len(tallied(log)) == 20)
        first.close()
        send(second, 20, 10)
        assert eventually(lambda: len(tallied(log)) == 30)

        assert second.statistics().lanes["tally"].is_served

    assert served == [True, False]
    assert sorted(tallied(log)) == list(range(30))


def test_so_it_is_between_processes(plugins: Path, state: Path, log: Path) -> None:
    with (
        process(plugins, state, log, count=500) as other,
        EventBus(state, sinks=[tally(log)]) as bus,
    ):
        send(bus, 500, 500)
        assert not bus.statistics().lanes["tally"].is_served
        assert eventually(lambda: len(tallied(log)) == 1_000)
        other.communicate("\n", timeout=PATIENCE)
        send(bus, 1_000, 500)

        assert eventually(lambda: bus.statistics().lanes["tally"].is_served)

    writers = {line.split()[0] for line in log.read_text().splitlines()}
    assert sorted(tallied(log)) == list(range(1_500))
    assert writers == {str(other.pid), str(os.getpid())}


@pytest.mark.parametrize("use", ["tally", "ledger"])
def test_a_server_that_is_killed_is_followed_without_loss(
    plugins: Path, state: Path, log: Path, use: str
) -> None:
    with process(plugins, state, log, count=300, use=use) as other:
        other.send_signal(signal.SIGKILL)
        other.wait(PATIENCE)
        with EventBus(state, sinks=[tally(log, use=use)]) as bus:
            send(bus, 300, 300)
            assert eventually(lambda: set(tallied(log)) == set(range(600)))

    if use == "ledger":  # its cursor moved with what it wrote
        assert sorted(tallied(log)) == list(range(600))


def test_whoever_waits_takes_over_from_one_that_is_killed(
    plugins: Path, state: Path, log: Path
) -> None:
    with process(plugins, state, log) as other, EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 0, 10)
        other.send_signal(signal.SIGKILL)

        assert eventually(lambda: bus.statistics().lanes["tally"].is_served)
        send(bus, 10, 10)
        assert eventually(lambda: set(tallied(log)) == set(range(20)))


# --- a resident ---------------------------------------------------------------------------


def test_a_resident_has_the_lanes_within_a_second_and_each_event_once(
    plugins: Path, state: Path, log: Path
) -> None:
    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 0, 100)
        assert bus.statistics().lanes["tally"].is_served
        with EventBus(state, sinks=[tally(log)], serve="resident") as resident:
            began = time.monotonic()
            assert eventually(lambda: resident.statistics().lanes["tally"].is_served)
            took = time.monotonic() - began
            send(bus, 100, 100)
            assert eventually(lambda: len(tallied(log)) >= 200)
            assert not bus.statistics().lanes["tally"].is_served
            assert resident.is_resident
        send(bus, 200, 100)

        assert eventually(lambda: bus.statistics().lanes["tally"].is_served)
        assert eventually(lambda: len(tallied(log)) >= 300)

    assert took < 1
    assert sorted(tallied(log)) == list(range(300))


def test_a_resident_gets_a_lane_also_from_one_that_is_stuck(
    plugins: Path, state: Path, log: Path
) -> None:
    with EventBus(state, sinks=[tally(log, holds=True)], grace=0.1) as bus:
        bus.emit_nowait(LetterSent(n=0))
        assert eventually(lambda: bus.statistics().lanes["tally"].lag)
        with EventBus(state, sinks=[tally(log)], serve="resident") as resident:
            assert eventually(lambda: resident.statistics().lanes["tally"].is_served, within=2)
            assert eventually(lambda: tallied(log) == [0])


def test_there_is_one_resident(plugins: Path, state: Path, log: Path) -> None:
    with process(plugins, state, log, serve="resident") as other:
        assert other.is_resident  # type: ignore[attr-defined]
        with EventBus(state, serve="resident") as late:
            assert not late.is_resident
    with EventBus(state, serve="resident") as next_one:
        assert next_one.is_resident


def test_a_resident_without_lanes_lets_go_when_it_is_closed(state: Path) -> None:
    for _ in range(2):
        with EventBus(state, serve="resident") as bus:
            assert bus.is_resident


def test_whoever_leaves_leaves_its_events_to_the_resident(
    plugins: Path, state: Path, log: Path
) -> None:
    with process(plugins, state, log, serve="resident"):
        began = time.monotonic()
        for run in range(3):
            with EventBus(state, sinks=[tally(log)]) as bus:
                for event in letters(10, start=run * 10):
                    bus.emit_nowait(event)
            assert bus.report is not None
            assert bus.report.is_complete
        took = time.monotonic() - began

        assert eventually(lambda: len(tallied(log)) == 30)
        assert took < 3

    assert sorted(tallied(log)) == list(range(30))


# --- hooks --------------------------------------------------------------------------------


@pytest.mark.usefixtures("plugins")
def test_a_hook_never_serves(state: Path, log: Path) -> None:
    with EventBus(state, sinks=[tally(log)], serve="never") as hook:
        send(hook, 0, 10)
        time.sleep(0.6)  # longer than anybody takes to look for a free lane
        began = time.monotonic()
        lane = hook.statistics().lanes["tally"]
    took = time.monotonic() - began

    assert not lane.is_served
    assert not log.exists()
    assert took < 0.5
    assert hook.report is not None
    assert hook.report.is_complete


def test_what_a_hook_emits_is_done_by_whoever_serves(plugins: Path, state: Path, log: Path) -> None:
    with EventBus(state, sinks=[tally(log)]) as bus:
        with process(plugins, state, log, serve="never", count=100):
            assert eventually(lambda: tallied(log) == list(range(100)))
        assert bus.statistics().lanes["tally"].delivered == 100


# --- what cannot be ------------------------------------------------------------------------


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        ("jsnl", SinkNotFound, "no sink named 'jsnl'; installed: .*jsonl"),
        (NamedSink(use="tally"), SettingsError, "sink 'tally': .*path"),
        (
            NamedSink(use="tally", settings={"pth": "x"}),
            SettingsError,
            "no setting 'pth'; allowed: ",
        ),
        (
            NamedSink(use="tally", settings={"path": 1}),
            SettingsError,
            "sink 'tally': Expected `str`",
        ),
        (NamedSink(use="null", settings={"x": 1}), SettingsError, "x"),
        (NamedSink(use="null", kinds=("a",)), DefinitionError, "cannot filter by 'a'"),
        (NamedSink(use="null", name="../x"), ValueError, "cannot name a lane"),
        (NamedSink(use="broken"), RuntimeError, "cannot be made"),
    ],
    ids=str,
)
def test_a_wrong_wish_is_refused_at_attach(
    state: Path, wish: Any, error: type[Exception], said: str
) -> None:
    with EventBus(state) as bus:
        with pytest.raises(error, match=said):
            bus.attach(wish)
        send(bus, 0, 1)

        assert bus.statistics().lanes == {}


@pytest.mark.usefixtures("plugins")
def test_lanes_keep_their_promises_on_a_bus_whose_run_directory_is_gone(
    state: Path, log: Path
) -> None:
    import shutil

    with EventBus(state, sinks=[tally(log)]) as bus:
        send(bus, 0, 10)
        shutil.rmtree(state / "run")
        shutil.rmtree(state / "journal" / "cursors", ignore_errors=True)
        send(bus, 10, 10)

    assert tallied(log) == list(range(20))
