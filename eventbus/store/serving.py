"""Keeping a store's lane away while its file is replaced."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventbus.claims import Claims
from eventbus.clock import SYSTEM_CLOCK
from eventbus.disk import Disk
from eventbus.errors import StoreUnusable
from eventbus.residence import resident_of

__all__ = ["LANE", "lane_held"]

LANE = "sqlite"
"""What the lane of a store on SQLite is called, unless the settings say otherwise."""


@contextmanager
def lane_held(state: Path, lane: str, *, wish: str, disk: Disk) -> Iterator[None]:
    """Let no process land in the store for the length of a block.

    Raises `StoreUnusable` when one does already.
    """
    disk.make_directory(state / "run")
    claims = Claims(state, "auto", clock=SYSTEM_CLOCK, disk=disk)
    fd = claims.try_lane(lane)
    if fd is None:
        who = resident_of(state, disk) or "another process"
        raise StoreUnusable(
            f"cannot {wish} while {who} lands events in the store (lane {lane!r}); end it first"
        )
    try:
        yield
    finally:
        claims.let_go(lane, fd)
