"""The lines of the other log files: what gives one, and what it says."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.event import Event, UnknownEvent, decode, known_kinds
from eventbus.events import (
    BackupFinished,
    DirectoryMade,
    DispatchError,
    DispatchFinished,
    DispatchRefused,
    DispatchTool,
    ErrorRaised,
    FileDeleted,
    FileWritten,
    LogLine,
    ModelAnswered,
    ModelFailed,
    StorageMeasured,
    ToolErrored,
    ToolStarted,
    Usage,
    WorkerFailed,
)
from eventbus.formats import SHAPES
from eventbus.formats.interactions import STACK_MOST
from eventbus.kinds import KindFilter
from eventbus.scope import Scope
from tests.wire.fixed import fixed_events

ADA = Scope(session="s", chat="c", component="brain", agent="scout", user="ada", source="cli")


def record(name: str, event: Event) -> dict[str, Any]:
    line = SHAPES[name].encode(event)
    assert line is not None
    assert b"\n" not in line
    return msgspec.json.decode(line, type=dict[str, Any])


def test_every_shape_goes_by_its_own_name() -> None:
    assert list(SHAPES) == [
        "jsonl",
        "flat",
        "audit",
        "interactions",
        "usage",
        "storage",
        "backup",
        "errors",
    ]
    assert all(shape.name == name for name, shape in SHAPES.items())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.name)
def test_a_shape_asks_for_every_kind_it_has_a_line_for(shape: Any) -> None:
    wants = KindFilter(shape.kinds)

    for event in fixed_events():
        if shape.name not in ("jsonl", "flat") and shape.encode(event) is not None:
            assert wants(event.kind)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.name)
def test_a_shape_asks_for_kinds_there_are(shape: Any) -> None:
    for kind in shape.kinds:
        assert "*" in kind or kind in known_kinds()


# audit


def test_a_write_is_told_with_its_size_and_its_actor() -> None:
    event = FileWritten(path="a/b.py", size_bytes=10, actor="write_file", agent_name="scout")

    told = record("audit", event)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "op": "write",
        "path": "a/b.py",
        "sizeBytes": 10,
        "actor": "write_file",
        "agentName": "scout",
    }


@pytest.mark.parametrize(
    ("event", "op"),
    [
        (FileDeleted(path="a", size_bytes=10), "delete"),
        (DirectoryMade(path="a"), "mkdir"),
        (FileWritten(path="a"), "write"),
    ],
)
def test_what_has_no_size_or_actor_is_0_and_unknown(event: Event, op: str) -> None:
    told = record("audit", event)

    assert (told["op"], told["sizeBytes"], told["actor"], told["agentName"]) == (
        op,
        0,
        "unknown",
        "unknown",
    )


def test_reads_are_never_audited() -> None:
    assert SHAPES["audit"].encode(ToolStarted(trace="t", name="read_file")) is None


def test_a_path_that_is_not_utf8_is_told_with_its_bytes_written_out() -> None:
    assert record("audit", FileWritten(path="a\udcff.txt"))["path"] == "a\\udcff.txt"


# interactions


def test_a_dispatch_takes_from_the_scope_what_it_does_not_say() -> None:
    told = record("interactions", DispatchFinished(scope=ADA))

    assert (told["senderId"], told["conversationId"], told["agentName"]) == ("ada", "c", "scout")


@pytest.mark.parametrize(
    ("scope", "sender"),
    [
        (Scope(source="telegram"), "telegram"),
        (Scope(user="ada", source="x"), "ada"),
        (Scope(), "unknown"),
    ],
)
def test_the_sender_is_the_user_else_the_source(scope: Scope, sender: str) -> None:
    assert record("interactions", DispatchFinished(scope=scope))["senderId"] == sender


def test_without_a_chat_the_session_is_the_conversation() -> None:
    event = DispatchFinished(scope=Scope(session="s"))

    assert record("interactions", event)["conversationId"] == "s"


def test_what_a_dispatch_says_itself_comes_first() -> None:
    event = DispatchFinished(scope=ADA, sender_id="x", conversation_id="y", agent_name="z")
    told = record("interactions", event)

    assert (told["senderId"], told["conversationId"], told["agentName"]) == ("x", "y", "z")


def test_a_tool_is_told_without_its_output() -> None:
    event = DispatchFinished(
        tools=(DispatchTool(name="shell", duration_ms=5, input_preview="ls", status="error"),)
    )

    assert record("interactions", event)["tools"] == [
        {"name": "shell", "durationMs": 5, "inputPreview": "ls", "status": "error"}
    ]


def test_an_error_is_told_only_on_failure() -> None:
    failed = DispatchFinished(status="error", error=DispatchError(name="E", message="m", turn=2))

    assert "error" not in record("interactions", DispatchFinished())
    assert record("interactions", failed)["error"] == {
        "name": "E",
        "message": "m",
        "stack": None,
        "tool": None,
        "turn": 2,
    }


def test_a_long_stack_keeps_both_ends() -> None:
    stack = "first\n" + "x" * 100_000 + "\nlast"
    event = DispatchFinished(status="error", error=DispatchError(name="E", stack=stack))

    cut = record("interactions", event)["error"]["stack"]
    assert cut.startswith("first\n")
    assert cut.endswith("\nlast")
    assert "96011 characters" in cut
    assert len(cut) < STACK_MOST + 100


def test_a_stack_within_bounds_is_kept_whole() -> None:
    event = DispatchFinished(status="error", error=DispatchError(name="E", stack="x" * STACK_MOST))

    assert record("interactions", event)["error"]["stack"] == "x" * STACK_MOST


@pytest.mark.parametrize(
    ("window", "text"),
    [("daily", "Daily cost limit reached."), ("monthly", "Monthly cost limit reached.")],
)
def test_a_refused_dispatch_used_nothing_and_says_why(window: Any, text: str) -> None:
    told = record("interactions", DispatchRefused(limit=10, spent=10, window=window, scope=ADA))

    assert told["status"] == "error"
    assert told["error"]["message"] == text
    assert (told["tokensIn"], told["tokensOut"], told["cost"], told["tools"]) == (0, 0, 0, [])
    assert told["senderId"] == "ada"


def test_a_dispatch_given_as_plain_values_is_told_as_a_reader_would() -> None:
    event = DispatchFinished(tools=[{"name": "shell", "duration_ms": 5}])  # type: ignore[arg-type]

    assert record("interactions", event)["tools"] == [
        {"name": "shell", "durationMs": 5, "inputPreview": "", "status": "success"}
    ]


# usage


def test_the_tokens_of_a_call_are_all_in_and_all_out() -> None:
    usage = Usage(
        input_uncached=1,
        cache_read=20,
        cache_write_5m=300,
        cache_write_1h=4_000,
        output_visible=50_000,
        reasoning=600_000,
    )
    told = record("usage", ModelAnswered(model="m", usage=usage, cost=0.5, scope=ADA))

    assert told["tokensIn"] == 4_321
    assert told["tokensOut"] == 650_000
    assert told["cacheReadTokens"] == 20
    assert told["cacheWriteTokens"] == 4_300
    assert (told["userId"], told["component"], told["conversationId"]) == ("ada", "brain", "c")
    assert (told["cost"], told["priced"]) == (0.5, True)


def test_unknown_is_not_nought() -> None:
    told = record("usage", ModelAnswered(model="m"))

    assert told["tokensIn"] is None
    assert told["cost"] is None
    assert told["priced"] is False


def test_a_call_that_cost_nothing_is_priced() -> None:
    assert record("usage", ModelAnswered(model="m", cost=0))["priced"] is True


def test_a_dispatch_counts_when_no_call_was_recorded_inside() -> None:
    event = DispatchFinished(scope=ADA, model="m", tokens_in=5, tokens_out=6, cost=1.5)
    told = record("usage", event)

    assert (told["userId"], told["tokensIn"], told["tokensOut"], told["cost"]) == ("ada", 5, 6, 1.5)
    assert SHAPES["usage"].encode(DispatchFinished(model_calls=1, cost=1.5)) is None


# storage and backup


def test_a_measurement_is_told() -> None:
    told = record("storage", StorageMeasured(area="logs", bytes=10, files=2))

    assert (told["area"], told["bytes"], told["files"]) == ("logs", 10, 2)


def test_a_backup_is_told() -> None:
    told = record("backup", BackupFinished(engine="sqlite", status="error", error="full"))

    assert (told["engine"], told["status"], told["error"], told["integrity"]) == (
        "sqlite",
        "error",
        "full",
        None,
    )


# errors


def test_an_error_says_where_it_was() -> None:
    event = ErrorRaised(scope=ADA, type="ValueError", message="a|b\nc", stack="at a.py")
    told = record("errors", event)

    assert (told["component"], told["source"]) == ("brain", "cli")
    assert (told["type"], told["message"], told["stack"]) == ("ValueError", "a|b\nc", "at a.py")


def test_the_component_an_error_names_comes_first() -> None:
    event = ErrorRaised(scope=ADA, type="E", component="worker")

    assert record("errors", event)["component"] == "worker"


def test_a_failed_tool_is_told_with_its_arguments() -> None:
    told = record("errors", ToolErrored(type="E", tool="read", args={"path": "a"}))

    assert (told["tool"], told["args"]) == ("read", {"path": "a"})


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (WorkerFailed(task="t", error="no", error_type="LookupError"), "LookupError"),
        (WorkerFailed(task="t", error="no"), "WorkerFailed"),
        (ModelFailed(model="m", error="no", error_type="Overloaded"), "Overloaded"),
        (ModelFailed(model="m", error="no"), "ModelFailed"),
    ],
)
def test_failed_workers_and_calls_are_errors(event: Event, name: str) -> None:
    told = record("errors", event)

    assert (told["type"], told["message"]) == (name, "no")


def test_an_error_written_by_hand_is_told_by_its_own_type() -> None:
    event = LogLine(event_type="error:io", source="disk", message="full", kv={"errno": 28})
    told = record("errors", event)

    assert (told["type"], told["message"], told["source"]) == ("error:io", "full errno=28", "disk")
    assert SHAPES["errors"].encode(LogLine(event_type="app:start")) is None


# whatever it is


class Exploding:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


HOSTILE = [Exploding(), "\ud800", 2**80, float("nan"), circle(), object(), {1: 2}, b"\xff", None]
VICTIMS = [event for event in fixed_events() if event.id.endswith("full")]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
def test_a_value_json_cannot_hold_spoils_only_itself(value: Any) -> None:
    event = ToolErrored(type="E", message="m", args={"bad": value, "good": "kept"})
    told = record("errors", event)

    assert (told["type"], told["message"]) == ("E", "m")
    assert told["args"]["good"] == "kept"


def test_what_is_deep_inside_is_found_and_the_rest_kept() -> None:
    event = DispatchFinished(
        tools=(
            DispatchTool(name="a", input_preview="write x\udcff.py"),
            DispatchTool(name="b", input_preview="ls"),
        )
    )

    assert [tool["inputPreview"] for tool in record("interactions", event)["tools"]] == [
        "write x\\udcff.py",
        "ls",
    ]


@given(path=st.text(st.characters()), actor=st.none() | st.text(st.characters()))
def test_any_text_is_one_json_line(path: str, actor: str | None) -> None:
    record("audit", FileWritten(path=path, actor=actor))


@pytest.mark.parametrize("name", SHAPES)
def test_an_unknown_event_gives_no_line_but_in_full_and_flat(name: str) -> None:
    event = decode(b'{"kind":"file:write","id":"1","ts":"2026-01-02T03:04:05Z","path":7}')
    assert isinstance(event, UnknownEvent)

    assert (SHAPES[name].encode(event) is None) is (name not in ("jsonl", "flat"))


def test_a_kind_defined_anew_by_others_gives_no_line_of_ours() -> None:
    class FileWrittenTheirWay(Event, tag="file:write_theirs"):
        path: str

    assert SHAPES["audit"].encode(FileWrittenTheirWay(path="a")) is None


@pytest.mark.parametrize("name", ["audit", "interactions", "usage", "storage", "backup", "errors"])
def test_every_file_has_one_form_of_timestamp(name: str) -> None:
    ts = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    for event in VICTIMS:
        line = SHAPES[name].encode(msgspec.structs.replace(event, ts=ts))
        assert line is None or line.startswith(b'{"timestamp":"2026-01-02T03:04:05.000Z",')
