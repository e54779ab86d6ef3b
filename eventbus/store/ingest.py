"""Ingest: what stands in a foreign flat log goes through the journal, each line once.

A line's id comes from what the file holds up to it, so that ingesting is
repeatable: after a kill, twice at once, when the file has grown or was
rotated away, a line that has landed is not landed again.
"""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import Event
from eventbus.events.log import LogIngested
from eventbus.store.engine import Reader
from eventbus.store.events import landed_between
from eventbus.store.foreign_lines import LineMaker
from eventbus.store.ingested import is_recorded, path_text
from eventbus.store.lineage import Chain
from eventbus.store.pieces import EXPANSION_MOST, ForeignFile

__all__ = ["Emit", "Ingested", "Progress", "ingest_file"]

REST_SECONDS = 1.0
"""A line without an end is taken once nobody has written for so long."""
LOOK_SECONDS = 0.05
LINES_A_TIME = 2_000
"""Lines that are events at one time, however short they are."""


class Emit(Protocol):
    """Hands events to the journal in order, as `EventBus.emit_many` does."""

    async def __call__(self, events: Iterable[Event], *, until: Any) -> None: ...


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ingest of a file is."""

    done_bytes: int
    size_bytes: int
    """The two in bytes of the file, packed ones where it is packed."""
    lines: int
    emitted: int


class Ingested(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the ingest of a file."""

    path: str
    file: str
    """Its fingerprint, by which it is exported; empty for a file without a byte."""
    bytes: int
    """How long it is, unpacked."""
    lines: int
    unparsed: int
    """Of the lines, those kept as they are because they are none of a flat log."""
    emitted: int
    """Of the lines, those that had not landed before; of one that is too long every part counts."""


async def ingest_file(
    path: str | os.PathLike[str],
    *,
    emit: Emit,
    store: Reader | None = None,
    progress: Callable[[Progress], object] | None = None,
    rest_seconds: float = REST_SECONDS,
    expansion_most: int = EXPANSION_MOST,
    disk: Disk = SYSTEM_DISK,
) -> Ingested:
    """Put every line of a file into the journal that has not landed in the store yet.

    Without a `store` every line is emitted, and landing passes over those
    that are there. Raises `IngestRefused` for what is no plain file or cannot
    be unpacked, and `NotKept` when the journal does not take an event.
    """
    with ForeignFile(path, expansion_most=expansion_most, disk=disk) as file:
        ingest = _Ingest(file, emit, store)
        while pieces := file.pieces() or await _last_piece(file, rest_seconds):
            for start in range(0, len(pieces), LINES_A_TIME):
                await ingest.take(pieces[start : start + LINES_A_TIME])
            if progress is not None:
                progress(ingest.progress())
        return await ingest.finish()


async def _last_piece(file: ForeignFile, rest_seconds: float) -> list[bytes]:
    """What a file ends with: more of it while it is being written, else its torn line."""
    import anyio  # only who ingests needs it

    seen, until = file.done_bytes, time.monotonic() + rest_seconds
    while file.is_torn and not file.is_at_rest(rest_seconds) and time.monotonic() < until:
        await anyio.sleep(LOOK_SECONDS)
        if pieces := file.pieces():
            return pieces
        if file.done_bytes > seen:
            seen, until = file.done_bytes, time.monotonic() + rest_seconds
    return file.last_piece()


class _Ingest:
    """One file on its way into the journal."""

    def __init__(self, file: ForeignFile, emit: Emit, store: Reader | None) -> None:
        self._file = file
        self._emit = emit
        self._store = store
        self._chain = Chain()
        self._lines = LineMaker(store)
        self._emitted = 0

    async def take(self, pieces: list[bytes]) -> None:
        """Emit the pieces that have not landed."""
        before = self._chain.last
        ids = self._chain.ids(pieces)
        there = landed_between(self._store, ids[0], ids[-1]) if self._store is not None else set()
        if there.issuperset(ids):
            self._lines.pass_over(ids, pieces)
            return
        events = self._lines.events(ids, pieces, after=before)
        if there:
            events = [event for event in events if event.id not in there]
        await self._emit(events, until="written")
        self._emitted += len(events)

    async def finish(self) -> Ingested:
        """Record that the file is in the journal up to here, unless that is known."""
        ingested = Ingested(
            path=path_text(self._file.path),
            file=self._chain.file,
            bytes=self._chain.place,
            lines=self._lines.lines,
            unparsed=self._lines.unparsed,
            emitted=self._emitted,
        )
        if self._store is None or not is_recorded(self._store, ingested.path, self._chain.last):
            await self._emit([_record(ingested, self._chain.last)], until="written")
        return ingested

    def progress(self) -> Progress:
        return Progress(
            done_bytes=self._file.done_bytes,
            size_bytes=self._file.size_bytes,
            lines=self._lines.lines,
            emitted=self._emitted,
        )


def _record(ingested: Ingested, last: str) -> LogIngested:
    return LogIngested(
        path=ingested.path,
        file=ingested.file,
        bytes=ingested.bytes,
        last=last,
        lines=ingested.lines,
        unparsed=ingested.unparsed,
    )
