"""Where a shared lane goes on after it was closed."""

from pathlib import Path

import msgspec
import pytest

from eventbus import Event, EventBus
from eventbus.disk import SYSTEM_DISK
from eventbus.events import ErrorRaised
from eventbus.resume import resumed_cursor
from eventbus.sink import Cursor, Place


class Numbered(Event, tag="resume:number"):
    number: int


def keep(path: Path, cursor: Cursor, sink: Cursor) -> None:
    path.write_bytes(msgspec.json.encode(cursor))
    path.with_suffix(".sink").write_bytes(msgspec.json.encode(sink))


@pytest.mark.slow
def test_a_lane_of_rare_kinds_does_not_read_again_what_it_passed_over(tmp_path: Path) -> None:
    with EventBus(tmp_path, sinks=["errors"]) as bus:
        bus.emit_nowait(ErrorRaised(type="ValueError", message="once"))
        bus.flush_now()
        for number in range(3_000):
            bus.emit_nowait(Numbered(number=number))
    for _ in range(2):
        with EventBus(tmp_path, sinks=["errors"]) as bus:
            bus.flush_now()

            assert bus.statistics().lanes["errors"].seen < 100

    assert (tmp_path / "logs" / "errors.jsonl").read_bytes().count(b"\n") == 1


def test_a_sink_that_stands_where_it_stood_goes_on_where_the_lane_was(tmp_path: Path) -> None:
    path = tmp_path / "errors.json"
    sink = {"w": Place("a", 10)}
    keep(path, {"w": Place("a", 90), "x": Place("b", 5)}, sink)

    assert resumed_cursor(sink, path, SYSTEM_DISK) == {"w": Place("a", 90), "x": Place("b", 5)}


def test_a_sink_that_lost_something_decides_alone(tmp_path: Path) -> None:
    path = tmp_path / "errors.json"
    keep(path, {"w": Place("a", 90)}, {"w": Place("a", 10)})

    assert resumed_cursor({"w": Place("a", 4)}, path, SYSTEM_DISK) == {"w": Place("a", 4)}


def test_a_sink_that_is_ahead_of_what_the_lane_kept_is_not_sent_back(tmp_path: Path) -> None:
    path = tmp_path / "errors.json"
    sink = {"w": Place("a", 50)}
    keep(path, {"w": Place("a", 20)}, sink)

    assert resumed_cursor(sink, path, SYSTEM_DISK) == sink


def test_a_sink_without_a_cursor_goes_by_the_lanes(tmp_path: Path) -> None:
    path = tmp_path / "null.json"
    keep(path, {"w": Place("a", 20)}, {})

    assert resumed_cursor(None, path, SYSTEM_DISK) == {"w": Place("a", 20)}


def test_a_sink_that_has_nothing_begins_anew_where_nothing_says_it_had_nothing(
    tmp_path: Path,
) -> None:
    """What the sink had is not known any more; the lane must not pass over what it may lack."""
    path = tmp_path / "sqlite.json"
    keep(path, {"w": Place("a", 20)}, {})
    path.with_suffix(".sink").unlink()

    assert resumed_cursor({}, path, SYSTEM_DISK) == {}
