"""R25: what a release wrote is read by every later one, and what it does not know goes through.

`tests/golden/` holds a state directory of each release: segments of two
writers, of which one rolled and ended well and the other had a failed sync
and a torn end, cursors of two lanes that stand in the middle, and their logs.
`expected/` has each writer's records. Releases may be added, never edited.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import time_machine

from eventbus import Event, EventBus, NamedSink, read_journal
from eventbus.event import UnknownEvent, encode
from eventbus.events.bus import Recovered

GOLDEN = Path(__file__).parents[1] / "golden"
RELEASES = sorted(path.stem for path in GOLDEN.glob("*.sha256"))
SAME_DAY = datetime(2026, 1, 2, 12, tzinfo=UTC)
"""When the golden logs are still of today, and nothing is old enough to be pruned."""

Figure = Callable[[str, object], None]

pytestmark = pytest.mark.parametrize("release", RELEASES)


@pytest.fixture
def state(release: str, tmp_path: Path) -> Iterator[Path]:
    """A copy of the release's state directory, on the day it was left."""
    copy = tmp_path / "state"
    shutil.copytree(GOLDEN / release / "state", copy, copy_function=shutil.copyfile)
    with time_machine.travel(SAME_DAY, tick=True):
        yield copy


def expected_of(release: str) -> dict[str, list[bytes]]:
    """Each writer's records, in order."""
    files = (GOLDEN / release / "expected").iterdir()
    return {path.stem: path.read_bytes().split(b"\n")[:-1] for path in files}


def faults(found: list[bytes], release: str) -> list[str]:
    """What is wrong with lines that should be every writer's, once and in order."""
    wrong = []
    for writer, lines in expected_of(release).items():
        own = [line for line in found if line in lines]
        if own != lines:
            wrong.append(
                f"writer {writer}: {len(own)} lines instead of {len(lines)}, or in disorder"
            )
    strangers = len(found) - sum(map(len, expected_of(release).values()))
    return wrong + [f"{strangers} lines too many"] * bool(strangers)


def lines_in(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def count(release: str) -> int:
    return sum(map(len, expected_of(release).values()))


def test_the_golden_files_are_as_they_were(release: str, record_property: Figure) -> None:
    sums = (GOLDEN / f"{release}.sha256").read_text().split("\n")[:-1]
    told = {name: digest for digest, name in (line.split("  ") for line in sums)}
    there = {
        path.relative_to(GOLDEN).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (GOLDEN / release).rglob("*")
        if path.is_file()
    }

    assert there == told
    record_property("figure", f"release {release}: {len(told)} files, none edited")


def test_its_journal_is_read_whole_and_in_order(
    release: str, state: Path, record_property: Figure
) -> None:
    """R25: kinds we know come typed with their fields, others with their line as it was."""
    events = list(read_journal(state))

    wrong = 0
    for lines in expected_of(release).values():
        records = {msgspec.json.decode(line)["id"]: line for line in lines}
        found = [event for event in events if event.id in records]
        assert [event.id for event in found] == list(records)
        wrong += sum(not says(event, records[event.id]) for event in found)
    assert len(events) == count(release)
    assert wrong == 0
    unknown = sum(isinstance(event, UnknownEvent) for event in events)
    assert 0 < unknown < len(events)
    record_property(
        "figure", f"release {release}: {len(events)} records read, {unknown} of them not known here"
    )


def says(event: Event, line: bytes) -> bool:
    """True when the event has all that the record has, as far as its kind knows of it."""
    if isinstance(event, UnknownEvent):
        return event.line == line
    record = msgspec.json.decode(line)
    if not event.id.endswith((" minimal", " full")):  # made with more than was known
        record = {word: record[word] for word in ("kind", "id")}
    told = msgspec.json.decode(encode(event))
    return all(told[word] == value for word, value in record.items())


def test_a_new_lane_writes_every_record_byte_for_byte(
    release: str, state: Path, record_property: Figure
) -> None:
    again = NamedSink(use="jsonl", name="again", settings={"path": "again.jsonl"})
    with EventBus(state, sinks=[again]) as bus:
        assert bus.flush_now(timeout=20).reached

    found = [line for line in lines_in(state / "logs" / "again.jsonl") if b'"bus:' not in line[:20]]

    assert faults(found, release) == []
    record_property("figure", f"release {release}: {len(found)} lines byte for byte the same")


def test_its_lanes_go_on_where_they_stood(
    release: str, state: Path, record_property: Figure
) -> None:
    before = {
        name: (state / "logs" / name).read_bytes() for name in ("events.jsonl", "activity.log")
    }

    with EventBus(state, sinks=["jsonl", "flat"]) as bus:
        assert bus.flush_now(timeout=20).reached

    after = {name: (state / "logs" / name).read_bytes() for name in before}
    assert all(after[name].startswith(before[name]) for name in before)
    assert all(len(after[name]) > len(before[name]) for name in before)
    found = [
        line for line in lines_in(state / "logs" / "events.jsonl") if b'"bus:' not in line[:20]
    ]
    assert faults(found, release) == []
    more = len(found) - before["events.jsonl"].count(b"\n")
    record_property("figure", f"release {release}: {more} records after the cursor, each once")


def test_its_torn_end_is_cut_off_and_told(
    release: str, state: Path, record_property: Figure
) -> None:
    last = max(state.glob("journal/*-afc965d6.jsonl"))
    torn = last.read_bytes().rpartition(b"\n")[2]
    assert torn

    with EventBus(state):
        pass

    (told,) = read_journal(state, kinds="bus:recover")
    assert isinstance(told, Recovered)
    assert (told.segment, told.reason, told.cut_bytes) == (last.name, "torn", len(torn))
    assert torn not in last.read_bytes()
    assert [path.read_bytes() for path in state.glob("journal/*.torn")] == [torn]
    record_property("figure", f"release {release}: {len(torn)} torn bytes cut off and kept aside")
