"""Which tool calls are open, or were until just now: pure bookkeeping of what events say."""

import os
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import PurePath
from typing import Any

import msgspec

from eventbus.event import UNREADABLE, Event
from eventbus.events.command import CommandFinished, CommandStarted
from eventbus.events.session import SessionCreated, SessionResumed
from eventbus.events.traces import ToolFinished, ToolStarted, ToolUpdated
from eventbus.scope import Scope
from eventbus.watching.named import Named, named_in

__all__ = ["TELLING", "Phase", "Phases"]

OPEN_MOST = 4_096
"""Open phases that are known at a time; the one that began first is forgotten for another."""
CLOSED_MOST = 1_000
CLOSED_FOR = timedelta(minutes=10)
"""How long one that has closed is remembered."""

TELLING: tuple[type[Event], ...] = (
    ToolStarted,
    ToolFinished,
    ToolUpdated,
    CommandStarted,
    CommandFinished,
    SessionCreated,
    SessionResumed,
)
"""Classes whose events say that a phase begins or ends."""


class Phase(msgspec.Struct, kw_only=True):
    """The time in which a tool call, or a command, is open."""

    id: str
    """Of the event that began it."""
    trace: str | None
    """The tool call; None for a command outside of any."""
    name: str
    scope: Scope
    cause: str | None
    """The id of the event it came of: of the phase around it, if there is one."""
    began: datetime
    ended: datetime | None = None
    """None: open."""
    cwd: str | None = None
    named: Named = Named()
    writer: str | None = None
    """The writer in the journal that told of it."""

    def overlaps(self, earliest: datetime, latest: datetime) -> bool:
        """Whether it was open at some time between, both included."""
        return self.began <= latest and (self.ended is None or self.ended >= earliest)


class Phases:
    """The phases that are open, and for some minutes those that have closed."""

    def __init__(self) -> None:
        self._open: dict[str, Phase] = {}
        """By trace, or by the id of a command's start."""
        self._closed: dict[str, Phase] = {}
        self._ends: list[tuple[datetime, str]] = []
        """When each of these closed, and its key, in order."""
        self._by_id: dict[str, Phase] = {}

    def take(self, event: Event, *, writer: str | None = None) -> None:
        """Take what an event says; one that is told twice says nothing new."""
        if isinstance(event, ToolStarted):
            self._begin(event.trace, _of_tool(event, writer))
        elif isinstance(event, CommandStarted):
            self._begin(event.id, self._of_command(event, writer))
        elif isinstance(event, ToolFinished):
            self._end(event.trace, event.ts)
        elif isinstance(event, CommandFinished):
            self._end(event.cause, event.ts)
        elif isinstance(event, ToolUpdated):
            self._update(event)
        elif isinstance(event, SessionCreated | SessionResumed):
            self._open_session(event)

    def between(self, earliest: datetime, latest: datetime) -> list[Phase]:
        """Phases that were open at some time between, those first that have closed."""
        first = bisect_left(self._ends, (earliest, ""))
        recent = (self._closed[key] for _, key in islice(self._ends, first, None))
        return [p for p in (*recent, *self._open.values()) if p.overlaps(earliest, latest)]

    def around(self, phase: Phase) -> Iterator[Phase]:
        """The phases that one came of, the nearest first."""
        seen = {phase.id}
        cause = phase.cause
        while cause is not None and cause not in seen:
            seen.add(cause)
            outer = self._by_id.get(cause)
            if outer is None:
                return
            yield outer
            cause = outer.cause

    @property
    def open_writers(self) -> set[str]:
        """The writers that phases were told by which are still open."""
        return {phase.writer for phase in self._open.values() if phase.writer is not None}

    def end_writer(self, writer: str, moment: datetime) -> None:
        """End what is open of a writer that is no more."""
        for key, phase in list(self._open.items()):
            if phase.writer == writer:
                self._end(key, moment)

    def forget(self, now: datetime) -> None:
        """Forget what closed long ago."""
        while self._ends and self._ends[0][0] < now - CLOSED_FOR:
            self._forget_one()

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    # --- what is told --------------------------------------------------------------

    def _begin(self, key: str, phase: Phase) -> None:
        if key in self._open or key in self._closed:
            return
        self._open[key] = phase
        self._by_id[phase.id] = phase
        if len(self._open) > OPEN_MOST:
            self._by_id.pop(self._open.pop(next(iter(self._open))).id, None)

    def _end(self, key: str | None, moment: datetime) -> None:
        phase = self._open.pop(key, None) if key is not None else None
        if phase is None or key is None:
            return
        phase.ended = max(moment, phase.began)
        self._closed[key] = phase
        insort(self._ends, (phase.ended, key))
        if len(self._ends) > CLOSED_MOST:
            self._forget_one()

    def _forget_one(self) -> None:
        """The one that closed first."""
        _, key = self._ends.pop(0)
        self._by_id.pop(self._closed.pop(key).id, None)

    def _update(self, event: ToolUpdated) -> None:
        """One that has got an outcome, or an end, is over."""
        finished = event.finished_at
        if isinstance(finished, datetime):
            self._end(event.trace, finished)
        elif isinstance(event.outcome, str):
            self._end(event.trace, event.ts)

    def _open_session(self, event: SessionCreated | SessionResumed) -> None:
        """What the session's earlier life left open is abandoned."""
        session = getattr(event, "session_id", None) or event.scope.session
        for key, phase in list(self._open.items()):
            if session and phase.scope.session == session and phase.began < event.ts:
                self._end(key, event.ts)

    def _of_command(self, event: CommandStarted, writer: str | None) -> Phase:
        """A command is part of the tool call it came of."""
        outer = self._by_id.get(event.cause or "")
        return Phase(
            id=event.id,
            trace=outer.trace if outer is not None else None,
            name=outer.name if outer is not None else _program(event.argv),
            scope=event.scope,
            cause=event.cause,
            began=event.ts,
            cwd=None if event.cwd is None else os.path.realpath(event.cwd),
            named=named_in(list(event.argv), cwd=event.cwd),
            writer=writer,
        )


def _of_tool(event: ToolStarted, writer: str | None) -> Phase:
    cwd = os.path.realpath(event.cwd) if isinstance(event.cwd, str) else None
    return Phase(
        id=event.id,
        trace=event.trace,
        name=event.name,
        scope=event.scope,
        cause=event.cause,
        began=event.ts,
        cwd=cwd,
        named=named_in(_plain(event.input), cwd=cwd),
        writer=writer,
    )


def _plain(input: Any) -> Any:
    """An input as it is; one that was encoded already is read."""
    if not isinstance(input, msgspec.Raw):
        return input
    try:
        return msgspec.json.decode(input)
    except UNREADABLE:
        return None


def _program(argv: tuple[str, ...]) -> str:
    return PurePath(argv[0]).name if argv else "command"
