"""Every kind the contract names, under its names, light to import."""

import ast
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventbus.events
from eventbus.event import Event, decode, encode, known_kinds
from eventbus.events import (
    DispatchRefused,
    ErrorRaised,
    IoFailed,
    LogLine,
    ReloadFailed,
    ToolErrored,
    Usage,
    ValidationFailed,
)

CONTRACT = """
app:start AppStarted version pid reason
app:shutdown AppStopped version pid reason
session:create SessionCreated cli_tool persona nexus_mode reason
session:end SessionEnded cli_tool persona nexus_mode reason
session:snapshot SnapshotSaved chat_id turn_number state
session:resume SessionResumed chat_id turn_number snapshot
conversation:start ConversationStarted
conversation:turn TurnTaken turns duration_ms
conversation:end ConversationEnded turns duration_ms
channel:message ChannelMessage direction channel user length preview
llm:request ModelAsked model provider prompt_length stream
llm:response ModelAnswered model provider usage cost price latency_ms first_token_ms
    finish_reason request_id state
llm:error ModelFailed model provider error status request_id latency_ms
tool:start ToolStarted trace name input message_id turn
tool:finish ToolFinished trace outcome output error latency_ms tokens_used cache_tokens
    reasoning_tokens
dispatch:finish DispatchFinished sender_id conversation_id model agent_name tokens_in tokens_out
    cost duration_ms tools status error batch batch_id
dispatch:refuse DispatchRefused limit limit_scope spent window resets_at
task:finish TaskFinished task source model routing routing_reason tokens_in tokens_out
    latency_ms cost_usd cloud_cost_equivalent quality_rating
task:rate TaskRated task quality_rating
routing:decision RouteChosen task reason alternatives_considered classifier_version
worker:finish WorkerFinished task duration_ms
worker:fail WorkerFailed task duration_ms error
agent:spawn AgentSpawned agent parent reason
file:write FileWritten path size_bytes actor agent_name trace candidates hash
file:delete FileDeleted path size_bytes actor agent_name trace candidates hash
file:mkdir DirectoryMade path actor agent_name trace candidates
state:read StateRead section
state:write StateWritten section keys_updated
state:bootstrap StateBootstrapped context_level
state:bootstrap_complete StateReady context_level
relevance:score RelevanceScored keys top duration_ms
relevance:cache_hit RelevanceCacheHit keys top duration_ms
error:runtime ErrorRaised type message stack component
error:validation ValidationFailed type message stack component
error:io IoFailed type message stack component
error:tool ToolErrored type message stack component tool args
error:reload ReloadFailed type message stack component rolled_back
heartbeat:cycle Beat jobs lateness_ms
cron:cycle CronRan jobs lateness_ms
system:memory MemoryHigh
system:disk DiskLow
system:log_rotated LogRotated old_size_mb archive
storage:measure StorageMeasured area bytes files
backup:finish BackupFinished engine path bytes duration_ms status integrity error
command:start CommandStarted argv cwd
command:finish CommandFinished argv cwd exit signal timed_out bytes_cut duration_ms
build:finish BuildFinished argv cwd exit signal timed_out bytes_cut duration_ms
websocket:connect ViewerJoined client
websocket:disconnect ViewerLeft client
bus:open BusOpened writer host pid
bus:gap GapLeft lane reason count bytes first_ts last_ts
bus:recover Recovered cut_bytes digest
bus:stats StatsTaken
bus:erased LineErased leaf was
seal:erase LinesErased events lines rows where by why still_in
watch:burst WatchBurst changes written deleted made size_bytes where
watch:gap WatchGap reason from to found
log:line LogLine event_type source message kv
log:ingest LogIngested path file bytes last lines unparsed
"""

ROWS = CONTRACT.strip().replace("\n    ", " ").splitlines()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split()[0])
def test_a_kind_has_the_name_and_the_fields_of_the_contract(row: str) -> None:
    kind, name, *fields = row.split()
    cls = known_kinds()[kind]

    assert cls.__name__ == name
    assert getattr(eventbus.events, name) is cls
    assert set(fields) <= set(cls.__struct_encode_fields__)


def modules() -> list[Any]:
    return [
        importlib.import_module(f"eventbus.events.{found.name}")
        for found in pkgutil.iter_modules(eventbus.events.__path__)
    ]


def test_everything_is_exported_from_one_place() -> None:
    names = [name for module in modules() for name in module.__all__]

    assert sorted(names) == sorted(eventbus.events.__all__)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_event_says_what_happened(module: Any) -> None:
    for name in module.__all__:
        cls = getattr(module, name)
        if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
            assert (cls.__doc__ or "").partition("\n")[0].endswith((".", ":")), name


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_an_event_needs_nothing_that_is_heavy(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    needed = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    needed |= {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }

    assert needed <= {"datetime", "typing", "msgspec", "eventbus.event"}


def test_the_buckets_of_usage_never_overlap() -> None:
    buckets = Usage.__struct_fields__
    one = Usage(**dict.fromkeys(buckets, 1))

    assert buckets == (
        "input_uncached",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "output_visible",
        "reasoning",
        "web_search",
        "web_fetch",
    )
    assert (one.tokens_in, one.tokens_out, one.cache_write) == (4, 2, 2)


@pytest.mark.parametrize(
    "cls", [ErrorRaised, ValidationFailed, IoFailed, ToolErrored, ReloadFailed]
)
def test_every_error_is_an_error_raised_of_its_own_kind(cls: type[ErrorRaised]) -> None:
    error = cls(type="ValueError")

    assert isinstance(error, ErrorRaised)
    assert type(decode(encode(error))) is cls
    assert error.kind.startswith("error:")


def test_a_log_line_is_of_the_kind_it_names_and_a_log_line_on_the_wire() -> None:
    line = LogLine(event_type="my:thing", kv={"n": 1, "x": 0.5, "ok": True, "no": None, "s": "t"})

    assert line.kind == "my:thing"
    assert encode(line).startswith(b'{"kind":"log:line",')
    assert decode(encode(line)) == line


def test_a_log_line_that_speaks_for_the_bus_stays_a_log_line() -> None:
    assert LogLine(event_type="bus:gap").kind == "log:line"
    assert LogLine(event_type="busy:gap").kind == "busy:gap"


def test_two_log_lines_share_no_tokens() -> None:
    first, second = LogLine(event_type="a:b"), LogLine(event_type="a:b")
    first.kv["n"] = 1

    assert second.kv == {}


@pytest.mark.parametrize(
    ("window", "message"),
    [("daily", "Daily cost limit reached."), ("monthly", "Monthly cost limit reached.")],
)
def test_a_refusal_says_which_limit(window: Any, message: str) -> None:
    assert DispatchRefused(limit=1, spent=1, window=window).message == message


def test_whole_numbers_stay_whole_from_the_line_and_back() -> None:
    for number in (5, 5.0, 5.5):
        cls: type[Event] = eventbus.events.WorkerFinished
        line = encode(cls(task="t", duration_ms=number))  # type: ignore[call-arg]

        assert encode(decode(line)) == line
