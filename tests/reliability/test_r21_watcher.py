"""R21: what the watcher told of a tree equals the tree within 5 s of its last change.

Bursts into nested directories, a queue that overflows, names that are no
text, a root that is replaced, permissions and limits: every doubt is an event,
and its own files are never told.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus, Watcher, WatchSettings, read_journal
from eventbus.events import WatchGap
from sinks.memory import MemorySink
from tests.letters import eventually
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.watched import WITHIN_S, Saw, Told, told_of
from tests.watching.trees import is_settled, real_tree, told_tree

ROOT = Path(__file__).parents[2]
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
ROUNDS = runs(ci=5, long=20)
"""Rounds of a burst."""
FILES = 10_000
"""Files of one burst."""
MUDDLES = runs(ci=1, long=200)
"""Trees that everything is done to."""
STEPS = 1_500
"""Things done to one of them."""
KILLS = runs(ci=1, long=50)
"""Kills of a process that watches."""
OVERFLOWS = runs(ci=1, long=20)
"""Bursts through a queue of sixteen."""


def treemaking(*args: object) -> None:
    """Change a tree, in another process."""
    command = [sys.executable, "-m", "tests.reliability.treemaking", *map(str, args)]
    subprocess.run(command, check=True, cwd=ROOT)


@pytest.mark.timeout(timeout_for(ROUNDS, each=5))
def test_bursts_into_nested_directories(tmp_path: Path, record_property: Tell) -> None:
    """The state directory is among the files: what the recorder writes is never told."""
    slowest_s = 0.0
    for number in range(ROUNDS):
        root = tmp_path / f"{number}"
        root.mkdir()
        sink = MemorySink()
        with EventBus(root / "kept", sinks=[sink, *(["audit"] if number == 0 else [])]) as bus:
            told = Told(bus, sink, root)
            told.tree = {}
            with Watcher(bus, [root]):
                treemaking("fill", root, FILES)
                began = time.monotonic()
                real = real_tree(root, without=("kept",))
                after_s = until_told(told, real, since=began)
                slowest_s = max(slowest_s, after_s)
                assert after_s <= WITHIN_S, f"round {number}: {different(told.tree, real)}"
        assert len([path for path in told.look() if path.endswith(".txt")]) == FILES

    audit = (tmp_path / "0/kept/logs/audit.jsonl").read_text()
    assert audit.count('"op":"write"') >= FILES
    assert "kept" not in audit
    record_property(
        "figure",
        f"{ROUNDS} bursts of {FILES:,} files: 100 % told, {slowest_s:.1f} s after the last at most",
    )


def until_told(told: Told, real: dict[str, int | None], *, since: float) -> float:
    while told.look() != real and time.monotonic() - since <= WITHIN_S:
        time.sleep(0.02)
    return time.monotonic() - since


def different(told: dict[str, int | None], real: dict[str, int | None]) -> list[object]:
    """Some of what is not as it was told."""
    both = told.keys() | real.keys()
    return [(p, told.get(p, "-"), real.get(p, "-")) for p in both if told.get(p) != real.get(p)][:9]


@pytest.mark.timeout(timeout_for(MUDDLES, each=5))
def test_whatever_is_done_to_a_tree(tmp_path: Path, record_property: Tell) -> None:
    slowest_s, told_in_all = 0.0, 0
    for seed in range(MUDDLES):
        root = tmp_path / f"{seed}"
        root.mkdir()
        with told_of(root) as told:
            treemaking("muddle", root, STEPS, seed)
            is_equal, after_s = told.until_equal()
            assert is_equal, f"seed {seed}: {different(told.tree, real_tree(root))}"
            slowest_s = max(slowest_s, after_s)
            told_in_all += len(told.events)
        shutil.rmtree(root)

    record_property(
        "figure",
        f"{MUDDLES} trees, {STEPS:,} acts each: {told_in_all:,} events,"
        f" equal {slowest_s:.1f} s after the last act at most",
    )


@contextmanager
def a_queue_of(notices: int) -> Iterator[None]:
    """Let the kernel keep that many notices for whoever begins to listen."""
    if not os.access(QUEUE, os.W_OK):
        pytest.skip("the length of the kernel's queue cannot be set here")
    before = QUEUE.read_text()
    QUEUE.write_text(str(notices))
    try:
        yield
    finally:
        QUEUE.write_text(before)


@pytest.mark.timeout(timeout_for(OVERFLOWS, each=10))
def test_a_queue_that_overflows(tmp_path: Path, record_property: Tell) -> None:
    """Files written in place move no directory's time: nothing but looking finds them."""
    slowest_s = 0.0
    for number in range(OVERFLOWS):
        root = tmp_path / f"{number}"
        treemaking("fill", root, 2_000)
        assert eventually(lambda root=root: is_settled(root))
        with a_queue_of(16), told_of(root) as told:
            treemaking("rewrite", root)
            is_equal, after_s = told.until_equal()
            assert is_equal, different(told.tree, real_tree(root))
            slowest_s = max(slowest_s, after_s)
            assert eventually(lambda told=told: told.look() and "overflow" in told.gaps)

    record_property(
        "figure", f"{OVERFLOWS} x 2,000 files through a queue of 16: told after {slowest_s:.1f} s"
    )


def test_names_that_are_no_text(tmp_path: Path, record_property: Tell) -> None:
    root = os.fsencode(tmp_path)
    with told_of(tmp_path) as told:
        for number in range(20):
            directory = root + b"/plain/%d/d\xe9" % number
            os.makedirs(directory)
            for name in (b"/\xff.txt", b"/plain.txt", b"/../beside\xfe"):
                with open(directory + name, "w") as file:
                    file.write("x")
        is_equal, first_s = told.until_equal()
        assert is_equal, different(told.tree, real_tree(tmp_path))
        for number in range(20):
            with open(root + b"/plain/%d/d\xe9/\xff.txt" % number, "w") as file:
                file.write("longer")
        is_equal, second_s = told.until_equal()
        assert is_equal, different(told.tree, real_tree(tmp_path))

    assert "plain/7/d\\xe9/\\xff.txt" in told.tree
    record_property("figure", f"60 files: told after {max(first_s, second_s):.1f} s at most")


def test_a_root_that_is_replaced(tmp_path: Path, record_property: Tell) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    for directory in (root, other):
        (directory / "in").mkdir(parents=True)
        (directory / "in/same.txt").write_text("x")
    (other / "in/more.txt").write_text("x")
    assert eventually(lambda: is_settled(tmp_path))
    with told_of(root) as told:
        root.rename(tmp_path / "before")
        other.rename(root)
        is_equal, first_s = told.until_equal()
        assert is_equal, different(told.tree, real_tree(root))
        (root / "in/same.txt").write_text("longer")
        is_equal, second_s = told.until_equal()
        assert is_equal, different(told.tree, real_tree(root))

    assert set(told.gaps) & {"root replaced", "root back"}
    record_property("figure", f"told after {max(first_s, second_s):.1f} s at most")


def test_permission_that_is_taken_away(record_property: Tell) -> None:
    """Root may read everything, so another user watches."""
    with tempfile.TemporaryDirectory(prefix="eventbus-r21-") as directory:
        saw = seen("unreadable", directory)

    assert saw.is_equal
    assert any(gap.startswith("unreadable: 7: ") for gap in saw.gaps)
    assert any(gap.startswith("unreadable: 8") for gap in saw.gaps)
    record_property("figure", f"40 directories, 2 not readable: told after {saw.after_s:.1f} s")


def test_a_limit_of_watches_that_is_reached(tmp_path: Path, record_property: Tell) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-Ur", "true"], check=False).returncode:
        pytest.skip("a limit of one's own needs a user namespace")
    saw = seen("limit", tmp_path, 25, before=[unshare, "-Ur"])

    assert saw.is_equal
    assert len([gap for gap in saw.gaps if gap.startswith("watch limit: ")]) == 1
    record_property("figure", f"100 directories, 25 watches: told after {saw.after_s:.1f} s")


def seen(*args: object, before: list[str] | None = None) -> Saw:
    """What a watcher in another process saw."""
    command = [*(before or []), sys.executable, "-m", "tests.reliability.watched"]
    asked = subprocess.run(
        [*command, *map(str, args)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert asked.returncode == 0, asked.stderr
    return msgspec.json.decode(asked.stdout, type=Saw)


WATCHING = """
import sys, time
from eventbus import EventBus, Watcher
with EventBus(sys.argv[1]) as bus, Watcher(bus, [sys.argv[2]]):
    print("watching", flush=True)
    time.sleep(60)
"""


@pytest.mark.timeout(timeout_for(KILLS, each=10))
def test_what_changes_while_nobody_watches(tmp_path: Path, record_property: Tell) -> None:
    """The one before was killed in the midst of a burst."""
    found = []
    for number in range(KILLS):
        root, state = tmp_path / f"root-{number}", tmp_path / f"state-{number}"
        root.mkdir()
        watching = subprocess.Popen(
            [sys.executable, "-c", WATCHING, str(state), str(root)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert watching.stdout is not None
        assert watching.stdout.readline() == b"watching\n"
        treemaking("fill", root, 1_000 + 100 * (number % 9))
        watching.send_signal(signal.SIGKILL)
        watching.wait()
        watching.stdout.close()
        treemaking("muddle", root, 300, number)
        with EventBus(state) as bus, Watcher(bus, [root], settings=WatchSettings()):
            pass
        events = [*read_journal(state)]
        assert told_tree(events) == real_tree(root), different(told_tree(events), real_tree(root))
        gaps = [each for each in events if isinstance(each, WatchGap)]
        assert gaps[-1].reason == "not running"
        found.append(gaps[-1].found or 0)

    record_property("figure", f"{KILLS} kills: told = real; found {min(found)} and more each time")
