"""Tool calls and changes at moments of one's choosing."""

from datetime import datetime
from pathlib import Path
from typing import Any

from eventbus.events import ToolFinished, ToolStarted
from eventbus.scope import Scope
from eventbus.watching.change import Change
from eventbus.watching.phases import Phases
from tests.store.given import at

ROOT = Path("/srv/project")
SCOUT = Scope(session="s1", agent="scout", component="brain", user="ann")


def started(trace: str, seconds: float, input: Any = None, **fields: Any) -> ToolStarted:
    """A tool call that begins then; by default in the root."""
    fields = {"name": "shell", "cwd": str(ROOT), "scope": SCOUT, "cause": None, **fields}
    return ToolStarted(id=trace, trace=trace, input=input, ts=at(seconds), **fields)


def finished(trace: str, seconds: float) -> ToolFinished:
    return ToolFinished(trace=trace, ts=at(seconds))


def phases(*events: Any) -> Phases:
    told = Phases()
    for event in events:
        told.take(event)
    return told


def change(path: str, changed: float | None, noticed: float | None = None, **fields: Any) -> Change:
    """A change; by default noticed 50 ms after it was made."""
    if noticed is None:
        noticed = (changed or 0.0) + 0.05
    when: datetime | None = None if changed is None else at(changed)
    fields = {"op": "write", "root": ROOT, **fields}
    return Change(path=path, changed=when, noticed=at(noticed), **fields)
