"""A line of a log, as `log_event` and ingest make it, and a log ingested: log:line log:ingest."""

import msgspec

from eventbus.event import Event

__all__ = ["LogIngested", "LogLine", "Scalar"]

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
    raw: bytes | msgspec.UnsetType = msgspec.UNSET
    """The bytes ingest found, where the line made of the above is not the same."""

    @property
    def kind(self) -> str:
        """The line's own type; the bus's topic stays the bus's."""
        return "log:line" if self.event_type.startswith("bus:") else self.event_type


class LogIngested(Event, tag="log:ingest"):
    """A foreign log is in the journal, up to here."""

    path: str
    """Where it was read."""
    file: str
    """Its fingerprint; empty for a file without a byte."""
    bytes: int
    """How long it was, unpacked."""
    last: str = ""
    """The id of its last line."""
    lines: int = 0
    unparsed: int = 0
    """Lines kept as they are, because they are none of a flat log."""
