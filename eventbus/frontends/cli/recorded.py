"""What a file held at a moment, as far as it was kept, and what it holds now."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import ContentUnknown
from eventbus.frontends.cli.changed import as_recorded, root_of
from eventbus.frontends.cli.wording import moment
from eventbus.settings import Settings
from eventbus.store.changes import FileChange, file_changes, last_change
from eventbus.store.engine import Reader
from eventbus.watching.baseline import NS, Baseline, Known
from eventbus.watching.contents import Contents, hash_of

__all__ = ["State", "Tracked", "read_now", "tracked"]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A file at one moment."""

    label: str
    """Which moment, for people."""
    content: bytes | None
    """None: there was no such file."""
    change: FileChange | None = None
    """The change that made it so; None: as it is now."""

    @property
    def hash(self) -> str | None:
        return None if self.content is None else hash_of(self.content)


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose changes are recorded."""

    path: str
    """As recorded: relative to its root."""
    root: Path
    store: Reader
    contents: Contents
    baseline: Baseline

    @property
    def where(self) -> Path:
        return self.root / self.path

    def at(self, when: datetime) -> State:
        """What it held then; raises `ContentUnknown` where nobody can say."""
        when = _whole(when)
        change = last_change(self.store, self.path, at=when)
        known = self.baseline.find(self.path, when)
        if known is not None and (change is None or _is_later(known, change)):
            return self._as_found(known)
        if change is None:
            raise ContentUnknown(
                f"no change of {self.path!r} is recorded up to {moment(when)} UTC;"
                f" 'eventbus blame {self.path}' lists those there are"
            )
        return self.after(change)

    def before_last(self) -> State:
        """What it held before its last change."""
        changes = file_changes(self.store, path=self.path, limit=2).items
        if not changes:
            raise ContentUnknown(
                f"no change of {self.path!r} is recorded; 'eventbus audit' lists what is"
            )
        if len(changes) > 1:
            return self.after(changes[1])
        told = datetime.fromisoformat(changes[0].ts)
        known = self.baseline.find(self.path, told, kept_before=told)
        return _BEFORE if known is None else self._as_found(known)

    def _as_found(self, known: Known) -> State:
        """What it held before its first change that was seen."""
        since = datetime.fromtimestamp(known.changed_ns / NS, UTC)
        return State(
            label=f"{moment(since)} UTC, before it was watched",
            content=self.contents.read(known.hash),
        )

    def after(self, change: FileChange) -> State:
        """What it held after a change."""
        label = f"{moment(change.ts)} UTC, by {change.actor or 'unknown'}"
        if change.op != "write":
            return State(label=label, content=None, change=change)
        if change.hash is None:
            raise ContentUnknown(
                f"what {self.path!r} held at {moment(change.ts)} UTC was not kept;"
                ' watch.keep = "text" or "all" keeps contents from then on'
            )
        return State(label=label, content=self.contents.read(change.hash), change=change)

    def now(self) -> State:
        """What it holds now."""
        return State(label="now", content=read_now(self.where))


def _whole(when: datetime) -> datetime:
    """The end of a second that is named without a fraction, as tables show moments."""
    return when if when.microsecond else when + timedelta(milliseconds=999)


def _is_later(known: Known, change: FileChange) -> bool:
    """Whether a file was kept as it was found after a change whose content was not kept."""
    return (
        change.hash is None and known.kept_ns / NS > datetime.fromisoformat(change.ts).timestamp()
    )


_BEFORE = State(label="before it was recorded", content=None)


def tracked(store: Reader, settings: Settings, written: str) -> Tracked:
    """The file that is meant by a path as it is typed."""
    path = as_recorded(store, settings, written)
    root = root_of(settings, path)
    contents = Contents(settings.state, settings.watch)
    baseline = Baseline(root.resolve(), contents)
    return Tracked(path=path, root=root, store=store, contents=contents, baseline=baseline)


def read_now(path: Path, disk: Disk = SYSTEM_DISK) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        status = disk.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise click.UsageError(f"{str(path)!r} is no regular file; nothing is read or written")
        fd = disk.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return disk.pread(fd, disk.size(fd), 0)
    finally:
        disk.close(fd)
