"""The flat log: its lines, its file, and its functions called from everywhere."""

import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
import trio

from eventbus import (
    EventBus,
    SettingsError,
    flat_log_path,
    get_log_text,
    get_session,
    log_error,
    log_event,
    logged,
    read_journal,
    read_log,
    rotate_log,
    scope,
    set_session,
)
from eventbus import standby as standby_module
from eventbus.errors import DefinitionError
from eventbus.events.error import ErrorRaised
from eventbus.events.log import LogLine
from eventbus.standby import standby

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|[^|\s]+:[^|\s]+\|[^|\n]*\|[^\n]*")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory for the recorder that starts by itself."""
    monkeypatch.setenv("EVENTBUS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("eventbus.flat._session", None)
    yield tmp_path / "state"
    standby.close()


def messages(**wish: Any) -> list[str]:
    return [entry["message"] for entry in read_log(**wish)]


def run_python(program: str, **environ: str) -> str:
    """A program in a process of its own; what it printed."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


# --- the line ------------------------------------------------------------------------


def test_the_line_is_time_type_source_message() -> None:
    line = log_event("llm:response", "agent", "done", tokens_out=128, latency_ms=2333)

    assert LINE.fullmatch(line)
    assert line[24:] == "|llm:response|agent|done tokens_out=128 latency_ms=2333"


EXAMPLES = """\
2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0
2024-12-19T14:32:01.015Z|websocket:connect|websockets|session_id=abc123
2024-12-19T14:32:03.533Z|llm:response|agent|tokens_out=128 latency_ms=2333
"""


def test_a_log_comes_out_byte_for_byte_in_the_file(state: Path) -> None:
    with time_machine.travel(datetime(2024, 12, 19, 14, 30, 0, 1_000, UTC), tick=False) as now:
        log_event("app:start", "main", version="0.1.0")
        now.move_to(datetime(2024, 12, 19, 14, 32, 1, 15_000, UTC))
        log_event("websocket:connect", "websockets", session_id="abc123")
        now.move_to(datetime(2024, 12, 19, 14, 32, 3, 533_000, UTC))
        log_event("llm:response", "agent", tokens_out=128, latency_ms=2333)
        standby.close()

    assert (state / "logs" / "activity.log").read_text() == EXAMPLES


def test_the_line_returned_is_the_line_in_the_file() -> None:
    lines = [
        log_event("any:thing", "source", "text", one=1, truth=True, none=None, ratio=0.5),
        log_event("any:thing", "source", nan=float("nan"), huge=2**80, path=Path("/x")),
        log_error("source", ValueError("no"), "reading"),
    ]
    standby.close()

    assert flat_log_path().read_text() == "".join(f"{line}\n" for line in lines)


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class HostileText(str):
    def __str__(self) -> str:
        return "another"

    def isascii(self) -> bool:
        raise RuntimeError


VALUES = [
    "a|b",
    "two\nlines\r\nthree",
    "\x1b[31mred\x07",
    "\u2028\u2029\x85",
    "\u202egnp.exe",
    "half \ud800 a pair",
    "nul\0",
    Hostile(),
    HostileText("x"),
    b"bytes\n",
    {"nested": ["|", "\n"]},
    float("inf"),
    2**200,
    object,
    None,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_value_forges_a_line_or_a_field(value: Any) -> None:
    lines = [
        log_event("a:b", "source", "before", value=value),
        log_event("a:b", "source", value),
        log_event("a:b", value),
        log_event(value, "source"),
        log_error("source", ValueError(value), value),
    ]
    standby.close()

    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert flat_log_path().read_bytes() == "".join(f"{line}\n" for line in lines).encode()


def test_a_type_without_a_category_is_given_one() -> None:
    assert "|unknown:weird|" in log_event("weird", "source")


# --- errors --------------------------------------------------------------------------


def test_an_error_is_its_type_and_text() -> None:
    line = log_error("worker", KeyError("name"))

    assert line[24:] == "|error:runtime|worker|KeyError: 'name'"


def test_an_errors_context_goes_before_it() -> None:
    line = log_error("worker", ValueError("no"), "loading state")

    assert line[24:] == "|error:runtime|worker|loading state - ValueError: no"


def test_an_errors_text_is_one_line_of_200_characters_without_bars() -> None:
    line = log_error("worker", ValueError("a|b\nc" + "x" * 500))

    assert line[24:] == "|error:runtime|worker|ValueError: a/b c" + "x" * 195


def test_an_error_is_kept_with_its_traceback(state: Path) -> None:
    try:
        raise ValueError("x" * 500)
    except ValueError as error:
        log_error("worker", error, "loading")
    standby.close()

    (kept,) = read_journal(state, kinds=ErrorRaised)
    assert isinstance(kept, ErrorRaised)
    assert kept.message == "x" * 500
    assert kept.stack is not None
    assert "test_an_error_is_kept_with_its_traceback" in kept.stack
    assert (kept.context, kept.scope.source) == ("loading", "worker")


# --- the session -----------------------------------------------------------------------


def test_setting_the_session_is_an_event() -> None:
    set_session("s-1")

    assert get_session() == "s-1"
    (entry,) = read_log()
    assert (entry["event_type"], entry["source"], entry["message"]) == (
        "session:create",
        "logger",
        "session_id=s-1",
    )


def test_no_session_is_set_at_first() -> None:
    assert get_session() is None


def test_what_is_logged_belongs_to_the_session_unless_a_scope_has_its_own(state: Path) -> None:
    set_session("s-1")
    thread = threading.Thread(target=log_event, args=("a:thread", "x"))
    thread.start()
    thread.join()
    log_error("x", ValueError())
    with scope(session="s-2"):
        log_event("a:scope", "x")
    standby.close()

    sessions = {event.kind: event.scope.session for event in read_journal(state)}
    assert sessions == {
        "session:create": "s-1",
        "a:thread": "s-1",
        "error:runtime": "s-1",
        "a:scope": "s-2",
    }


# --- reading -----------------------------------------------------------------------------


def test_what_was_just_logged_is_read_back_with_an_aware_time() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log_event("llm:request", "agent", "asking", model="m")

    (entry,) = read_log()

    assert list(entry) == ["timestamp", "event_type", "source", "message"]
    assert before <= entry.pop("timestamp") <= datetime.now(UTC)
    assert entry == {"event_type": "llm:request", "source": "agent", "message": "asking model=m"}


def test_everything_logged_before_is_read_however_much_it_was() -> None:
    for number in range(3_000):
        log_event("a:b", "x", number=number)

    assert messages(limit=5_000) == [f"number={number}" for number in range(3_000)]


def test_at_most_the_limit_is_read_and_the_oldest_first() -> None:
    for number in range(10):
        log_event("a:b", "x", number=number)

    assert messages(limit=3) == ["number=0", "number=1", "number=2"]
    assert read_log(limit=0) == []


def test_reading_gives_a_thousand_lines_unless_asked_for_more() -> None:
    for number in range(1_001):
        log_event("a:b", "x", number=number)

    assert len(read_log()) == 1_000


def test_since_is_inclusive_to_the_millisecond() -> None:
    log_event("a:b", "x", "early")
    time.sleep(0.002)
    since = datetime.now(UTC)
    log_event("a:b", "x", "late")

    assert messages(since=since) == ["late"]


def test_a_naive_since_is_local_time() -> None:
    log_event("a:b", "x", "early")
    time.sleep(0.002)
    since = datetime.now()  # noqa: DTZ005 - naive on purpose
    log_event("a:b", "x", "late")

    assert messages(since=since) == ["late"]


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        (["llm:*"], ["llm:request", "llm:response"]),
        (["llm:response", "app:start"], ["app:start", "llm:response"]),
        ("llm:request", ["llm:request"]),
        (["*:start"], ["app:start"]),
        ([], []),
        (None, ["app:start", "llm:request", "llm:response"]),
    ],
)
def test_event_types_are_exact_or_patterns(wish: Any, wanted: list[str]) -> None:
    for event_type in ("app:start", "llm:request", "llm:response"):
        log_event(event_type, "x")

    assert [entry["event_type"] for entry in read_log(event_types=wish)] == wanted


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(DefinitionError, match="cannot filter by 'llm'; allowed are"):
        read_log(event_types=["llm"])


def write_archives(state: Path, day: date) -> None:
    """Three archives of two days; the second day is the one after `day`."""
    logs, after = state / "logs", day + timedelta(days=1)
    logs.mkdir(parents=True)
    (logs / f"activity-{day}.1.log").write_text(f"{day}T01:00:00.000Z|a:b|x|one\n")
    (logs / f"activity-{day}.log").write_text(
        f"{day}T03:00:00.000Z|a:b|x|three\n{day}T02:00:00.000Z|a:b|x|two\n"
    )
    (logs / f"activity-{after}.log").write_bytes(
        f"not a line\n{after}T00:00:00.000Z|a:b|x|four|with bars\n".encode() + b"\xff|a:b|x|bad\n"
    )


def test_archives_are_read_too_oldest_first(state: Path) -> None:
    day = datetime.now(UTC).date() - timedelta(days=3)
    write_archives(state, day)
    log_event("a:b", "x", "now")

    assert messages() == ["one", "two", "three", "four|with bars", "now"]
    since = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
    assert messages(since=since) == ["three", "four|with bars", "now"]


def test_nothing_logged_is_nothing_read(state: Path) -> None:
    assert read_log() == []
    assert get_log_text() == ""
    assert not state.exists()


def test_the_text_of_a_log_is_type_source_message() -> None:
    log_event("app:start", "main", version="1")
    log_event("llm:request", "agent", "hi")

    assert get_log_text() == "app:start main version=1\nllm:request agent hi"
    assert get_log_text(since=datetime.now(UTC) + timedelta(hours=1)) == ""


def test_what_no_lane_has_written_yet_is_read_from_the_journal(state: Path) -> None:
    log_event("a:b", "x", "by the standby")
    standby.close()
    with EventBus(state, serve="never", sinks=["flat"]):
        log_event("a:b", "x", "served by nobody")
        log_event("a:b", "x", "served by nobody")

        assert messages() == ["by the standby", "served by nobody", "served by nobody"]
    assert flat_log_path().read_text().count("\n") == 1


def test_lines_of_another_process_are_read_as_well(state: Path) -> None:
    run_python("from eventbus import log_event; log_event('a:b', 'x', 'elsewhere')")
    log_event("a:b", "x", "here")

    assert messages() == ["elsewhere", "here"]


# --- which recorder ----------------------------------------------------------------------


def test_the_bus_that_is_open_is_used(state: Path, tmp_path: Path) -> None:
    with EventBus(tmp_path / "mine", sinks=["flat"]):
        line = log_event("a:b", "x")
        assert messages() == [""]
        assert flat_log_path() == tmp_path / "mine" / "logs" / "activity.log"

    assert (tmp_path / "mine" / "logs" / "activity.log").read_text() == f"{line}\n"
    assert not state.exists()


def test_before_and_after_a_bus_there_is_the_standby(state: Path, tmp_path: Path) -> None:
    log_event("a:b", "x", "before")
    with EventBus(tmp_path / "mine"):
        log_event("a:b", "x", "within")
    log_event("a:b", "x", "after")

    assert messages() == ["before", "after"]
    assert flat_log_path() == state / "logs" / "activity.log"


def test_a_bus_in_memory_remembers_its_lines() -> None:
    with EventBus(None):
        log_event("a:b", "x", "one")
        log_event("c:d", "x", "two")

        assert messages() == ["one", "two"]
        assert messages(event_types=["c:*"]) == ["two"]


def test_the_path_follows_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVENTBUS_STATE")
    monkeypatch.chdir(tmp_path)
    assert flat_log_path() == tmp_path / ".state" / "logs" / "activity.log"

    (tmp_path / "eventbus.toml").write_text('state = "elsewhere"\n')
    assert flat_log_path() == tmp_path / "elsewhere" / "logs" / "activity.log"


def test_the_standby_keeps_full_events_too(state: Path) -> None:
    log_event("a:b", "x")
    standby.close()

    assert (state / "logs" / "events.jsonl").read_text().count("\n") == 1
    assert [type(event) for event in read_journal(state)] == [LogLine]


def test_a_disabled_recorder_still_gives_the_line(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTBUS_DISABLED", "1")

    assert LINE.fullmatch(log_event("a:b", "x"))
    assert LINE.fullmatch(log_error("x", ValueError()))
    assert read_log() == []
    assert not state.exists()


def test_a_state_that_cannot_be_used_is_told_once_and_costs_the_caller_nothing(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write_text("a file is in the way")

    lines = [log_event("a:b", "x"), log_error("x", ValueError())]

    assert [line for line in lines if not LINE.fullmatch(line)] == []
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("eventbus records nothing: cannot ")


def test_what_came_early_is_recorded_once_the_state_can_be_used(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby_module, "RETRY_SECONDS", 0.0)
    state.write_text("a file is in the way")
    log_event("a:b", "x", "early")
    state.unlink()
    log_event("a:b", "x", "late")

    assert messages() == ["early", "late"]


def test_a_disk_that_hangs_does_not_hang_whoever_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    goes = threading.Event()
    open_bus = standby_module._open_bus

    def hang() -> EventBus:
        goes.wait()
        return open_bus()

    monkeypatch.setattr(standby_module, "START_SECONDS", 0.1)
    monkeypatch.setattr(standby_module, "_open_bus", hang)
    began = time.monotonic()
    for number in range(20):
        log_event("a:b", "x", number=number)
    took = time.monotonic() - began
    goes.set()
    log_event("a:b", "x", "last")

    assert took < 1.0
    until = time.monotonic() + 5
    while len(read_log()) < 21 and time.monotonic() < until:
        time.sleep(0.01)
    assert messages() == [*(f"number={number}" for number in range(20)), "last"]


def test_everything_is_in_the_file_when_the_process_has_ended(state: Path) -> None:
    run_python(
        "from eventbus import log_event\n"
        "for number in range(2_000): log_event('a:b', 'x', number=number)"
    )

    lines = (state / "logs" / "activity.log").read_text().splitlines()
    assert [line.rpartition("|")[2] for line in lines] == [f"number={n}" for n in range(2_000)]


# --- from everywhere ----------------------------------------------------------------------


def test_many_threads_log_at_once_from_the_first_call_on() -> None:
    barrier = threading.Barrier(8)

    def work(name: int) -> None:
        barrier.wait()
        for number in range(50):
            log_event("a:b", str(name), number=number)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = read_log()
    for name in range(8):
        numbers = [entry["message"] for entry in entries if entry["source"] == str(name)]
        assert sorted(numbers) == sorted(f"number={number}" for number in range(50))
    written = [line.split("|") for line in journal_lines()]
    for name in range(8):
        numbers = [fields[3] for fields in written if fields[2] == str(name)]
        assert numbers == [f"number={number}" for number in range(50)]


def journal_lines() -> list[str]:
    """The file's lines in its own order."""
    standby.close()
    return flat_log_path().read_text().splitlines()


async def log_and_read() -> list[str]:
    log_event("a:b", "x", "in a loop")
    return messages()


def test_it_works_before_in_and_after_loops() -> None:
    log_event("a:b", "x", "before")

    assert asyncio.run(log_and_read()) == ["before", "in a loop"]
    assert trio.run(log_and_read) == ["before", "in a loop", "in a loop"]
    log_event("a:b", "x", "after")
    assert messages() == ["before", "in a loop", "in a loop", "after"]


def test_it_starts_in_a_loop_and_outlives_it() -> None:
    assert asyncio.run(log_and_read()) == ["in a loop"]
    log_event("a:b", "x", "after")

    assert messages() == ["in a loop", "after"]


def test_reading_in_a_loop_that_also_has_handlers_does_not_wait_for_them(tmp_path: Path) -> None:
    async def main() -> tuple[list[str], float]:
        bus = EventBus(tmp_path / "mine", sinks=["flat"])

        @bus.on("a:*")
        async def handle(event: object) -> None:
            await asyncio.sleep(0)

        async with bus:
            log_event("a:b", "x", "one")
            began = time.monotonic()
            return messages(), time.monotonic() - began

    read, took = asyncio.run(main())

    assert read == ["one"]
    assert took < 1.0


FORKING = """
import os
from eventbus import EventBus, log_event, read_log

log_event("a:b", "parent", "before")
for number in range(200): log_event("a:b", "parent", number=number)
pid = os.fork()
if pid == 0:
    log_event("a:b", "child", "forked")
    assert sum(entry["source"] == "child" for entry in read_log()) == 1
    raise SystemExit
assert os.waitpid(pid, 0)[1] == 0
log_event("a:b", "parent", "after")
"""


def test_a_forked_child_logs_what_it_logs_and_nothing_twice() -> None:
    run_python(FORKING)

    entries = read_log()
    assert sum(entry["source"] == "child" for entry in entries) == 1
    assert sum(entry["source"] == "parent" for entry in entries) == 202


def test_a_child_forked_under_an_open_bus_logs_to_it(tmp_path: Path, state: Path) -> None:
    mine = tmp_path / "mine"
    program = FORKING.replace("log_event(", f"EventBus({str(mine)!r}).open()\nlog_event(", 1)
    run_python(program)

    assert not state.exists()
    sources = [event.source for event in read_journal(mine) if isinstance(event, LogLine)]
    assert sources.count("child") == 1


def test_a_signal_handler_and_a_finaliser_may_log() -> None:
    class Finalised:
        def __del__(self) -> None:
            log_event("a:b", "x", "finalised")

    before = signal.signal(signal.SIGUSR1, lambda *_: print(log_event("a:b", "x", "signalled")))
    try:
        signal.raise_signal(signal.SIGUSR1)
        del Finalised().__class__
    except (TypeError, AttributeError):
        pass
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert sorted(messages()) == ["finalised", "signalled"]


# --- what is not recorded --------------------------------------------------------------


def test_a_conversations_turns_are_recorded_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "|conversation:turn|x|one" in log_event("conversation:turn", "x", "one")
    monkeypatch.setenv("LOG_CONVERSATION_TURNS", "1")
    log_event("conversation:turn", "x", "two")
    monkeypatch.setenv("LOG_CONVERSATION_TURNS", "0")
    log_event("conversation:turn", "x", "three")
    log_event("conversation:end", "x", "four")

    assert messages() == ["two", "four"]


@pytest.mark.parametrize("call", [lambda: log_event("a:b", "x"), read_log, get_log_text])
def test_a_storage_that_is_not_there_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]
) -> None:
    monkeypatch.setenv("LOG_STORAGE", "tape")

    with pytest.raises(
        SettingsError, match="LOG_STORAGE cannot be 'tape'; allowed: file, sqlite, both"
    ):
        call()


def test_the_storage_there_is_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_STORAGE", "file")
    log_event("a:b", "x", "one")

    assert messages() == ["one"]


# --- the decorator -----------------------------------------------------------------------


class Boom(Exception):
    pass


BOOM = Boom("it broke")


@logged("tools")
def fails() -> None:
    """Fail."""
    raise BOOM


@logged("tools")
async def fails_later() -> None:
    await asyncio.sleep(0)
    raise BOOM


@logged("tools")
def fails_while_yielding() -> Iterator[int]:
    yield 1
    raise BOOM


@logged("tools")
async def fails_while_yielding_later() -> AsyncIterator[int]:
    yield 1
    raise BOOM


class Tool:
    @logged("tools")
    def method(self) -> None:
        raise BOOM

    @logged("tools")
    @classmethod
    def of_class(cls) -> None:
        assert cls is Tool
        raise BOOM

    @logged("tools")
    @staticmethod
    def static() -> None:
        raise BOOM

    async def __call__(self) -> None:
        raise BOOM


async def drain() -> None:
    async for _ in fails_while_yielding_later():
        pass


CALLS: list[tuple[str, Callable[[], object]]] = [
    ("fails", fails),
    ("fails_later", lambda: asyncio.run(fails_later())),
    ("fails_while_yielding", lambda: list(fails_while_yielding())),
    ("fails_while_yielding_later", lambda: asyncio.run(drain())),
    ("method", lambda: Tool().method()),
    ("of_class", lambda: Tool().of_class()),
    ("static", lambda: Tool.static()),
    ("Tool", lambda: asyncio.run(logged("tools")(Tool())())),
]


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_a_logged_function_logs_its_exception_and_lets_it_go_on(
    name: str, call: Callable[[], object]
) -> None:
    with pytest.raises(Boom) as caught:
        call()

    assert caught.value is BOOM
    (entry,) = read_log()
    assert (entry["event_type"], entry["source"]) == ("error:runtime", "tools")
    assert entry["message"] == f"{name} - Boom: it broke"


def test_a_logged_function_is_otherwise_as_it_was(state: Path) -> None:
    @logged("tools")
    def add(one: int, *, other: int = 2) -> int:
        return one + other

    assert add(1) == 3
    assert fails.__name__ == "fails"
    assert fails.__doc__ == "Fail."
    assert inspect.iscoroutinefunction(fails_later)
    assert inspect.isgeneratorfunction(fails_while_yielding)
    assert inspect.isasyncgenfunction(fails_while_yielding_later)
    assert not state.exists()


def test_a_logged_generator_passes_on_what_is_sent_and_thrown() -> None:
    @logged("tools")
    def echo() -> Iterator[Any]:
        heard = None
        while True:
            try:
                heard = yield heard
            except KeyError:
                heard = "caught"

    generator: Any = echo()
    next(generator)

    assert generator.send("hello") == "hello"
    assert generator.throw(KeyError("x")) == "caught"
    generator.close()
    assert read_log() == []


def test_a_logged_async_generator_passes_on_what_is_sent_thrown_and_closed() -> None:
    closed = []

    @logged("tools")
    async def echo() -> AsyncIterator[Any]:
        heard = None
        try:
            while True:
                try:
                    heard = yield heard
                except KeyError:
                    heard = "caught"
        finally:
            closed.append(True)

    async def main() -> list[Any]:
        generator: Any = echo()
        heard = [
            await generator.asend(None),
            await generator.asend("hello"),
            await generator.athrow(KeyError("x")),
        ]
        await generator.aclose()
        return heard

    assert asyncio.run(main()) == [None, "hello", "caught"]
    assert closed == [True]
    assert read_log() == []


def test_a_cancellation_is_not_an_error() -> None:
    @logged("tools")
    async def wait() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())

    assert read_log() == []


def test_a_wrong_storage_does_not_hide_the_functions_own_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOG_STORAGE", "tape")

    with pytest.raises(Boom):
        fails()


# --- rotating by hand --------------------------------------------------------------------


def fill_log(count: int) -> None:
    """Log so many lines, and wait until they are in the file."""
    for number in range(count):
        log_event("a:b", "x", number=number)
    until = time.monotonic() + 10
    while not in_files(f"number={count - 1}\n") and time.monotonic() < until:
        time.sleep(0.01)


def in_files(text: str) -> bool:
    path = flat_log_path()
    return path.exists() and text in path.read_text()


def test_a_log_that_is_small_is_not_rotated() -> None:
    fill_log(10)

    assert rotate_log() is None
    assert messages() == [f"number={number}" for number in range(10)]


def test_a_log_that_is_not_there_is_not_rotated() -> None:
    assert rotate_log(0) is None


def test_rotating_sets_the_log_aside_and_says_so() -> None:
    fill_log(100)
    size = flat_log_path().stat().st_size

    archive = rotate_log(max_size_mb=0.001)

    assert archive is not None
    assert archive.name == f"activity-{datetime.now(UTC):%Y-%m-%d}.1.log"
    assert archive.stat().st_size >= size
    (entry,) = read_log(event_types=["system:log_rotated"])
    assert entry["source"] == "rotation"
    assert entry["message"] == f"old_size_mb={round(size / 2**20, 3)} archive={archive.name}"


def test_rotating_loses_nothing_and_overwrites_no_archive() -> None:
    for round_number in range(3):
        fill_log(50)
        assert rotate_log(max_size_mb=0) is not None, round_number

    logs = flat_log_path().parent
    assert len(list(logs.glob("activity-*.log"))) == 3
    assert messages(event_types=["a:b"]) == 3 * [f"number={number}" for number in range(50)]
    written = "".join(path.read_text() for path in sorted(logs.glob("activity*.log")))
    assert written.count("|a:b|") == 150
