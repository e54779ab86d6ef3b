"""Errors of every producer in one form, as lines of `errors.jsonl`."""

from typing import Any

from eventbus.event import Event
from eventbus.events.error import ErrorRaised, ToolErrored
from eventbus.events.llm import ModelFailed
from eventbus.events.log import LogLine
from eventbus.events.worker import WorkerFailed
from eventbus.formats import flat
from eventbus.formats.moment import stamp
from eventbus.formats.record import Record, to_json

__all__ = ["KINDS", "Error", "encode", "error_of"]

KINDS = ("error:*", "llm:error", "worker:fail")


class Error(Record, frozen=True, kw_only=True):
    """One error; null where nothing is known."""

    timestamp: str
    component: str | None
    type: str
    message: str
    stack: str | None = None
    tool: str | None = None
    args: Any = None
    source: str | None


def encode(event: Event) -> bytes | None:
    """The line of an error, a failed model call or a failed worker."""
    error = error_of(event)
    return None if error is None else to_json(error)


def error_of(event: Event) -> Error | None:
    """What went wrong by an event; None for one by which nothing did."""
    if isinstance(event, ErrorRaised):
        return _raised(event)
    if isinstance(event, ModelFailed):
        return _failed(event, event.error_type or "ModelFailed", event.error)
    if isinstance(event, WorkerFailed):
        return _failed(event, event.error_type or "WorkerFailed", event.error, stack=event.stack)
    if isinstance(event, LogLine) and event.event_type.startswith(("error:", "llm:error")):
        return _logged(event)
    return None


def _raised(event: ErrorRaised) -> Error:
    tool, args = (event.tool, event.args) if isinstance(event, ToolErrored) else (None, None)
    return Error(
        timestamp=stamp(event.ts),
        component=event.component or event.scope.component,
        type=event.type,
        message=event.message,
        stack=event.stack,
        tool=tool,
        args=args,
        source=event.scope.source,
    )


def _failed(event: Event, name: str, message: str, *, stack: str | None = None) -> Error:
    return Error(
        timestamp=stamp(event.ts),
        component=event.scope.component,
        type=name,
        message=message,
        stack=stack,
        source=event.scope.source,
    )


def _logged(event: LogLine) -> Error:
    """A log line has no exception to name; its own type stands for one."""
    return Error(
        timestamp=stamp(event.ts),
        component=event.scope.component,
        type=event.event_type,
        message=flat.log_message(event),
        source=event.source or event.scope.source,
    )
