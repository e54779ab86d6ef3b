"""An existing program's log lines on the bus."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from eventbus import RecordHandler, scope, structlog_processor
from eventbus.events import LogLine
from eventbus.formats import flat
from eventbus.testing import Recorded


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("app.part")
    logger.propagate, logger.level = False, logging.DEBUG
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.filters.clear()


def lines(record: Recorded) -> list[Any]:
    return [event for event in record.of("*") if isinstance(event, LogLine)]


# --- logging -------------------------------------------------------------------------


def test_a_log_record_is_a_line_with_its_level_and_its_logger(
    record: Recorded, logger: logging.Logger
) -> None:
    logger.addHandler(RecordHandler())
    before = datetime.now(UTC)

    with scope(session="s-1"):
        logger.warning("disk at %d%%", 91, extra={"disk": "/", "free": 12, "odd": {1}})

    (line,) = lines(record)
    assert line.kind == line.event_type == "log:warning"
    assert (line.source, line.message) == ("app.part", "disk at 91%")
    assert line.kv == {"level": "WARNING", "disk": "/", "free": 12, "odd": "{1}"}
    assert line.scope.session == "s-1"
    assert before <= line.ts <= datetime.now(UTC)
    assert flat.text(line).endswith(
        "|log:warning|app.part|disk at 91% level=WARNING disk=/ free=12 odd={1}"
    )


def test_an_exception_brings_its_traceback(record: Recorded, logger: logging.Logger) -> None:
    logger.addHandler(RecordHandler())

    try:
        raise KeyError("k")
    except KeyError:
        logger.exception("no luck", stack_info=True)

    (line,) = lines(record)
    assert line.message == "no luck"
    assert line.kv["traceback"].startswith("Traceback")
    assert line.kv["traceback"].endswith("KeyError: 'k'\n")
    assert line.kv["stack"].startswith("Stack (most recent call last)")


def test_a_formatter_makes_the_message(record: Recorded, logger: logging.Logger) -> None:
    handler = RecordHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s! %(message)s"))
    logger.addHandler(handler)

    logger.info("hello")

    assert lines(record)[0].message == "INFO! hello"


class Shy:
    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


class Chatty(logging.Formatter):
    """Logs while it formats."""

    def format(self, record: logging.LogRecord) -> str:
        logging.getLogger("app.part").info("formatting")
        return super().format(record)


class Broken(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        raise RuntimeError("broken")


def test_logging_about_logging_does_not_go_round(record: Recorded, logger: logging.Logger) -> None:
    handler = RecordHandler()
    handler.setFormatter(Chatty())
    logger.addHandler(handler)

    logger.info("one")
    logger.info("two")

    assert [line.message for line in lines(record)] == ["one", "two"]


def test_what_cannot_be_formatted_is_recorded_all_the_same(
    record: Recorded, logger: logging.Logger
) -> None:
    handler = RecordHandler()

    def handle(message: str, *args: object, **extra: object) -> None:
        handler.handle(logger.makeRecord("app", 20, "", 1, message, args, None, extra=extra))

    handle("%d", "no number")
    handle("%s", Shy())
    handle("plain", shy=Shy())
    handler.setFormatter(Broken())
    handle("last")

    messages = [line.message for line in lines(record)]
    assert messages[0].startswith("%d ('no number',) (not formatted: TypeError: ")
    assert "not formatted: ValueError: no" in messages[1]
    assert lines(record)[2].kv["shy"] == "<Shy: str() raises ValueError>"
    assert messages[3] == "last () (not formatted: RuntimeError: broken)"


def test_the_recorders_own_loggers_and_threads_are_left_out(
    record: Recorded, logger: logging.Logger
) -> None:
    handler = RecordHandler()
    logger.addHandler(handler)

    handler.handle(logging.makeLogRecord({"name": "eventbus.lanes", "msg": "ours"}))
    handler.handle(logging.makeLogRecord({"name": "eventbusy", "msg": "theirs"}))
    thread = threading.Thread(target=logger.info, args=("lane",), name="eventbus-lanes")
    thread.start()
    thread.join()

    assert [line.message for line in lines(record)] == ["theirs"]


def test_levels_and_filters_keep_lines_out(record: Recorded, logger: logging.Logger) -> None:
    handler = RecordHandler("WARNING")
    handler.addFilter(lambda record: record.getMessage() != "secret")
    logger.addHandler(handler)

    logger.info("low")
    logger.error("secret")
    logger.error("open")

    assert [line.message for line in lines(record)] == ["open"]


def test_levels_of_ones_own_make_a_kind_as_well(record: Recorded, logger: logging.Logger) -> None:
    logger.addHandler(RecordHandler())

    logger.log(35, "between")

    assert lines(record)[0].kind == "log:level_35"


def test_no_lock_is_held_while_a_line_is_handed_on(
    record: Recorded, logger: logging.Logger
) -> None:
    """Whoever logs meanwhile, on another thread, is not kept waiting."""
    handler = RecordHandler()
    other = threading.Thread(target=logger.info, args=("other",))

    class Waiting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            if record.msg == "one":
                other.start()
                other.join(timeout=10)
                assert not other.is_alive()
            return super().format(record)

    handler.setFormatter(Waiting())
    logger.addHandler(handler)

    logger.info("one")

    assert [line.message for line in lines(record)] == ["other", "one"]


# --- structlog -------------------------------------------------------------------------


class Named:
    name = "app"


def test_an_entry_is_recorded_and_passed_on(record: Recorded) -> None:
    entry = {"event": "order placed", "order": 7, "level": "info", "_record": object()}

    assert structlog_processor(Named(), "info", entry) is entry

    (line,) = lines(record)
    assert (line.kind, line.source, line.message) == ("log:info", "app", "order placed")
    assert line.kv == {"level": "info", "order": 7}


@pytest.mark.parametrize(
    ("method", "level"), [("warn", "warning"), ("exception", "error"), ("debug", "debug")]
)
def test_a_method_stands_for_its_level(record: Recorded, method: str, level: str) -> None:
    structlog_processor(None, method, {"event": "x", "logger": "l"})

    (line,) = lines(record)
    assert (line.kind, line.source) == (f"log:{level}", "l")


def test_an_entrys_exception_brings_its_traceback(record: Recorded) -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        for told in (True, error, (KeyError, error, error.__traceback__)):
            structlog_processor(None, "error", {"event": "x", "exc_info": told})

    assert len(lines(record)) == 3
    assert all(line.kv["traceback"].endswith("KeyError: 'k'\n") for line in lines(record))


def test_an_entry_that_cannot_be_read_harms_nobody(record: Recorded) -> None:
    class Odd:
        def __bool__(self) -> bool:
            raise ValueError("no")

    entry = {"event": Shy(), "logger": Odd()}

    assert structlog_processor(None, "info", entry) is entry
    assert "cannot be read: ValueError" in lines(record)[0].message


def test_it_works_in_structlog_itself(record: Recorded) -> None:
    structlog = pytest.importorskip("structlog")
    seen: list[Any] = []

    def look(logger: Any, method: str, entry: Any) -> Any:
        seen.append(dict(entry))
        raise structlog.DropEvent

    through = structlog.wrap_logger(None, processors=[structlog_processor, look])
    last = structlog.wrap_logger(None, processors=[structlog_processor.final])
    through.info("one", n=1)
    last.warning("two", n=2)

    assert seen == [{"event": "one", "n": 1}]
    assert [(line.kind, line.message) for line in lines(record)] == [
        ("log:info", "one"),
        ("log:warning", "two"),
    ]
