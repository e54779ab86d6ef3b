"""One run of an agent, and what it can go on from: session:*."""

from typing import Any

from eventbus.event import Event

__all__ = [
    "SessionCreated",
    "SessionEnded",
    "SessionResumed",
    "SnapshotDiscarded",
    "SnapshotSaved",
]


class SessionCreated(Event, tag="session:create"):
    """A session began."""

    session_id: str | None = None
    """None: the scope's session."""
    cli_tool: str | None = None
    """`claude-code`, `gemini-cli`, `kiro-cli`, `proxy`, `mcp` or another."""
    persona: str | None = None
    nexus_mode: str | None = None
    """`hybrid`, `cloud`, `personas-only` or another."""
    reason: str | None = None


class SessionEnded(Event, tag="session:end"):
    """A session came to its end."""

    session_id: str | None = None
    """None: the scope's session."""
    cli_tool: str | None = None
    persona: str | None = None
    nexus_mode: str | None = None
    reason: str | None = None


class SnapshotSaved(Event, tag="session:snapshot"):
    """An agent's state at the end of a turn, to resume from."""

    chat_id: str
    turn_number: int
    state: Any = None
    """Whatever JSON can hold."""


class SnapshotDiscarded(Event, tag="session:discard"):
    """A chat's snapshot is not to be resumed from; one saved later is there again."""

    chat_id: str


class SessionResumed(Event, tag="session:resume"):
    """A session went on from a snapshot."""

    chat_id: str
    turn_number: int
    snapshot: str | None = None
    """The id of the snapshot's event."""
