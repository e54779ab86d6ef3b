"""The agent's own saved state, read and written: state:*."""

from eventbus.event import Event

__all__ = ["StateBootstrapped", "StateRead", "StateReady", "StateWritten"]


class StateRead(Event, tag="state:read"):
    """A section of the state was read."""

    section: str | None = None
    """None: all of it."""


class StateWritten(Event, tag="state:write"):
    """A section of the state was written."""

    section: str | None = None
    """None: all of it."""
    keys_updated: tuple[str, ...] = ()


class StateBootstrapped(Event, tag="state:bootstrap"):
    """The state is being put together for a new session."""

    context_level: int | str | None = None
    """How much of it was asked for."""


class StateReady(Event, tag="state:bootstrap_complete"):
    """The state for a new session is put together."""

    context_level: int | str | None = None
    sections: tuple[str, ...] = ()
    duration_ms: int | float | None = None
