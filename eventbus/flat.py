"""The flat log's functions, `log_event` and its siblings, over whatever recorder there is.

They use the process's open `EventBus` if there is one, else the recorder that
starts by itself.
"""

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventbus.activity import FlatLine, lines_of, log_path, parse, set_aside
from eventbus.bus import EventBus
from eventbus.errors import SettingsError
from eventbus.event import Event
from eventbus.events.error import ErrorRaised
from eventbus.events.log import LogLine
from eventbus.events.system import LogRotated
from eventbus.formats import flat
from eventbus.formats.as_text import as_scalar, as_text, stack_of
from eventbus.kinds import KindFilter
from eventbus.outlet import wait_until_written
from eventbus.producers.acting import be_session
from eventbus.scope import Scope, current_scope
from eventbus.standby import check_storage, standby
from eventbus.wrapping import telling

__all__ = [
    "flat_log_path",
    "get_log_text",
    "get_session",
    "log_error",
    "log_event",
    "logged",
    "read_log",
    "rotate_log",
    "set_session",
]

MEMORY_LINES = 10_000
"""Lines kept for `read_log` while the bus that is open keeps nothing on disk."""
MB = 1024 * 1024

F = TypeVar("F", bound=Callable[..., Any])

_session: str | None = None
_in_memory: deque[str] = deque(maxlen=MEMORY_LINES)


# --- writing ---------------------------------------------------------------------


def log_event(event_type: str, source: str, message: str = "", **kv: Any) -> str:
    """Record `category:action` from a source; the line it makes.

    From any thread, with or without a loop; it raises for nothing but a
    `LOG_STORAGE` that is not there. `conversation:turn` is recorded only when
    `LOG_CONVERSATION_TURNS=1`.
    """
    event = LogLine(
        event_type=as_text(event_type),
        source=as_text(source),
        message=as_text(message),
        kv={as_text(key): as_scalar(value) for key, value in kv.items()},
        scope=_scope(),
    )
    is_wanted = event_type != "conversation:turn" or os.environ.get("LOG_CONVERSATION_TURNS") == "1"
    return _record(event) if is_wanted else flat.text(event)


def log_error(source: str, exception: BaseException, context: str = "") -> str:
    """Record an exception as `error:runtime`, with its traceback; the line it makes."""
    event = ErrorRaised(
        type=as_text(type(exception).__name__),
        message=as_text(exception),
        stack=stack_of(exception),
        context=as_text(context) or None,
        scope=_scope(source=as_text(source)),
    )
    return _record(event)


def logged(source: str) -> Callable[[F], F]:
    """Log every exception that leaves the function, under its name, and let it go on.

    For plain and async functions, generators of both, and methods.
    """

    def decorate(function: F) -> F:
        name = getattr(function, "__name__", type(function).__name__)

        def tell(error: Exception) -> None:
            with suppress(SettingsError):  # the function's own exception is what counts
                log_error(source, error, name)

        wrapped: F = telling(function, tell)
        return wrapped

    return decorate


def _record(event: Event) -> str:
    line = flat.text(event)
    bus = standby.open_bus()
    if bus is None:
        if standby.bus is None:
            check_storage()
        standby.emit(event)
        return line
    bus.emit_nowait(event)
    if bus.state is None:
        _in_memory.append(line)
    return line


# --- the session -------------------------------------------------------------------


def set_session(session_id: str) -> None:
    """Make it the session of this process, and record `session:create`."""
    global _session
    _session = as_text(session_id)
    be_session(_session)
    log_event("session:create", "logger", session_id=_session)


def get_session() -> str | None:
    """The session set last in this process, or None."""
    return _session


def _scope(*, source: str | None = None) -> Scope:
    scope = current_scope()
    session = scope.session or _session
    if session == scope.session and source is None:
        return scope
    return msgspec.structs.replace(scope, session=session, source=source or scope.source)


# --- reading -----------------------------------------------------------------------


def read_log(
    since: datetime | None = None,
    event_types: str | Iterable[str] | None = None,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """The oldest lines from `since` on, at most `limit`, oldest first.

    A naive `since` is local time. `event_types` are exact or patterns such as
    `llm:*`. What this process logged before the call is there, and so are
    archives.
    """
    oldest = heapq.nsmallest(limit, _lines(since, event_types, limit), key=itemgetter(0))
    return [line._asdict() for line in oldest]


def get_log_text(since: datetime | None = None) -> str:
    """Every line from `since` on as `type source message`, oldest first."""
    lines = sorted(_lines(since, None, None), key=itemgetter(0))
    return "\n".join(f"{line.event_type} {line.source} {line.message}" for line in lines)


def _lines(
    since: datetime | None, event_types: str | Iterable[str] | None, most: int | None
) -> Iterator[FlatLine]:
    """Lines from `since` on, the `most` oldest among them at least."""
    storage = check_storage()
    kinds = KindFilter(event_types)
    since = _in_milliseconds(since) if since is not None else None
    standby.wait_until_started()
    bus = _bus()
    if bus is None or bus.state is not None:
        wait_until_written(bus)
        if storage != "sqlite":
            return lines_of(_state(), since=since, kinds=kinds)
        from eventbus.stored_log import stored_lines  # the store, for whoever keeps the log there

        return stored_lines(_state(), since=since, kinds=kinds, most=most)
    return (
        line
        for line in map(parse, list(_in_memory))
        if line is not None
        and (since is None or line.timestamp >= since)
        and kinds(line.event_type)
    )


def _in_milliseconds(moment: datetime) -> datetime:
    """The moment as a line would bear it, in UTC."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# --- the file ------------------------------------------------------------------------


def flat_log_path() -> Path:
    """Where the flat log is, or will be."""
    return log_path(_state())


def rotate_log(max_size_mb: float = 10.0) -> Path | None:
    """Set the flat log aside if it is larger, and record it; the archive, or None."""
    rotated = set_aside(_state(), larger_than=int(max_size_mb * MB))
    if rotated is None:
        return None
    archive, size = rotated
    _record(
        LogRotated(
            old_size_mb=round(size / MB, 3),
            archive=archive.name,
            scope=_scope(source="rotation"),
        )
    )
    return archive


def _bus() -> EventBus | None:
    return standby.open_bus() or standby.bus


def _state() -> Path:
    """The state directory of the bus in use, or the one a bus would get."""
    bus = _bus()
    if bus is not None and bus.state is not None:
        return bus.state
    from eventbus.settings import load_settings  # only whoever has no bus needs it

    return load_settings().state
