"""A morning in which files were changed: by tools, by two at once, and by nobody known."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eventbus.bus import EventBus
from eventbus.event import Event
from eventbus.events import DirectoryMade, FileDeleted, FileWritten, ToolFinished, ToolStarted
from eventbus.scope import Scope
from tests.frontends.day import HOSTILE, at

SCOUT = Scope(session="s1", agent="scout", user="ann")


def make_changes(state: Path) -> Path:
    """Record them in a state directory and land them in its store."""
    with EventBus(state, sinks=["sqlite", "audit"]) as bus:
        for event in events():
            bus.emit_nowait(event)
    return state


def events() -> Iterator[Event]:
    yield started("t-edit", 0, "write_file", {"path": "src/app.py", "content": "x" * 1500})
    yield DirectoryMade(path="src", ts=at(1), **by("t-edit", "write_file"))
    yield FileWritten(path="src/app.py", size_bytes=1500, ts=at(1), **by("t-edit", "write_file"))
    yield ToolFinished(trace="t-edit", outcome="success", ts=at(2), scope=SCOUT)
    yield started("t-shell", 10, "shell", {"command": "sed -i s/x/yy/ src/*.py"})
    yield FileWritten(path="src/app.py", size_bytes=3000, ts=at(11), **by("t-shell", "shell"))
    yield FileWritten(path="src/b.py", size_bytes=7, ts=at(11.5), **by("t-shell", "shell"))
    yield FileWritten(path="src/app.py", size_bytes=2900, ts=at(60), pid=47, command="vim app.py")
    yield FileWritten(
        path="src/c.py",
        size_bytes=0,
        actor="ambiguous",
        candidates=("t-edit", "t-shell"),
        ts=at(61),
    )
    yield FileDeleted(path="src/b.py", size_bytes=7, moved_to="lib/b.py", ts=at(70))
    yield FileWritten(path="lib/b.py", size_bytes=7, moved_from="src/b.py", ts=at(70))
    yield FileWritten(path=HOSTILE, size_bytes=1, actor=HOSTILE, ts=at(80))


def started(trace: str, seconds: float, name: str, input: Any) -> ToolStarted:
    return ToolStarted(
        id=trace, trace=trace, name=name, input=input, ts=at(seconds), scope=SCOUT, cause=None
    )


def by(trace: str, name: str) -> dict[str, Any]:
    return {
        "actor": name,
        "agent_name": "scout",
        "trace": trace,
        "cause": trace,
        "scope": SCOUT,
    }
