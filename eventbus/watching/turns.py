"""Looking by turns at what the kernel did not name: all of a tree, a part each second."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import islice

import msgspec

from eventbus.clock import Clock
from eventbus.watching.tree import Entry, Tree

__all__ = ["Turns"]

GLANCES, DEEP, BLIND = 400, 100, 5_000
"""Paths a turn: directories whose time is asked, paths compared, paths the kernel tells
nothing of. The first two cost a process some 0.1 % of a core, at a turn a second."""
IN_FLIGHT_S = 0.5
"""The kernel's notice of a change is here by then, if it comes at all."""


class _Suspect(msgspec.Struct, frozen=True, gc=False):
    """What is known of a path that seems to differ from it."""

    due_s: float
    """Until then the kernel may tell of it."""
    known: Entry | None


class Turns:
    """Goes round a tree, and remembers what differs until the kernel has told of it."""

    def __init__(self, tree: Tree, *, clock: Clock) -> None:
        self.since = clock.now()
        """When all that the kernel tells of was last seen to be as it was told."""
        self._began = self.since
        self._tree = tree
        self._clock = clock
        self._left: dict[str, Iterator[str]] = {}
        self._suspects: dict[str, _Suspect] = {}

    @property
    def due(self) -> float | None:
        """When the kernel has had its time, on the monotonic clock."""
        return min((each.due_s for each in self._suspects.values()), default=None)

    def blind(self, heard: Mapping[str, int]) -> list[str]:
        """Some of the directories the kernel does not tell of, the unreadable among them."""
        blind = self._tree.names.keys() - heard.keys()
        some: list[str] = []
        paths = 0
        while len(some) < len(blind) and paths < BLIND:
            some += self._next("blind", blind, 1)
            paths += len(self._tree.names.get(some[-1], ())) + 1
        return some

    def suspect(self, heard: Mapping[str, int]) -> None:
        """Suspect what differs, in a part of what the kernel tells of."""
        if "glance" not in self._left:
            self.since, self._began = self._began, self._clock.now()
        for directory in self._next("glance", heard, GLANCES):
            if directory in heard:
                self._suspect_in(directory)
        for path in self._next("deep", self._tree.entries, DEEP):
            if path.rpartition("/")[0] in heard and self._tree.differs(path):
                self._suspect(path)

    def unresolved(self, now_s: float) -> list[str]:
        """The paths that differ and of which the kernel did not tell in time."""
        due = {path: each for path, each in self._suspects.items() if each.due_s <= now_s}
        for path in due:
            del self._suspects[path]
        entries = self._tree.entries
        return [path for path, each in due.items() if entries.get(path) is each.known]

    def _suspect_in(self, directory: str) -> None:
        """Suspect what came to or went from a directory without our knowing."""
        tree, stamp = self._tree, self._tree.stamp_of(directory)
        known = tree.names.get(directory)
        if stamp is None or known is None or stamp == tree.listed.get(directory):
            return
        with suppress(OSError):  # gone by now, which will be told
            names = {each.name for each in tree.scan(directory)}
            tree.listed[directory] = stamp
            for name in names ^ known:
                self._suspect(f"{directory}/{name}" if directory else name)

    def _suspect(self, path: str) -> None:
        due_s = self._clock.monotonic() + IN_FLIGHT_S
        self._suspects.setdefault(path, _Suspect(due_s, self._tree.entries.get(path)))

    def _next(self, what: str, of: Collection[str], most: int) -> list[str]:
        """The next few of a round that never ends; it takes up what is new at its start."""
        some = [*islice(self._left.get(what, iter(())), most)]
        if not some:
            self._left[what] = iter([*of])
            some = [*islice(self._left[what], most)]
        if len(some) < most:
            self._left.pop(what, None)
        return some
