"""The files under a root as they were when last looked at, and what differs now."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from eventbus.disk import Disk
from eventbus.watching.pace import Rest, no_rest
from eventbus.watching.rules import Rules

__all__ = ["Entry", "Found", "Tree", "entry_of", "is_written"]


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the system says of a path; links are not followed."""

    mode: int
    """With the kind of file in it."""
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a file with content, and no link, pipe or device."""
        return stat.S_ISREG(self.mode)


def entry_of(status: os.stat_result) -> Entry:
    return Entry(
        status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
    )


def is_written(before: Entry, now: Entry) -> bool:
    """Whether the content may be another; of files of one kind.

    What changed without its mode, size or time may have had its time set
    back, so it counts; a mode that changed alone does not.
    """
    if now.inode != before.inode or now.size_bytes != before.size_bytes:
        return True
    if now.mtime_ns != before.mtime_ns:
        return True
    return now.ctime_ns != before.ctime_ns and now.mode == before.mode


class Found(msgspec.Struct, frozen=True, gc=False):
    """What looking again has found of one path."""

    op: Literal["write", "delete", "mkdir"]
    path: str
    before: Entry | None
    now: Entry | None


class Tree:
    """What is known of a root; each look brings a part up to date, and says what differed."""

    def __init__(self, root: Path, rules: Rules, *, disk: Disk, rest: Rest = no_rest) -> None:
        self.root = str(root).rstrip("/")
        self.rules = rules
        self.entries: dict[str, Entry] = {}
        """By path relative to the root; the root itself is not among them."""
        self.names: dict[str, set[str]] = {"": set()}
        """What each directory held, by its path; the root's is empty."""
        self.listed: dict[str, tuple[int, int]] = {}
        """Time and inode of a directory as they were just before it was listed last."""
        self.untold: list[Found] = []
        """All that looks have found since somebody cleared this."""
        self._disk = disk
        self._rest = rest

    def where(self, path: str) -> str:
        """The absolute path."""
        return f"{self.root}/{path}" if path else self.root or "/"

    def stamp_of(self, directory: str) -> tuple[int, int] | None:
        """Time and inode of a directory now; None: it is none, or cannot be asked."""
        try:
            status = self._disk.stat(self.where(directory))
        except OSError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return None
        return status.st_mtime_ns, status.st_ino

    def scan(self, directory: str) -> "list[os.DirEntry[str]]":
        """What is in a directory now; raises `OSError` when that cannot be known."""
        return self._disk.scan(self.where(directory))

    # --- looking -------------------------------------------------------------------

    def look_in(self, directory: str) -> Iterator[Found]:
        """List one directory; raises `OSError` when that cannot be.

        Those that are new in it have been found, and are still to be looked in.
        """
        stamp = self.stamp_of(directory)
        listed = self.scan(directory)
        known = self.names[directory]
        unseen = set(known)
        above = f"{directory}/" if directory else ""
        for each in listed:
            self._rest()
            path = above + each.name
            try:
                now = entry_of(each.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
            if each.name not in known and self.rules.hides(path, is_directory=now.is_directory):
                continue
            unseen.discard(each.name)
            yield from self._take(path, now)
        for name in sorted(unseen):
            yield from self.remove(above + name)
        if stamp is not None:
            self.listed[directory] = stamp

    def look_at(self, path: str) -> Iterator[Found]:
        """Look at one path whose directory is known; raises `OSError` as `look_in` does."""
        try:
            now = entry_of(self._disk.stat(self.where(path)))
        except (FileNotFoundError, NotADirectoryError):
            yield from self.remove(path)
            return
        if path not in self.entries and self.rules.hides(path, is_directory=now.is_directory):
            return
        yield from self._take(path, now)

    def differs(self, path: str) -> bool:
        """Whether looking at a path would find something."""
        before = self.entries.get(path)
        try:
            now = entry_of(self._disk.stat(self.where(path)))
        except (FileNotFoundError, NotADirectoryError):
            return before is not None
        except OSError:
            return False
        if before is None or stat.S_IFMT(before.mode) != stat.S_IFMT(now.mode):
            return True
        return not now.is_directory and is_written(before, now)

    def _take(self, path: str, now: Entry) -> Iterator[Found]:
        before = self.entries.get(path)
        if before is not None and stat.S_IFMT(before.mode) != stat.S_IFMT(now.mode):
            yield from self.remove(path)
            before = None
        self.put(path, now)
        if now.is_directory:
            if before is None:
                yield self._found(Found("mkdir", path, None, now))
        elif before is None or is_written(before, now):
            yield self._found(Found("write", path, before, now))

    def _found(self, found: Found) -> Found:
        self.untold.append(found)
        return found

    # --- what is known ---------------------------------------------------------------

    def put(self, path: str, entry: Entry) -> None:
        """Know of a path."""
        self.entries[path] = entry
        above, _, name = path.rpartition("/")
        self.names[above].add(name)
        if entry.is_directory:
            self.names.setdefault(path, set())

    def remove(self, path: str) -> Iterator[Found]:
        """Forget a path and what is under it, from below."""
        if path not in self.entries:
            return
        for gone in self._from_below(path):
            self._rest()
            before = self.entries.pop(gone)
            above, _, name = gone.rpartition("/")
            self.names[above].discard(name)
            if before.is_directory:
                del self.names[gone]
                self.listed.pop(gone, None)
            yield self._found(Found("delete", gone, before, None))

    def _from_below(self, path: str) -> Iterator[str]:
        """A path after all that is under it; a tree may be deeper than a call stack."""
        paths, waiting = [], [path]
        while waiting:
            path = waiting.pop()
            paths.append(path)
            waiting += [f"{path}/{name}" for name in sorted(self.names.get(path, ()))]
        return reversed(paths)

    def remove_all(self) -> Iterator[Found]:
        """Forget everything under the root."""
        for name in sorted(self.names[""]):
            yield from self.remove(name)
        self.listed.clear()

    def forget_hidden(self) -> None:
        """Drop what the rules hide by now; nothing happened to it."""
        for path in [*self.entries]:
            self._rest()
            entry = self.entries.get(path)
            if entry is not None and self.rules.hides(path, is_directory=entry.is_directory):
                _exhaust(self.remove(path))


def _exhaust(found: Iterable[Found]) -> None:
    for _ in found:
        pass
