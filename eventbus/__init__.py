"""An async event bus with pluggable sinks: the flight recorder for AI agents."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventbus import outlet
from eventbus.bus import EventBus, Flushed, Report, Statistics
from eventbus.errors import (
    BusClosed,
    CostLimitReached,
    DefinitionError,
    EventBusError,
    NotKept,
    SettingsError,
    SinkNotFound,
    SnapshotRefused,
    StateUnusable,
)
from eventbus.event import Event, UnknownEvent
from eventbus.journal import JournalSettings
from eventbus.replay import read_journal
from eventbus.scope import Scope, current_scope, scope
from eventbus.sink import Batch, Cursor, Home, Lost, NamedSink, Place, Refused, Sink, Unavailable

if TYPE_CHECKING:
    from eventbus.ask import cost_summary, log_search, log_summary
    from eventbus.flat import (
        flat_log_path,
        get_log_text,
        get_session,
        log_error,
        log_event,
        logged,
        read_log,
        rotate_log,
        set_session,
    )
    from eventbus.limits import CostLimits, Limit
    from eventbus.producers.agents import agent_spawned
    from eventbus.producers.asgi import EventBusMiddleware
    from eventbus.producers.channels import channel_message
    from eventbus.producers.conversations import conversation, turn
    from eventbus.producers.dispatches import dispatch
    from eventbus.producers.logs import RecordHandler, structlog_processor
    from eventbus.producers.reload import reloading
    from eventbus.producers.sessions import process_session, save_snapshot, session
    from eventbus.producers.spending import SpendingLimits
    from eventbus.producers.tasks import rate_task, record_task
    from eventbus.producers.tools import tool
    from eventbus.producers.uncaught import record_uncaught
    from eventbus.producers.watcher import Watcher
    from eventbus.producers.workers import worker_task
    from eventbus.recorder import spending_limits
    from eventbus.store.relevance import RelevanceIndex
    from eventbus.watching.settings import WatchSettings

__all__ = [
    "Batch",
    "BusClosed",
    "CostLimitReached",
    "CostLimits",
    "Cursor",
    "DefinitionError",
    "Event",
    "EventBus",
    "EventBusError",
    "EventBusMiddleware",
    "Flushed",
    "Home",
    "JournalSettings",
    "Limit",
    "Lost",
    "NamedSink",
    "NotKept",
    "Place",
    "RecordHandler",
    "Refused",
    "RelevanceIndex",
    "Report",
    "Scope",
    "SettingsError",
    "Sink",
    "SinkNotFound",
    "SnapshotRefused",
    "SpendingLimits",
    "StateUnusable",
    "Statistics",
    "Unavailable",
    "UnknownEvent",
    "WatchSettings",
    "Watcher",
    "agent_spawned",
    "channel_message",
    "conversation",
    "cost_summary",
    "current_scope",
    "dispatch",
    "flat_log_path",
    "get_log_text",
    "get_session",
    "log_error",
    "log_event",
    "log_search",
    "log_summary",
    "logged",
    "process_session",
    "rate_task",
    "read_journal",
    "read_log",
    "record_task",
    "record_uncaught",
    "reloading",
    "rotate_log",
    "save_snapshot",
    "scope",
    "session",
    "set_session",
    "spending_limits",
    "structlog_processor",
    "tool",
    "turn",
    "worker_task",
]

_FLAT = (
    "flat_log_path",
    "get_log_text",
    "get_session",
    "log_error",
    "log_event",
    "logged",
    "read_log",
    "rotate_log",
    "set_session",
)
_LATER = {
    **dict.fromkeys(_FLAT, "eventbus.flat"),
    "cost_summary": "eventbus.ask",
    "log_search": "eventbus.ask",
    "log_summary": "eventbus.ask",
    "CostLimits": "eventbus.limits",
    "Limit": "eventbus.limits",
    "agent_spawned": "eventbus.producers.agents",
    "EventBusMiddleware": "eventbus.producers.asgi",
    "channel_message": "eventbus.producers.channels",
    "conversation": "eventbus.producers.conversations",
    "turn": "eventbus.producers.conversations",
    "dispatch": "eventbus.producers.dispatches",
    "RecordHandler": "eventbus.producers.logs",
    "structlog_processor": "eventbus.producers.logs",
    "reloading": "eventbus.producers.reload",
    "process_session": "eventbus.producers.sessions",
    "save_snapshot": "eventbus.producers.sessions",
    "session": "eventbus.producers.sessions",
    "SpendingLimits": "eventbus.producers.spending",
    "rate_task": "eventbus.producers.tasks",
    "record_task": "eventbus.producers.tasks",
    "tool": "eventbus.producers.tools",
    "record_uncaught": "eventbus.producers.uncaught",
    "Watcher": "eventbus.producers.watcher",
    "worker_task": "eventbus.producers.workers",
    "spending_limits": "eventbus.recorder",
    "RelevanceIndex": "eventbus.store.relevance",
    "WatchSettings": "eventbus.watching.settings",
}
"""Names that are loaded when they are first asked for, with their homes."""


def _standby() -> outlet.Reserve:
    from eventbus.standby import standby  # settings and threads, only where no bus was opened

    return standby


outlet.reserve(_standby)


def __getattr__(name: str) -> Any:
    """What emitting does not need, loaded when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'eventbus' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
