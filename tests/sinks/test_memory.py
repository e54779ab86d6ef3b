"""Events in a list, and nowhere."""

from pathlib import Path
from typing import Any

import pytest

from eventbus.event import Event, encode
from eventbus.events import LogLine, ToolStarted
from eventbus.sink import Batch, Sink, find_sink
from eventbus.testing import SinkContract
from sinks import MemorySink, NullSink
from tests.sinks.files import line, run


class TestMemoryContract(SinkContract):
    @pytest.fixture(autouse=True)
    def keep(self) -> None:
        self.made: list[MemorySink] = []

    def make(self, state: Path) -> Sink:
        self.made.append(MemorySink())
        return self.made[-1]

    def read(self, state: Path) -> list[str]:
        return [event.id for sink in self.made for event in sink.events]


class TestNullContract(SinkContract):
    def make(self, state: Path) -> Sink:
        return NullSink()


def filled(sink: MemorySink, *events: Event) -> MemorySink:
    run(sink.write(Batch(events=list(events))))
    return sink


def test_events_are_kept_as_they_are() -> None:
    event = line("m")

    assert filled(MemorySink(), event).events == [event]


def test_events_read_from_lines_are_typed() -> None:
    event = line("m")
    sink = MemorySink()

    run(sink.write(Batch(lines=[encode(event)])))

    assert sink.events == [event]
    assert isinstance(sink.events[0], LogLine)


def test_with_a_capacity_the_latest_are_kept() -> None:
    sink = MemorySink(capacity=3)

    for n in range(5):
        filled(sink, line(f"{n}"))

    assert [event.message for event in sink.of(LogLine)] == ["2", "3", "4"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kinds", ["test:*", "*:line", "test:line", LogLine, ["a:b", LogLine]])
def test_events_are_found_by_kind(kinds: Any) -> None:
    log, tool = line("m"), ToolStarted(trace="t", name="n")

    assert filled(MemorySink(), log, tool).of(kinds) == [log]


def test_clearing_forgets_what_was_kept() -> None:
    sink = filled(MemorySink(), line("m"))

    sink.clear()

    assert sink.events == []


def test_both_are_found_by_name() -> None:
    memory = find_sink("memory", {"capacity": 7})

    assert isinstance(memory, MemorySink)
    assert memory.capacity == 7
    assert isinstance(find_sink("null"), NullSink)


def test_importing_sinks_brings_none_of_them() -> None:
    import sinks

    assert set(sinks.__all__) <= set(dir(sinks))
    with pytest.raises(AttributeError, match="no attribute 'NoSuchSink'"):
        _ = sinks.NoSuchSink
