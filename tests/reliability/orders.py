"""What is asked of a process that forks writers and ends them, and what it answers."""

from typing import Literal

import msgspec

__all__ = ["Disks", "Ending", "Order", "Outcome", "Style"]

Style = Literal["asyncio", "trio", "threads", "mixture", "rebuild", "ingest"]
"""What the writer's producers are: tasks of a loop, or plain threads; one that emits what an
agent does; and none of them, but a store that is made anew again and again, or the file
`foreign.log` that is read into it, by so many at once.
"""

Ending = Literal["kill", "shutdown", "cut"]
"""SIGKILL; the file system shut down under it; the power cut of a `ForgetfulDisk`."""

Disks = Literal[
    "plain",
    "forgetful",
    "without sync",
    "without names",
    "retrying",
    "without recovery",
    "store without sync",
]
"""Which `Disk` the writer is given; the last but one leaves torn ends as they are, the last
leaves the syncing of SQLite to chance.
"""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One writer's life: it emits numbered events until it is ended."""

    state: str
    run: int
    level: Literal["written", "synced"] = "written"
    style: Style = "asyncio"
    producers: int = 2
    sinks: tuple[str, ...] = ()
    disk: Disks = "plain"
    sync_failures: float = 0.0
    """The share of syncs that fail."""
    name_failures: float = 0.0
    """The share of directories' syncs that fail."""
    ending: Ending = "kill"
    mount: str = ""
    """The file system to shut down."""
    after_first: bool = True
    """Count the delay from the first acknowledgement; else from the start."""
    delay: float = 0.0
    """Seconds until the end."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard of the writer until its end."""

    acknowledged: dict[int, int]
    """The last number each producer was told is safe."""
    trouble: str | None = None
    """What the writer said went wrong; None when nothing did."""

    @property
    def events(self) -> int:
        """How many were told safe."""
        return sum(last + 1 for last in self.acknowledged.values())
