"""The traces that tool calls left."""

from eventbus.events import ToolFinished, ToolStarted
from eventbus.testing import Recorded


def started(record: Recorded) -> list[ToolStarted]:
    return record.of(ToolStarted)  # type: ignore[return-value]


def finished(record: Recorded) -> list[ToolFinished]:
    return record.of(ToolFinished)  # type: ignore[return-value]


def the_only(record: Recorded) -> tuple[ToolStarted, ToolFinished]:
    (start,), (finish,) = started(record), finished(record)
    assert finish.trace == start.trace
    return start, finish


def outcome(record: Recorded) -> str:
    return the_only(record)[1].outcome
