"""Programs run for the agent, and builds after its writes: command:*, build:*."""

from eventbus.event import Event

__all__ = ["BuildFinished", "CommandFinished", "CommandStarted"]


class CommandStarted(Event, tag="command:start"):
    """A program was started, without a shell."""

    argv: tuple[str, ...]
    cwd: str | None = None


class CommandFinished(Event, tag="command:finish"):
    """A program is over; its start is the cause."""

    argv: tuple[str, ...]
    cwd: str | None = None
    exit: int | None = None
    """Its exit code; None when a signal ended it."""
    signal: int | None = None
    timed_out: bool = False
    bytes_cut: int = 0
    """Output that went past the cap."""
    duration_ms: int | float | None = None


class BuildFinished(Event, tag="build:finish"):
    """The build or check after a burst of writes is over."""

    argv: tuple[str, ...]
    cwd: str | None = None
    exit: int | None = None
    """Its exit code; None when a signal ended it."""
    signal: int | None = None
    timed_out: bool = False
    bytes_cut: int = 0
    """Output that went past the cap."""
    duration_ms: int | float | None = None
