"""A change to a file as the watcher found it, and who is held to have made it."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from eventbus.scope import Scope

__all__ = ["NOBODY", "Actor", "Change", "Op"]

Op = Literal["write", "delete", "mkdir"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change to one path; of several in a burst the one that shows how it ended."""

    op: Op
    path: str
    """Relative to its root, with `/` between its parts."""
    root: Path
    """Absolute."""
    noticed: datetime
    """When the kernel told of it, or looking again found it."""
    changed: datetime | None = None
    """When the file says it was written; None: gone, or not known."""
    size_bytes: int | None = None
    hash: str | None = None
    """Of its content, with the algorithm before a colon; None: not asked for."""
    moved_from: str | None = None
    moved_to: str | None = None

    @property
    def where(self) -> Path:
        """The absolute path."""
        return self.root / self.path


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a change, as far as that is known."""

    actor: str | None = None
    """The tool; None: unknown."""
    agent_name: str | None = None
    trace: str | None = None
    """The tool call."""
    candidates: tuple[str, ...] = ()
    """The tool calls it may have been, when it is not clear which."""
    scope: Scope = Scope()
    """The scope of that tool call."""
    cause: str | None = None
    """The id of the event that began it."""
    pid: int | None = None
    """The process that wrote, where the kernel says so."""
    command: str | None = None
    """What that process was called."""


NOBODY = Actor()
"""Of a change that no open tool call can have made."""
