"""The tree of a root as it was told last, kept from one start to the next."""

import hashlib
import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from eventbus.disk import Disk
from eventbus.watching.rules import DEFAULTS, Rules
from eventbus.watching.tree import Entry, Tree

__all__ = ["Kept", "Manifest", "slug_of"]

VERSION = 1
UNTOLD = -1
"""A size: of what may not have been told."""
UNREADABLE = (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: of what root, when, and what was hidden then."""

    version: int
    root: str
    saved: datetime
    defaults: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    gitignore: bool = False


_Line = tuple[str, Entry | None]
"""A path, each of its bytes as one character; None: it is gone."""
_read_line = msgspec.json.Decoder(_Line).decode
_read_head = msgspec.json.Decoder(_Head).decode


class Kept(msgspec.Struct, frozen=True):
    """What was known of a root when it was watched last."""

    saved: datetime
    entries: dict[str, Entry]
    hid: Rules
    """What was hidden then."""
    hid_more: bool
    """Whether `.gitignore` files hid more than that."""

    @property
    def untold_directories(self) -> list[str]:
        """Directories that may not have been told, from above."""
        return [p for p, e in self.entries.items() if e.is_directory and e.size_bytes == UNTOLD]

    def knew(self, path: str, *, is_directory: bool) -> bool:
        """Whether a path that is not among the entries was surely not there."""
        if self.hid_more or self.hid.hides(path, is_directory=is_directory):
            return False
        above = path.rpartition("/")[0]
        while above:
            if self.hid.hides(above, is_directory=True):
                return False
            above = above.rpartition("/")[0]
        return True


def slug_of(root: Path) -> str:
    """A root as a part of a file's name."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


class Manifest:
    """Two files: the tree at some moment, replaced at once, and what was told since."""

    def __init__(
        self, state: Path, root: Path, *, disk: Disk, rest: Callable[[], None] = lambda: None
    ) -> None:
        self._root = root
        self._file = state / "watch" / f"{slug_of(root)}.manifest"
        self._since = self._file.with_suffix(".since")
        self._disk = disk
        self._rest = rest

    def load(self) -> Kept | None:
        """What is kept; None: nothing that can be read."""
        try:
            head, *lines = self._disk.read(self._file).split(b"\n")
            said = _read_head(head)
            if said.version != VERSION:
                return None
            entries: dict[str, Entry | None] = dict(map(_from_line, filter(None, lines)))
        except UNREADABLE:
            return None
        entries.update(self._told_since())
        return Kept(
            saved=said.saved,
            entries={path: entry for path, entry in sorted(entries.items()) if entry is not None},
            hid=Rules(said.patterns, defaults=said.defaults),
            hid_more=said.gitignore,
        )

    def _told_since(self) -> Iterator[tuple[str, Entry | None]]:
        """What was noted after the tree was; the last line may have been cut short."""
        with suppress(*UNREADABLE):
            for line in self._disk.read(self._since).split(b"\n"):
                if line:
                    yield _from_line(line)

    def save(self, tree: Tree, *, now: datetime, untold: Container[str] = ()) -> None:
        """Keep the whole tree; raises `OSError` when that cannot be.

        What is still to be told is kept so that the next start finds it changed.
        """
        head = _Head(
            version=VERSION,
            root=str(self._root).encode(errors="replace").decode(),
            saved=now,
            defaults=DEFAULTS,
            patterns=tree.rules.patterns,
            gitignore=tree.rules.reads_gitignore,
        )
        self._disk.make_directory(self._file.parent)
        entries = tree.entries.items()
        lines = self._lines_of((p, _untold(e) if p in untold else e) for p, e in entries)
        self._disk.replace(self._file, msgspec.json.encode(head) + b"\n" + b"".join(lines))
        with suppress(FileNotFoundError):
            self._disk.unlink(self._since)

    def note(self, tree: Tree, paths: Iterable[str]) -> None:
        """Keep how paths are that have just been told; raises `OSError` as `save` does."""
        self._append(self._lines_of((path, tree.entries.get(path)) for path in paths))

    def note_before(self, tree: Tree, paths: Iterable[str]) -> None:
        """Keep that paths are about to be told: whether they were, one may never know.

        One that is gone needs no note: it is known until that has been told.
        """
        there = ((path, tree.entries.get(path)) for path in paths)
        self._append(self._lines_of((path, _untold(e)) for path, e in there if e is not None))

    def _append(self, lines: Iterable[bytes]) -> None:
        whole = b"".join(lines)
        fd = self._disk.open(self._since, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            self._disk.write_all(fd, whole)
        finally:
            self._disk.close(fd)

    def _lines_of(self, entries: Iterable[tuple[str, Entry | None]]) -> Iterator[bytes]:
        for path, entry in entries:
            self._rest()
            yield msgspec.json.encode((os.fsencode(path).decode("latin-1"), entry)) + b"\n"


def _untold(entry: Entry) -> Entry:
    """In place of what it was like when it was told: the next start finds it changed."""
    return Entry(mode=entry.mode, size_bytes=UNTOLD, mtime_ns=0, ctime_ns=0, inode=0)


def _from_line(line: bytes) -> tuple[str, Entry | None]:
    path, entry = _read_line(line)
    return os.fsdecode(path.encode("latin-1")), entry
