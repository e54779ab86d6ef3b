from datetime import UTC, datetime

import pytest

from eventbus.bus import EventBus
from eventbus.census import take_census
from eventbus.event import Event
from eventbus.events import LogLine
from eventbus.sink import Batch, Refused, Sink
from tests.frontends.console import Here


def said(kind: str, *, day: int = 20) -> LogLine:
    return LogLine(event_type=kind, ts=datetime(2100, 11, day, 10, tzinfo=UTC))


@pytest.fixture
def filled(here: Here) -> Here:
    with EventBus(here.state) as bus:
        for kind, day in (("a:b", 19), ("a:b", 20), ("c:d", 20)):
            bus.emit_nowait(said(kind, day=day))
    return here


def test_events_are_counted_by_kind_and_day(filled: Here) -> None:
    census = take_census(filled.state)

    assert census.events == 3
    assert census.bookkeeping == 2
    assert census.kinds == {"a:b": 2, "c:d": 1}
    assert census.days == {"2100-11-19": 1, "2100-11-20": 2}
    assert list(census.writers.values()) == [3]
    assert (census.first, census.last) == (said("", day=19).ts, said("", day=20).ts)


def test_events_are_counted_from_a_moment_on(filled: Here) -> None:
    assert take_census(filled.state, since=said("", day=20).ts).kinds == {"a:b": 1, "c:d": 1}


def test_a_line_nobody_can_read_is_counted_apart(filled: Here) -> None:
    [segment] = (filled.state / "journal").glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b"\x00ruin\n")

    census = take_census(filled.state)

    assert (census.events, census.unreadable) == (3, 1)
    assert "1 line that no one can read" in filled("stats").out


def test_what_a_lane_has_to_do_is_told(here: Here) -> None:
    with EventBus(here.state, sinks=["jsonl"]) as bus:
        bus.emit_nowait(said("a:b"))
    with EventBus(here.state) as bus:
        for _ in range(3):
            bus.emit_nowait(said("a:b"))

    lane = take_census(here.state).lanes["jsonl"]

    assert (lane.events, lane.dead) == (3, 0)
    assert lane.bytes > 0


class Unwilling(Sink):
    async def write(self, batch: Batch) -> None:
        raise Refused("never")


def test_dead_letters_are_counted(here: Here) -> None:
    with EventBus(here.state) as bus:
        bus.attach(Unwilling(), name="unwilling")
        bus.emit_nowait(said("a:b"))
        bus.emit_nowait(said("a:b"))

    assert take_census(here.state).lanes["unwilling"].dead == 2


def test_areas_are_measured(filled: Here) -> None:
    areas = take_census(filled.state).areas

    assert areas["journal"].files == 1
    assert areas["journal"].bytes == sum(
        path.stat().st_size for path in (filled.state / "journal").glob("*.jsonl")
    )


def test_counts_are_shown_in_tables(filled: Here) -> None:
    told = filled("stats")

    assert told.lines[0] == "3 events in 1 segment"
    assert "from 2100-11-19 10:00:00Z to 2100-11-20 10:00:00Z" in told.lines
    assert "no 'eventbus up' runs here" in told.lines
    assert "kind  events\na:b        2\nc:d        1" in told.out


def test_counts_can_be_had_as_json(filled: Here) -> None:
    assert filled("stats", "--json").json["kinds"] == {"a:b": 2, "c:d": 1}


class Strange(Event, tag="strange:\u202e"):
    pass


def test_long_lists_are_cut_and_strange_kinds_shown(here: Here) -> None:
    with EventBus(here.state) as bus:
        bus.emit_nowait(Strange())
        for number in range(30):
            bus.emit_nowait(said(f"kind:{number}"))

    told = here("stats")

    assert "... and 11 more; --all shows them" in told.out
    assert "... and" not in here("stats", "--all").out
    assert "strange:\\u202e" in here("stats", "--all").out
