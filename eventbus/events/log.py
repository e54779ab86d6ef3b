"""A line of a log, as `log_event` and ingest make it: log:line."""

import msgspec

from eventbus.event import Event

__all__ = ["LogLine", "Scalar"]

Scalar = str | int | float | bool | None
"""A value of a `key=value` token."""


class LogLine(Event, tag="log:line"):
    """A line of a flat log; its kind is the type it gives itself."""

    event_type: str
    """`category:action`."""
    source: str = ""
    message: str = ""
    """The text before the `key=value` tokens."""
    kv: dict[str, Scalar] = msgspec.field(default_factory=dict)
    """The tokens, in order."""

    @property
    def kind(self) -> str:
        """The line's own type; the bus's topic stays the bus's."""
        return "log:line" if self.event_type.startswith("bus:") else self.event_type
