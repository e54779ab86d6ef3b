"""Looking at one root: what the kernel named, what is new, and all else by turns."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.watching.growth import Growth
from eventbus.watching.names import is_text
from eventbus.watching.pace import Rest, paced
from eventbus.watching.rules import GITIGNORE, Rules
from eventbus.watching.tree import Entry, Found, Tree
from eventbus.watching.turns import Turns

__all__ = ["Gap", "Lookout"]

AGAIN_S = 0.1
"""Until a directory that is still being filled is looked in again."""
FRESH_NS = 50_000_000
"""A directory that changed so lately is looked in again: it may be being filled."""
TICK_NS = 12_000_000
"""A time younger than that may stand for two writes: the kernel's clock ticks each 4 or 10 ms."""
WHOLE_LISTING = 32
"""Paths of one directory from which on listing it is cheaper than asking for each."""
GITIGNORE_MOST = 1024 * 1024


class Gap(msgspec.Struct, frozen=True):
    """A time in which changes may have gone unseen, and what looking again found."""

    reason: str
    since: datetime | None
    until: datetime | None
    """None: it goes on."""
    found: int | None


class Lookout:
    """Keeps the tree of one root true, and says what changed in it.

    The kernel's word is where it looks first; that it looks by itself as well
    is what makes its answer complete. Not for two threads at once.
    """

    def __init__(self, root: Path, rules: Rules, *, clock: Clock, disk: Disk, rest: Rest) -> None:
        self.root = root
        self.tree = Tree(root, rules, disk=disk, rest=rest)
        self.heard: dict[str, int] = {}
        """Directories whose changes the kernel tells, and their inodes."""
        self.unheard: set[str] = set()
        """Directories that are not what they were, since somebody cleared this."""
        self.unreadable: dict[str, datetime] = {}
        """Directories that cannot be listed, and since when."""
        self.gaps: list[Gap] = []
        """Those that have not been taken yet."""
        self.hears_all = False
        """False: there may be a directory to be heard that is not."""
        self.growth = Growth()
        """The directories that came lately."""
        self._doubt: str | None = None
        self._gone_since: datetime | None = None
        self._root_inode = 0
        self._root_seen = clock.now()
        self._dirty: dict[str, None] = {}
        self._restless: dict[str, float] = {}
        """Directories to be looked in again, and when."""
        self._turns = Turns(self.tree, clock=clock)
        self._racy: set[str] = set()
        """Files whose time was so young that another write may not have moved it."""
        self._clock = clock
        self._disk = disk
        self._rest = rest

    # --- what is to be looked at -----------------------------------------------------

    def begin(self) -> list[Found]:
        """Look at everything for the first time; what differs from the tree as it was given."""
        for directory in [*self.tree.names]:
            self._read_rules(directory)
        stamp = self.tree.stamp_of("")
        self._root_inode = stamp[1] if stamp else 0
        return self.look_everywhere()

    def hear(self, paths: Iterable[str]) -> None:
        """The kernel names absolute paths."""
        skip = len(self.tree.root) + 1
        for path in paced(paths, self._rest):
            self._dirty[path[skip:]] = None

    def hears(self, directories: dict[str, int]) -> None:
        """The kernel tells of these from now on: look in each that is new to it once more."""
        for directory, inode in paced(directories.items(), self._rest):
            if self.heard.get(directory) != inode:
                self._restless[directory] = 0.0
        self.heard = dict(directories)
        self.hears_all = False

    def hears_none(self) -> None:
        """The kernel tells nothing from now on."""
        self.unheard.update(self.tree.names)
        self.heard.clear()
        self.hears_all = False

    def hearable(self) -> dict[str, int]:
        """Directories that can be listened to, and their inodes.

        The kernel's word of a name that is no text would end the listening.
        """
        entries, names = self.tree.entries, self.tree.names
        hearable = {}
        for directory, inside in [*names.items()]:
            self._rest()
            if directory in self.unreadable or not is_text(directory):
                continue
            if all(map(is_text, inside)):
                hearable[directory] = entries[directory].inode if directory else self._root_inode
        return {} if self._gone_since else hearable

    def doubt(self, reason: str) -> None:
        """Look at everything in the next look, and tell a gap."""
        self._doubt = reason

    @property
    def due(self) -> float | None:
        """When there is something to be looked at, on the monotonic clock; None: nothing."""
        if self._dirty or self._doubt:
            return 0.0
        due = [at for at in (self._turns.due, *self._restless.values()) if at is not None]
        return min(due, default=None)

    # --- looking -----------------------------------------------------------------------

    def look(self) -> list[Found]:
        """Look at all that is due."""
        if self._doubt is not None:
            return self._look_in_doubt()
        now = self._clock.monotonic()
        found: list[Found] = []
        if "" in self._dirty:
            found += self._look_at_root()
        dirty, self._dirty = self._dirty, {}
        for directory, paths in self._by_directory(dirty).items():
            found += self._look_at_some(directory, paths)
        due = [path for path, at in self._restless.items() if at <= now]
        for directory in due:
            self._restless.pop(directory, None)
        found += self._look_through(due)
        found += self._look_at_suspects(now)
        return found

    def _look_in_doubt(self) -> list[Found]:
        reason, self._doubt = self._doubt, None
        self._dirty.clear()
        since = self._root_seen
        found = [*self.tree.untold]  # what a look had found that was broken off
        found += self.look_everywhere()
        self._tell_gap(str(reason), since=since, found=len(found))
        return found

    def look_everywhere(self) -> list[Found]:
        """Compare all of it."""
        found = self._look_at_root()
        if self._gone_since is None:
            found += self._look_through([*self.tree.names])
        return found

    def take_turn(self) -> list[Found]:
        """Look at the root, at what the kernel does not tell of, and at a part of the rest."""
        found = self._look_at_root()
        if self._gone_since is not None:
            return found
        found += self._look_through(self._turns.blind(self.heard))
        self._turns.suspect(self.heard)
        return found

    def _look_at_suspects(self, now: float) -> list[Found]:
        """Look at what the kernel should have told of by now; what is found is a gap."""
        found: list[Found] = []
        for path in self._turns.unresolved(now):
            found += self._look_at_some(path.rpartition("/")[0], [path])
        if found:
            self._tell_gap("unheard", since=self._turns.since, found=len(found))
        return found

    # --- the root -------------------------------------------------------------------------

    def _look_at_root(self) -> list[Found]:
        """See whether it is there, and is the one it was."""
        stamp, now = self.tree.stamp_of(""), self._clock.now()
        if stamp is None:
            return self._root_is_gone(now)
        since, self._root_seen = self._root_seen, now
        if self._gone_since is None and stamp[1] == self._root_inode:
            return []
        self._root_inode = stamp[1]
        self.hears_none()
        reason = "root replaced" if self._gone_since is None else "root back"
        since, self._gone_since = self._gone_since or since, None
        found = self._look_through([*self.tree.names])
        self._tell_gap(reason, since=since, found=len(found))
        return found

    def _root_is_gone(self, now: datetime) -> list[Found]:
        if self._gone_since is not None:
            return []
        self._gone_since = now
        self.hears_none()
        found = [*self.tree.remove_all()]
        self.unreadable.clear()
        self.gaps.append(Gap("root gone", since=self._root_seen, until=None, found=len(found)))
        return found

    # --- parts of it ------------------------------------------------------------------------

    def _by_directory(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """The paths by the nearest directory that is known; a hidden one's are left out."""
        sorted_out: dict[str, list[str]] = {}
        for path in paced(paths, self._rest):
            directory, _, _ = path.rpartition("/")
            while directory and directory not in self.tree.names:
                path = directory
                directory, _, _ = path.rpartition("/")
            if path:
                sorted_out.setdefault(directory, []).append(path)
        return sorted_out

    def _look_at_some(self, directory: str, paths: list[str]) -> list[Found]:
        """Look at paths of one directory, and in those that are new directories."""
        if directory not in self.tree.names:  # gone by now
            return []
        if len(paths) > WHOLE_LISTING:
            return self._look_through([directory])
        found: list[Found] = []
        for path in dict.fromkeys(paths):
            since_ns = self._now_ns()
            try:
                before = self.tree.entries.get(path)
                news = [*self.tree.look_at(path)]
            except OSError:  # its directory has become unreadable
                return found + self._look_through([directory])
            if not news and before is not None and before == self.tree.entries.get(path):
                news = self._look_twice(path, before)
            found += self._taken(news, since_ns)
            if path in self.tree.names:
                self._unhear(path)  # another one may have its inode
                found += self._look_through([path])
        return found

    def _look_twice(self, path: str, entry: Entry) -> list[Found]:
        """A write that left no trace, because the one before it was too short ago."""
        if path not in self._racy:
            return []
        self._racy.discard(path)
        return [Found("write", path, entry, entry)]

    def _look_through(self, directories: list[str]) -> list[Found]:
        """Look in directories, and in all that are new below them."""
        found: list[Found] = []
        waiting = directories[::-1]
        while waiting:
            directory = waiting.pop()
            if directory not in self.tree.names:
                continue
            news = self._look_in(directory)
            found += news
            waiting += [each.path for each in reversed(news) if each.op == "mkdir"]
        return found

    def _look_in(self, directory: str) -> list[Found]:
        news: list[Found] = []
        since_ns = self._now_ns()
        try:
            news.extend(self.tree.look_in(directory))
        except (FileNotFoundError, NotADirectoryError):
            if directory:
                with suppress(OSError):
                    news.extend(self.tree.look_at(directory))
            return self._taken(news, since_ns)
        except OSError as error:
            self._cannot_read(directory, error)
            return self._taken(news, since_ns)
        self._can_read(directory, len(news))
        self._look_again_if_fresh(directory)
        return self._taken(news, since_ns)

    def _look_again_if_fresh(self, directory: str) -> None:
        """Come back to a directory that may go on changing within the time it shows."""
        listed = self.tree.listed.get(directory)
        if listed is not None and 0 <= self._now_ns() - listed[0] < FRESH_NS:
            self._restless[directory] = self._clock.monotonic() + AGAIN_S

    def _now_ns(self) -> int:
        return int(self._clock.now().timestamp() * 1e9)

    def _taken(self, news: list[Found], since_ns: int) -> list[Found]:
        """The same, after what follows from it for the next looks."""
        for each in news:
            self._rest()
            if each.op == "write" and each.now is not None:
                is_racy = each.now.mtime_ns > since_ns - TICK_NS
                (self._racy.add if is_racy else self._racy.discard)(each.path)
            elif each.op == "mkdir":
                self.hears_all = False
                self.growth.count(self._clock.monotonic())
            else:
                self._forget(each.path)
        if self.tree.rules.reads_gitignore:
            return self._taken_by_rules(news)
        return news

    def _forget(self, path: str) -> None:
        self._racy.discard(path)
        self._unhear(path)
        self.unreadable.pop(path, None)

    def _taken_by_rules(self, news: list[Found]) -> list[Found]:
        """What is left of it once the `.gitignore` files among it are read."""
        for each in news:
            directory, _, name = each.path.rpartition("/")
            if name == GITIGNORE:
                self._read_rules(directory)
        return [each for each in news if each.op == "delete" or each.path in self.tree.entries]

    def _unhear(self, directory: str) -> None:
        self.unheard.add(directory)
        if self.heard.pop(directory, None) is not None:
            self.hears_all = False

    # --- what cannot be read ------------------------------------------------------------------

    def _cannot_read(self, directory: str, error: OSError) -> None:
        self._unhear(directory)
        if directory not in self.unreadable:
            now = self.unreadable[directory] = self._clock.now()
            reason = f"unreadable: {directory or '.'}: {error.strerror}"
            self.gaps.append(Gap(reason, since=now, until=None, found=None))

    def _can_read(self, directory: str, found: int) -> None:
        since = self.unreadable.pop(directory, None)
        if since is not None:
            self.hears_all = False
            self._tell_gap(f"unreadable: {directory or '.'}", since=since, found=found)

    def _tell_gap(self, reason: str, *, since: datetime | None, found: int) -> None:
        self.gaps.append(Gap(reason, since=since, until=self._clock.now(), found=found))

    # --- rules found in the tree ------------------------------------------------------------------

    def _read_rules(self, directory: str) -> None:
        """Take up a `.gitignore`: drop what it hides, look for what it shows."""
        if not self.tree.rules.reads_gitignore:
            return
        path = f"{directory}/{GITIGNORE}" if directory else GITIGNORE
        text = read_text(self.tree.where(path), most=GITIGNORE_MOST, disk=self._disk)
        if self.tree.rules.read(directory, text):
            self.tree.forget_hidden()
            below = f"{directory}/" if directory else ""
            self._restless.update(
                (each, 0.0) for each in self.tree.names if f"{each}/".startswith(below)
            )


def read_text(path: str, *, most: int, disk: Disk) -> str | None:
    """The text of a file, as far as that; None where there is none."""
    with suppress(OSError):
        fd = disk.open(Path(path), os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
        try:
            if stat.S_ISREG(disk.status(fd).st_mode):
                return disk.pread(fd, most, 0).decode(errors="surrogateescape")
        finally:
            disk.close(fd)
    return None
