"""A watcher in a process of its own, under limits that a test sets it.

`python -m tests.reliability.watched limit DIRECTORY WATCHES` watches more
directories than the kernel lets it, `unreadable DIRECTORY` some that it may
not read; each prints a `Saw` as JSON.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from eventbus import Event, EventBus, WatchSettings
from eventbus.events import WatchGap
from eventbus.producers.watcher import Watcher
from sinks.memory import MemorySink
from tests.watching.trees import real_tree, told_tree

NOBODY_ID = 65_534
WATCHES = Path("/proc/sys/user/max_inotify_watches")
WITHIN_S = 5.0


class Saw(msgspec.Struct):
    """What came of it."""

    is_equal: bool
    after_s: float
    """From the last change until what was told was what is."""
    gaps: list[str]


class Told:
    """What a watcher told since it began."""

    def __init__(self, bus: EventBus, sink: MemorySink, root: Path) -> None:
        self._bus = bus
        self._sink = sink
        self._root = root
        self._read = 0
        self.tree: dict[str, int | None] = real_tree(root)
        self.events: list[Event] = []

    def look(self) -> dict[str, int | None]:
        """The tree as told by now."""
        self._bus.flush_now(timeout=10)
        news = self._sink.events[self._read :]
        self._read += len(news)
        self.events += news
        self.tree = told_tree(news, start=self.tree)
        return self.tree

    def until_equal(self, *, within_s: float = WITHIN_S) -> tuple[bool, float]:
        """Whether it comes to be the tree as it is, and after how long; a few tries as a grace."""
        began = time.monotonic()
        real = real_tree(self._root)
        while self.look() != real:
            if time.monotonic() - began > within_s:
                return False, time.monotonic() - began
            time.sleep(0.02)
        return True, time.monotonic() - began

    @property
    def gaps(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, WatchGap)]


@contextmanager
def told_of(root: Path, *, settings: WatchSettings | None = None) -> Iterator[Told]:
    """Watch a root in memory."""
    sink = MemorySink()
    with EventBus(None, sinks=[sink]) as bus:
        told = Told(bus, sink, root)
        with Watcher(bus, [root], settings=settings or WatchSettings()):
            yield told


def under_a_limit(root: Path, watches: int) -> Saw:
    """Watch four times as many directories as may be listened to, and change files in all."""
    for number in range(4 * watches):
        (root / f"{number}").mkdir()
        (root / f"{number}/old.txt").write_text("x")
    time.sleep(0.05)  # what is younger than that would count as new
    WATCHES.write_text(str(watches))
    with told_of(root) as told:
        for number in range(4 * watches):
            (root / f"{number}/old.txt").write_text("longer")
            (root / f"{number}/new.txt").write_text("x")
        is_equal, after_s = told.until_equal()
        (root / "late/deep").mkdir(parents=True)
        (root / "late/deep/a.txt").write_text("x")
        is_equal_again, after_again_s = told.until_equal()
    return Saw(is_equal and is_equal_again, max(after_s, after_again_s), told.gaps)


def with_unreadable(root: Path) -> Saw:
    """Watch forty directories one of which may not be read; take the right to another away."""
    for number in range(40):
        (root / f"{number}").mkdir()
    (root / "7/hidden.txt").write_text("x")
    if os.getuid() == 0:
        with told_of(root):  # all is imported by now: another user may not be able to
            pass
        for path in (root, *root.rglob("*")):
            os.chown(path, NOBODY_ID, NOBODY_ID)
        os.setgroups([])
        os.setresgid(NOBODY_ID, NOBODY_ID, NOBODY_ID)
        os.setresuid(NOBODY_ID, NOBODY_ID, NOBODY_ID)
    (root / "7").chmod(0)
    time.sleep(0.05)
    with told_of(root) as told:
        told.tree["7/hidden.txt"] = 1
        for number in {*range(40)} - {7}:
            (root / f"{number}/a.txt").write_text("x")
        (root / "8").chmod(0o300)
        (root / "8/b.txt").write_text("x")
        (root / "9/c.txt").write_text("x")
        deadline = time.monotonic() + WITHIN_S
        while len([gap for gap in told.gaps if "unreadable: 8" in gap]) < 1:
            told.look()
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        (root / "7").chmod(0o700)
        (root / "8").chmod(0o700)
        (root / "8/b.txt").write_text("longer")
        told.tree.pop("7/hidden.txt")
        is_equal, after_s = told.until_equal()
    return Saw(is_equal, after_s, told.gaps)


if __name__ == "__main__":
    what, where, *how = sys.argv[1:]
    saw = {"limit": under_a_limit, "unreadable": with_unreadable}[what](Path(where), *map(int, how))
    print(msgspec.json.encode(saw).decode())
