"""Where events are written: one file a sink; each is imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sinks.console import ConsoleSink
    from sinks.file import FileSink
    from sinks.memory import MemorySink
    from sinks.null import NullSink
    from sinks.postgres import PostgresSink
    from sinks.sqlite import SqliteSink

__all__ = ["ConsoleSink", "FileSink", "MemorySink", "NullSink", "PostgresSink", "SqliteSink"]

_HOMES = {
    "ConsoleSink": "sinks.console",
    "FileSink": "sinks.file",
    "MemorySink": "sinks.memory",
    "NullSink": "sinks.null",
    "PostgresSink": "sinks.postgres",
    "SqliteSink": "sinks.sqlite",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sinks' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
