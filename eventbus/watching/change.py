"""A change to a file as the watcher found it, and who is held to have made it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from eventbus.scope import Scope

__all__ = ["NOBODY", "Actor", "Attribution", "Change", "Keep", "Op"]

Op = Literal["write", "delete", "mkdir"]


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One change to one path; of several in a burst the one that shows how it ended."""

    op: Op
    path: str
    """Relative to its root, with `/` between its parts."""
    root: Path
    """Absolute."""
    noticed: datetime
    """When the kernel told of it, or looking again found it."""
    changed: datetime | None = None
    """When the kernel changed it last, whatever time the file says it is of; None: gone."""
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


class Attribution(Protocol):
    """Who is asked which tool call made a change."""

    async def catch_up(self, noticed: datetime, changes: Sequence[Change] = ()) -> None:
        """Return once all is known that began or ended before that moment.

        Sooner, if it is clear by then who made these changes.

        Awaited on asyncio in the watcher's own thread, before `actor_of` is
        asked there about the changes noticed until then.
        """

    def actor_of(self, change: Change) -> Actor:
        """Who is held to have made it; `NOBODY` when no open call can have."""


Keep = Callable[[Change], str | None]
"""Keeps what a change left behind; the hash it is kept under, or None.

Called in the watcher's own thread, before the change is told.
"""
