"""What can go wrong, as types.

EventBusError
├── DefinitionError   an event class, kind or filter that cannot be (also a ValueError)
├── SettingsError     a setting that is not allowed (also a ValueError)
├── SinkNotFound      no sink of that name is installed (also a LookupError)
├── StateUnusable     the state directory cannot be written
├── StoreUnusable     the store cannot be opened, or is not of this version
├── BusClosed         a question to a bus that has ended
├── CostLimitReached  a dispatch that a cost limit does not let begin
├── CursorRefused     a page cursor that is none of ours (also a ValueError)
├── IngestRefused     a file that ingest does not read, or not to its end
├── ExportRefused     a form or a file that cannot be exported (also a LookupError)
├── UsageUnreadable   a report of usage that cannot be read (also a ValueError)
├── TraceUnknown      no tool trace of that id (also a LookupError)
├── TaskUnknown       no task of that id (also a LookupError)
├── SnapshotUnknown   no snapshot of that chat (also a LookupError)
├── ContentUnknown    a file's content that is not kept (also a LookupError)
├── SnapshotRefused   a state that cannot be saved to go on from (also a ValueError)
└── NotKept           the level asked for by `until=` was not reached
"""

from datetime import datetime
from functools import partial
from typing import Any, Literal

__all__ = [
    "BusClosed",
    "ContentUnknown",
    "CostLimitReached",
    "CursorRefused",
    "DefinitionError",
    "EventBusError",
    "ExportRefused",
    "IngestRefused",
    "NotKept",
    "SettingsError",
    "SinkNotFound",
    "SnapshotRefused",
    "SnapshotUnknown",
    "StateUnusable",
    "StoreUnusable",
    "TaskUnknown",
    "TraceUnknown",
    "UsageUnreadable",
]


class EventBusError(Exception):
    """Every error this package raises on purpose."""


class DefinitionError(EventBusError, ValueError):
    """An event class, a kind or a filter that cannot be."""


class SettingsError(EventBusError, ValueError):
    """A setting that is not allowed, with what is."""


class SinkNotFound(EventBusError, LookupError):
    """No sink of that name is installed."""


class StateUnusable(EventBusError):
    """The state directory cannot be made or written."""


class StoreUnusable(EventBusError):
    """The store cannot be opened, or its tables are not of this version."""


class BusClosed(EventBusError):
    """A question to a bus that has ended."""


class CostLimitReached(EventBusError):
    """A dispatch that a cost limit does not let begin; its message is for whoever asked."""

    def __init__(
        self,
        *,
        limit: float,
        spent: float,
        window: Literal["daily", "monthly"],
        scope: str = "user",
        resets_at: datetime | None = None,
        unit: Literal["cost", "token"] = "cost",
    ) -> None:
        super().__init__(f"{window.capitalize()} {unit} limit reached.")
        self.limit = limit
        """Dollars, or tokens, that may be spent within the window."""
        self.spent = spent
        """What was spent within the window so far."""
        self.window = window
        self.scope = scope
        """Whom the limit holds for: `user` or `all`."""
        self.resets_at = resets_at
        self.unit = unit

    def __reduce__(self) -> tuple[Any, ...]:
        return (partial(type(self), **self.__dict__), ())


class CursorRefused(EventBusError, ValueError):
    """A page cursor that is none of ours."""


class IngestRefused(EventBusError):
    """A file that ingest does not read, or cannot read to its end."""


class ExportRefused(EventBusError, LookupError):
    """A form that there is not, or a file that is not in the store whole."""


class UsageUnreadable(EventBusError, ValueError):
    """A report of what a model call used, that no reader takes."""


class TraceUnknown(EventBusError, LookupError):
    """No tool trace of that id is in the store."""


class TaskUnknown(EventBusError, LookupError):
    """No task of that id is in the store."""


class SnapshotUnknown(EventBusError, LookupError):
    """No snapshot of that chat is in the store."""


class ContentUnknown(EventBusError, LookupError):
    """What a file held at a moment is not kept."""


class SnapshotRefused(EventBusError, ValueError):
    """A state that JSON cannot hold, or that is too long to be saved."""


class NotKept(EventBusError):
    """The event did not reach the level asked for by `until=`."""
