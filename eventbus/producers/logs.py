"""An existing program's log lines on the bus: a `logging` handler and a structlog processor."""

import logging
import re
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from eventbus.clock import utc_now
from eventbus.event import Event
from eventbus.events.log import LogLine, Scalar
from eventbus.formats.as_text import as_scalar, as_text, stack_of
from eventbus.producers.acting import Bus, emitter, scope_so_far

__all__ = ["RecordHandler", "StructlogProcessor", "structlog_processor"]

OUR_LOGGERS = ("eventbus", "sinks")
OUR_THREADS = "eventbus-"
"""How the names of the recorder's own threads begin: what is logged there would never end."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NO_WORD = re.compile(r"[\s|:*]+")
_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "msg": "info"}
"""Methods of a structlog logger that are not called like their level."""


class _Busy(threading.local):
    """Whether a line is on its way in this thread: what is logged meanwhile is about it."""

    is_busy = False


_busy = _Busy()


@contextmanager
def _on_its_way() -> Iterator[None]:
    _busy.is_busy = True
    try:
        yield
    finally:
        _busy.is_busy = False


def _is_ours(logger: str) -> bool:
    return logger.partition(".")[0] in OUR_LOGGERS or threading.current_thread().name.startswith(
        OUR_THREADS
    )


def _line(
    level: str, source: str, message: str, kv: dict[str, Scalar], *, ts: datetime | None = None
) -> Event:
    return LogLine(
        ts=ts or utc_now(),
        scope=scope_so_far(),
        event_type=f"log:{_NO_WORD.sub('_', level.lower()) or 'info'}",
        source=source,
        message=message,
        kv=kv,
    )


# --- logging -------------------------------------------------------------------------


class RecordHandler(logging.Handler):
    """Puts log records on the bus as `log:line`, each with its level and its extra fields.

    It takes no lock, never raises, and leaves out what the recorder's own
    threads log, and what is logged while a line is made.
    """

    def __init__(self, level: int | str = logging.NOTSET, *, bus: Bus | None = None) -> None:
        super().__init__(level)
        self._bus = bus

    def handle(self, record: logging.LogRecord) -> bool:
        """Record it, unless a filter has it out; with no lock, as none is needed."""
        passed = self.filter(record)
        if passed:
            self.emit(record if passed is True else passed)  # type: ignore[redundant-expr]
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Put it on the bus."""
        if _busy.is_busy or _is_ours(as_text(record.name)):
            return
        with _on_its_way():
            try:
                emitter(self._bus)(self._line(record))
            except Exception:  # noqa: BLE001 - a record's own values may raise anything; logging says so
                self.handleError(record)

    def _line(self, record: logging.LogRecord) -> Event:
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        kv: dict[str, Scalar] = {"level": as_text(record.levelname)}
        kv.update((as_text(key), as_scalar(value)) for key, value in extra.items())
        traceback = _traceback(record.exc_info) or record.exc_text
        if traceback:
            kv["traceback"] = as_text(traceback)
        if record.stack_info:
            kv["stack"] = as_text(record.stack_info)
        ts = datetime.fromtimestamp(record.created, UTC)
        source, message = as_text(record.name), self._message(record)
        return _line(as_text(record.levelname), source, message, kv, ts=ts)

    def _message(self, record: logging.LogRecord) -> str:
        """What a formatter makes of it, if there is one; raw, where it cannot be made."""
        try:
            return as_text(self.format(record) if self.formatter else record.getMessage())
        except Exception as error:  # noqa: BLE001 - arguments that do not fit, or a formatter's own code
            reason = f"{type(error).__name__}: {as_text(error)}"
            return f"{as_text(record.msg)} {as_text(record.args)} (not formatted: {reason})"


def _traceback(told: Any) -> str | None:
    """The traceback of whatever `exc_info` is: True, an exception, or its three parts."""
    if told is True:
        told = sys.exc_info()
    if isinstance(told, tuple) and len(told) == 3:
        told = told[1]
    if not isinstance(told, BaseException):
        return None
    return stack_of(told) or f"{type(told).__name__}: {as_text(told)}"


# --- structlog -------------------------------------------------------------------------

EventDict = MutableMapping[str, Any]


class StructlogProcessor:
    """A processor that records each entry, and passes it on as it is.

    `final` is the same for the end of a chain, where nothing is to follow.
    """

    def __init__(self, *, bus: Bus | None = None, is_final: bool = False) -> None:
        self._bus = bus
        self._is_final = is_final

    @property
    def final(self) -> "StructlogProcessor":
        """Records each entry, and ends it there."""
        return StructlogProcessor(bus=self._bus, is_final=True)

    def __call__(self, logger: Any, method: str, event_dict: EventDict) -> EventDict:
        """Record one entry."""
        if not _busy.is_busy:
            with _on_its_way():
                self._record(logger, method, event_dict)
        if self._is_final:
            raise sys.modules["structlog"].DropEvent
        return event_dict

    def _record(self, logger: Any, method: str, event_dict: EventDict) -> None:
        try:
            source = _source_of(logger, event_dict)
            if _is_ours(source):
                return
            event = _entry(source, method, event_dict)
        except Exception as error:  # noqa: BLE001 - an entry's own values may raise anything; told
            reason = f"an entry that cannot be read: {type(error).__name__}: {as_text(error)}"
            event = _line("error", "structlog", reason, {"level": "error"})
        emitter(self._bus)(event)


def _entry(source: str, method: str, event_dict: EventDict) -> Event:
    level = as_text(event_dict.get("level") or _LEVELS.get(method, method))
    kv: dict[str, Scalar] = {"level": level}
    for key, value in list(event_dict.items()):
        word = as_text(key)
        if word not in ("event", "level", "logger", "exc_info", "timestamp") and word[:1] != "_":
            kv[word] = as_scalar(value)
    traceback = _traceback(event_dict.get("exc_info"))
    if traceback:
        kv["traceback"] = traceback
    return _line(level, source, as_text(event_dict.get("event", "")), kv)


def _source_of(logger: Any, event_dict: EventDict) -> str:
    return as_text(event_dict.get("logger") or getattr(logger, "name", None) or "structlog")


structlog_processor = StructlogProcessor()
"""The processor, for whatever bus is in use."""
