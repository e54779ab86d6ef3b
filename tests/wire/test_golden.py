"""What is written today is read for ever: golden lines of every kind and file.

Lines may be added to the golden files beside this one, never edited or taken
away: they stand for files that people have. Where a kind gains a field, its
new line is added after the old ones. An event must be written as the last of
the lines that are its own, and each of them must read back as it.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus.event import HEADER, Event, UnknownEvent, decode, decode_batch, encode, known_kinds
from eventbus.events import AppStarted, DispatchFinished, LogLine
from eventbus.formats import SHAPES, flat
from eventbus.formats.moment import stamp
from eventbus.scope import Scope
from eventbus.sink import Batch
from tests.wire.fixed import FULL, FURTHER, MINIMAL, fixed_events

HERE = Path(__file__).parent
EVENTS = {event.id: event for event in fixed_events()}
FILES = {
    "flat": "activity.log",
    "audit": "audit.jsonl",
    "interactions": "interactions.jsonl",
    "usage": "usage.jsonl",
    "storage": "storage.jsonl",
    "backup": "backup.jsonl",
    "errors": "errors.jsonl",
}
FIELDS = {
    "audit": "timestamp op path sizeBytes actor agentName",
    "interactions": "timestamp senderId conversationId model agentName tokensIn tokensOut cost"
    " durationMs tools status error batch batchId",
    "usage": "timestamp userId component model conversationId tokensIn tokensOut"
    " cacheReadTokens cacheWriteTokens cost priced",
    "storage": "timestamp area bytes files",
    "backup": "timestamp engine path bytes durationMs status integrity error",
    "errors": "timestamp component type message stack tool args source",
}


def golden(name: str) -> list[bytes]:
    return (HERE / name).read_bytes().removesuffix(b"\n").split(b"\n")


def our_kinds() -> dict[str, type[Event]]:
    """The kinds of the package: other tests define some as well."""
    return {
        kind: cls
        for kind, cls in known_kinds().items()
        if cls.__module__.startswith("eventbus.events.")
    }


def last_lines() -> dict[str, bytes]:
    """The line each event is written as today, by the event's id."""
    return {msgspec.json.decode(line)["id"]: line for line in golden("events.jsonl")}


def moment_of(line: bytes) -> str:
    """When a line of any file says it was; that tells whose it is."""
    if line.startswith(b"{"):
        return str(msgspec.json.decode(line)["timestamp"])
    return line.split(b"|")[0].decode()


@pytest.mark.parametrize("kind", sorted(our_kinds()))
def test_every_kind_has_golden_lines(kind: str) -> None:
    lines = last_lines()

    assert f"{kind} minimal" in lines
    assert f"{kind} full" in lines


@pytest.mark.parametrize("id", EVENTS)
def test_an_event_is_written_as_its_golden_line(id: str) -> None:
    line = encode(EVENTS[id])

    assert last_lines().get(id) == line, f"add to events.jsonl: {line.decode()}"


@pytest.mark.parametrize("line", golden("events.jsonl"), ids=lambda line: line[9:50].decode())
def test_a_golden_line_reads_back_as_its_event(line: bytes) -> None:
    event = decode(line)

    assert event == EVENTS[event.id]
    assert type(event) is type(EVENTS[event.id])


def test_golden_lines_read_back_as_well_in_one_batch() -> None:
    lines = golden("events.jsonl")

    assert decode_batch(b"\n".join(lines)) == [EVENTS[decode(line).id] for line in lines]


@pytest.mark.parametrize("event", FULL, ids=lambda event: event.kind)
def test_a_full_event_leaves_no_field_at_its_default(event: Event) -> None:
    minimal = next(one for one in MINIMAL if type(one) is type(event))
    further = [one for one in FURTHER.values() if type(one) is type(event)]
    left = [
        field.name
        for field in msgspec.structs.fields(event)
        if field.name not in HEADER
        and not field.required
        and all(
            getattr(one, field.name) == getattr(minimal, field.name) for one in (event, *further)
        )
    ]

    assert left == []


def test_no_two_fixed_events_share_a_moment() -> None:
    assert len({stamp(event.ts) for event in EVENTS.values()}) == len(EVENTS)


@pytest.mark.parametrize("name", FILES)
def test_a_shape_writes_its_golden_lines(name: str) -> None:
    lines = {moment_of(line): line for line in golden(FILES[name])}

    for event in EVENTS.values():
        line = SHAPES[name].encode(event)
        if line is None:
            assert stamp(event.ts) not in lines
        else:
            assert lines.get(stamp(event.ts)) == line, f"add to {FILES[name]}: {line.decode()}"


@pytest.mark.parametrize("name", FILES)
def test_golden_files_hold_nothing_else(name: str) -> None:
    assert {moment_of(line) for line in golden(FILES[name])} <= {
        stamp(event.ts) for event in EVENTS.values()
    }


@pytest.mark.parametrize("name", FIELDS)
def test_every_line_of_a_file_has_its_fields_in_order(name: str) -> None:
    for line in golden(FILES[name]):
        fields = FIELDS[name].split()
        record = msgspec.json.decode(line)
        if name == "interactions" and record["status"] == "success":
            fields.remove("error")

        assert list(record) == fields


def test_the_full_shape_is_the_event_itself() -> None:
    assert SHAPES["jsonl"].is_full
    for event in EVENTS.values():
        assert SHAPES["jsonl"].encode(event) == encode(event)


@pytest.mark.parametrize(
    ("line", "event_type", "source", "kv"),
    [
        (
            b"2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0",
            "app:start",
            "main",
            {"version": "0.1.0"},
        ),
        (
            b"2024-12-19T14:32:01.015Z|websocket:connect|websockets|session_id=abc123",
            "websocket:connect",
            "websockets",
            {"session_id": "abc123"},
        ),
        (
            b"2024-12-19T14:32:03.533Z|llm:response|agent|tokens_out=128 latency_ms=2333",
            "llm:response",
            "agent",
            {"tokens_out": 128, "latency_ms": 2333},
        ),
    ],
)
def test_the_contracts_flat_lines_come_out_byte_for_byte(
    line: bytes, event_type: str, source: str, kv: dict[str, Any]
) -> None:
    read = flat.parse(line)
    assert isinstance(read, flat.FlatLine)

    event = LogLine(ts=read.timestamp, event_type=event_type, source=source, kv=kv)

    assert flat.encode(event) == line
    assert (read.event_type, read.source) == (event_type, source)
    assert flat.tokens(read.message) == {key: str(value) for key, value in kv.items()}


def test_a_typed_event_writes_the_same_line_as_the_call_for_it() -> None:
    read = flat.parse("2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0")
    assert isinstance(read, flat.FlatLine)

    event = AppStarted(ts=read.timestamp, scope=Scope(source="main"), version="0.1.0")

    assert flat.text(event) == "2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0"


FOREIGN = golden("foreign.jsonl")


@pytest.mark.parametrize("line", FOREIGN)
def test_a_line_of_another_release_comes_out_unchanged(line: bytes) -> None:
    """Kinds we do not know, and known ones whose payload does not fit."""
    event = decode(line)

    assert isinstance(event, UnknownEvent)
    assert event.kind == msgspec.json.decode(line)["kind"]
    assert encode(event) == line
    assert SHAPES["jsonl"].encode(event) == line
    assert Batch(events=[event]).lines == [line]


@pytest.mark.parametrize("line", FOREIGN)
@pytest.mark.parametrize("name", FIELDS)
def test_a_line_of_another_release_is_never_counted(line: bytes, name: str) -> None:
    assert SHAPES[name].encode(decode(line)) is None


@pytest.mark.parametrize("line", golden("newer.jsonl"))
def test_fields_not_known_here_stay_in_the_line(line: bytes) -> None:
    batch = Batch(lines=[line])

    assert not isinstance(batch.events[0], UnknownEvent)
    assert batch.lines == [line]


def test_a_misfit_costs_nothing_in_the_usage_file() -> None:
    line = b'{"kind":"dispatch:finish","id":"1","ts":"2026-01-02T03:04:05Z","cost":"dear"}'

    assert SHAPES["usage"].encode(decode(line)) is None
    assert SHAPES["usage"].encode(DispatchFinished(cost=1.0)) is not None
