"""Changes as events: who made them is asked, bursts are summed up, all of it is emitted."""

import asyncio
import hashlib
import os
import stat
import traceback
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from eventbus.bus import EventBus
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.errors import NotKept
from eventbus.event import Event, new_id
from eventbus.events.error import ErrorRaised
from eventbus.events.file import DirectoryMade, FileDeleted, FileWritten
from eventbus.events.watch import WatchBurst
from eventbus.scope import Scope
from eventbus.sinkthread import in_parts
from eventbus.watching.change import NOBODY, Actor, Attribution, Change, Keep
from eventbus.watching.names import told_path

__all__ = ["COMPONENT", "Teller", "error_event"]

COMPONENT = "watcher"
BURST = 100
"""Changes within a second from which on a burst is told as one in the activity log."""
CALM = 20
"""Changes within a second below which a burst is over."""
WINDOW_S = 1.0
LONGEST_S = 60.0
"""A burst that goes on is summed up that often."""
AT_ONCE = 32
"""Events made between two looks whether other threads want a turn."""
WHERE_MOST = 5
READ_BYTES = 256 * 1024
ERROR_EVERY_S = 60.0


class Teller:
    """Makes events of changes, in the watcher's thread."""

    def __init__(
        self,
        bus: EventBus,
        *,
        attribution: Attribution | None,
        keep: Keep | None,
        clock: Clock,
        disk: Disk,
    ) -> None:
        self.hash_bytes: int | None = None
        """Files up to that size are hashed; None: none is."""
        self.told = 0
        """Changes told so far."""
        self._bus = bus
        self._attribution = attribution
        self._keep = keep
        self._clock = clock
        self._disk = disk
        self._runner = asyncio.Runner()
        self._lately: deque[tuple[float, int]] = deque()
        self._burst: _Burst | None = None
        self._errors: dict[str, float] = {}

    def close(self) -> None:
        """Sum up the burst that goes on, if any."""
        self._end_burst()
        self._runner.close()

    # --- telling ---------------------------------------------------------------------

    def tell(self, changes: list[Change]) -> bool:
        """Emit them in order; True once all are in the journal."""
        if not changes:
            return True
        self._count(len(changes))
        self._catch_up(changes)
        kept = True
        for part in in_parts(changes, AT_ONCE):
            is_last = part[-1] is changes[-1]
            kept = self._emit([self._event(change) for change in part], wait=is_last) and kept
        self.told += len(changes)
        return kept

    def tell_event(self, event: Event) -> None:
        """Emit one that is no change."""
        self._emit([event], wait=False)

    def _emit(self, events: Sequence[Event], *, wait: bool) -> bool:
        """Hand them over, waiting for room; with `wait` until they are written."""
        until: Any = "written" if wait and self._bus.state is not None else "buffered"
        try:
            self._runner.run(self._bus.emit_many(events, until=until))
        except NotKept:  # counted by the bus; the next start will tell them again
            return False
        return True

    def _event(self, change: Change) -> Event:
        digest = self._kept(change) if change.op == "write" else None
        actor = self._actor_of(change)
        if self._burst is not None:
            self._burst.take(change, actor)
        return _event_of(change, actor, digest, self._burst.id if self._burst else None)

    # --- asking ------------------------------------------------------------------------

    def _catch_up(self, changes: list[Change]) -> None:
        if self._attribution is None:
            return
        noticed = max(change.noticed for change in changes)
        try:
            self._runner.run(self._attribution.catch_up(noticed, changes))
        except Exception as error:  # noqa: BLE001 - recorded; a change is told all the same
            self.record(error, "asking who changed files")

    def _actor_of(self, change: Change) -> Actor:
        if self._attribution is None:
            return NOBODY
        try:
            return self._attribution.actor_of(change)
        except Exception as error:  # noqa: BLE001 - recorded; a change is told all the same
            self.record(error, "asking who changed files")
            return NOBODY

    def _kept(self, change: Change) -> str | None:
        """The hash of what a write left behind, if one is wanted."""
        digest: str | None = None
        if self._keep is not None:
            try:
                digest = self._keep(change)
            except Exception as error:  # noqa: BLE001 - recorded; a change is told all the same
                self.record(error, "keeping what files held")
        if digest is None and self.hash_bytes is not None:
            digest = hash_of(change.where, most=self.hash_bytes, disk=self._disk)
        return digest

    def record(self, error: BaseException, context: str) -> None:
        """Tell of an error, though not of one kind again and again."""
        now, kind = self._clock.monotonic(), f"{context}: {type(error).__name__}"
        if now - self._errors.get(kind, -ERROR_EVERY_S) >= ERROR_EVERY_S:
            self._errors[kind] = now
            self.tell_event(error_event(error, context))

    # --- bursts ------------------------------------------------------------------------

    def _count(self, number: int) -> None:
        now = self._clock.monotonic()
        self._lately.append((now, number))
        if self._burst is None and self._recent(now) > BURST:
            self._burst = _Burst(now)

    def _recent(self, now: float) -> int:
        while self._lately and self._lately[0][0] < now - WINDOW_S:
            self._lately.popleft()
        return sum(number for _, number in self._lately)

    def tend(self) -> None:
        """Sum a burst up that has ended, or goes on for long."""
        burst, now = self._burst, self._clock.monotonic()
        if burst is not None and (self._recent(now) < CALM or now - burst.began_s > LONGEST_S):
            self._end_burst()

    def _end_burst(self) -> None:
        burst, self._burst = self._burst, None
        if burst is not None and burst.counts:
            self.tell_event(burst.event(self._clock.monotonic()))


class _Burst:
    """What is summed up of a burst."""

    def __init__(self, began_s: float) -> None:
        self.id = new_id()
        self.began_s = began_s
        self.counts: Counter[str] = Counter()
        self._size_bytes = 0
        self._directories: Counter[str] = Counter()
        self._actors: set[Actor] = set()

    def take(self, change: Change, actor: Actor) -> None:
        self.counts[change.op] += 1
        if change.op == "write":
            self._size_bytes += change.size_bytes or 0
        self._directories[change.path.rpartition("/")[0]] += 1
        if len(self._actors) < 2:
            self._actors.add(actor)

    def event(self, now_s: float) -> WatchBurst:
        actor = self._actors.pop() if len(self._actors) == 1 else NOBODY
        return WatchBurst(
            id=self.id,
            scope=actor.scope,
            cause=actor.cause,
            changes=self.counts.total(),
            written=self.counts["write"],
            deleted=self.counts["delete"],
            made=self.counts["mkdir"],
            size_bytes=self._size_bytes,
            where=_where(self._directories),
            duration_ms=round((now_s - self.began_s) * 1000, 1),
            actor=actor.actor,
            agent_name=actor.agent_name,
            trace=actor.trace,
        )


def _where(directories: Counter[str]) -> dict[str, int]:
    """Changes by directory, at the depth where they part."""
    depth, groups = 1, Counter[str]()
    deepest = max(map(_depth_of, directories))
    while depth <= max(deepest, 1):
        groups = Counter()
        for directory, number in directories.items():
            groups["/".join(directory.split("/")[:depth]) or "."] += number
        if len(groups) > 1:
            break
        depth += 1
    return {told_path(name): number for name, number in groups.most_common(WHERE_MOST)}


def _depth_of(directory: str) -> int:
    return directory.count("/") + 1


def _event_of(change: Change, actor: Actor, digest: str | None, burst: str | None) -> Event:
    said: dict[str, Any] = {
        "ts": change.noticed,
        "scope": actor.scope,
        "cause": actor.cause,
        "path": told_path(change.path),
        "actor": actor.actor,
        "agent_name": actor.agent_name,
        "trace": actor.trace,
        "candidates": actor.candidates,
        "pid": msgspec.UNSET if actor.pid is None else actor.pid,
        "command": msgspec.UNSET if actor.command is None else actor.command,
        "burst": msgspec.UNSET if burst is None else burst,
    }
    if change.op == "mkdir":
        return DirectoryMade(**said)
    said["size_bytes"] = change.size_bytes
    if change.op == "delete":
        return FileDeleted(**said, hash=change.hash, moved_to=_told(change.moved_to))
    return FileWritten(**said, hash=digest or change.hash, moved_from=_told(change.moved_from))


def _told(path: str | None) -> str | None:
    return None if path is None else told_path(path)


def hash_of(path: Path, *, most: int, disk: Disk) -> str | None:
    """The hash of a file's content; None for what is no file, too large, or gone."""
    with suppress(OSError):
        fd = disk.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
        try:
            return _hash_open(fd, most=most, disk=disk)
        finally:
            disk.close(fd)
    return None


def _hash_open(fd: int, *, most: int, disk: Disk) -> str | None:
    status = disk.status(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        return None
    digest, offset = hashlib.sha256(), 0
    while offset <= most and (part := disk.pread(fd, READ_BYTES, offset)):
        digest.update(part)
        offset += len(part)
    return f"sha256:{digest.hexdigest()}"


def error_event(error: BaseException, context: str) -> ErrorRaised:
    """An error of the watcher's own."""
    return ErrorRaised(
        scope=Scope(),
        type=type(error).__name__,
        message=told_path(str(error)),
        stack=told_path("".join(traceback.format_exception(error))),
        component=COMPONENT,
        context=context,
    )
