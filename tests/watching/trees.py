"""What the tests of the watcher share: a tree as it is, and as events have told it."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from eventbus import Event
from eventbus.events import DirectoryMade, FileDeleted, FileWritten
from eventbus.watching.names import told_path

__all__ = ["is_settled", "real_tree", "told_tree"]

Shown = dict[str, int | None]
"""Sizes by path; None for a directory."""


def real_tree(root: Path, *, without: tuple[str, ...] = ()) -> Shown:
    """What is under a root now."""
    shown: Shown = {}
    for directory, below, files in os.walk(root):
        below[:] = [name for name in below if name not in without]
        for name in below:
            path = os.path.join(directory, name)
            is_link = os.path.islink(path)
            shown[_within(path, root)] = os.lstat(path).st_size if is_link else None
        for name in files:
            path = os.path.join(directory, name)
            shown[_within(path, root)] = os.lstat(path).st_size
    return shown


def told_tree(events: Iterable[Event], *, start: Shown | None = None) -> Shown:
    """What somebody believes who knows the start and has read the events."""
    shown = dict(start or {})
    for event in events:
        if isinstance(event, FileWritten):
            shown[event.path] = event.size_bytes
        elif isinstance(event, DirectoryMade):
            shown[event.path] = None
        elif isinstance(event, FileDeleted):
            shown.pop(event.path, None)
    return shown


def is_settled(root: Path) -> bool:
    """Whether nobody who begins to watch now can take what is there for new."""
    return all(time.time() - path.lstat().st_ctime > 0.03 for path in root.rglob("*"))


def _within(path: str, root: Path) -> str:
    return told_path(os.path.relpath(path, root))
