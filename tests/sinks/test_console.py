"""The console: lines for people, harmless to terminals, never in anybody's way."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventbus.event import Event
from eventbus.events import ErrorRaised, LogLine, ToolFinished
from eventbus.scope import Scope
from eventbus.sink import Batch, Home, Sink, find_sink
from eventbus.testing import SinkContract
from sinks import ConsoleSink
from sinks.console import colour_of, line_of, wants_colour
from tests.sinks.files import run

NOON = datetime(2026, 3, 10, 12, 30, 15, 123456, tzinfo=UTC)


class TestConsoleContract(SinkContract):
    def make(self, state: Path) -> Sink:
        return ConsoleSink()


def log(message: str = "hello", event_type: str = "app:start") -> LogLine:
    return LogLine(event_type=event_type, source="main", message=message, ts=NOON)


def show(sink: ConsoleSink, *events: Event) -> None:
    async def go() -> None:
        await sink.open(Home(None))
        await sink.write(Batch(events=list(events)))
        await sink.close()

    run(go())


@pytest.fixture
def in_tokyo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_a_line_says_when_what_who_and_the_message_in_local_time(in_tokyo: None) -> None:
    assert line_of(log(), is_coloured=False) == "21:30:15.123 app:start            main  hello"


def test_it_writes_to_stderr_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout may be the data of the program that is recorded."""
    show(ConsoleSink(), log("to people"))
    show(ConsoleSink(stream="stdout"), log("to a pipe"))

    out, err = capsys.readouterr()
    assert "to people" in err
    assert "to a pipe" in out
    assert "\x1b" not in out + err


@pytest.mark.parametrize(
    ("environment", "is_terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False, True),
    ],
)
def test_colour_is_for_terminals_and_for_those_who_ask(
    environment: dict[str, str], is_terminal: bool, wanted: bool
) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal  # type: ignore[method-assign]

    assert wants_colour(stream, environment) is wanted


def test_a_closed_stream_wants_no_colour() -> None:
    stream = io.StringIO()
    stream.close()

    assert wants_colour(stream, {}) is False


def test_a_topic_has_one_colour_and_what_went_wrong_is_red() -> None:
    assert colour_of("tool:start") == colour_of("tool:finish")
    assert {colour_of(kind) for kind in ("error:io", "llm:error", "bus:gap")} == {"\x1b[31m"}
    assert len({colour_of(f"{topic}:x") for topic in ("app", "llm", "tool", "file")}) > 1
    assert colour_of("tool:start") in line_of(log(event_type="tool:start"), is_coloured=True)


@pytest.mark.parametrize("is_coloured", [False, True])
def test_control_characters_are_shown_and_never_sent(is_coloured: bool) -> None:
    hostile = "a\x1b]0;gotcha\x07\x1b[2J\r\n\x00\x9b31m\u202e\u2028\ud800|b"
    scope = Scope(source=hostile, component=hostile)
    events: list[Event] = [
        LogLine(event_type=f"{hostile}:x", source=hostile, message=hostile, ts=NOON),
        ErrorRaised(type=hostile, message=hostile, scope=scope, ts=NOON),
        ToolFinished(trace="t", name=hostile, output=hostile, scope=scope, ts=NOON),
    ]
    for event in events:
        shown = line_of(event, is_coloured=is_coloured)

        ours = shown.replace("\x1b[", "") if is_coloured else shown
        assert all(character.isprintable() for character in ours), shown
        assert "\\u001b]0;gotcha" in shown


def test_a_huge_message_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show(ConsoleSink(), log("x" * 1_000_000))

    assert len(capsys.readouterr().err) < 2_100


def test_a_moment_out_of_the_clocks_reach_is_shown_as_it_is() -> None:
    far = LogLine(event_type="a:b", ts=datetime.max.replace(tzinfo=UTC))

    assert "9999-12-31" in line_of(far, is_coloured=False) or "23:59" in line_of(
        far, is_coloured=False
    )


def test_what_the_stream_cannot_encode_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))

    show(ConsoleSink(), log("café 🙂"))

    assert b"caf\\xe9 \\U0001f642" in raw.getvalue()


@pytest.mark.parametrize("stream", ["none", "closed"])
def test_a_stream_that_is_gone_is_counted_not_raised(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = None
    if stream == "closed":
        gone = io.StringIO()
        gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    sink = ConsoleSink()

    show(sink, log(), log())

    assert sink.unread == 2


def test_a_reader_that_goes_away_is_survived() -> None:
    """`program | head -1`: no error in the program, none at its end."""
    program = """
import asyncio, sys
from eventbus.events import LogLine
from eventbus.sink import Batch, Home
from sinks import ConsoleSink

async def main():
    sink = ConsoleSink(stream="stdout")
    await sink.open(Home(None))
    for n in range(2000):
        await sink.write(Batch(events=[LogLine(event_type="a:b", message="x" * 100)]))
    await sink.close()
    print(sink.unread > 0, file=sys.stderr)

asyncio.run(main())
"""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 0
    assert said.decode().split() == ["True"]


def test_it_is_found_by_name_with_its_settings() -> None:
    sink = find_sink("console", {"colour": "never", "stream": "stdout"})

    assert isinstance(sink, ConsoleSink)
    assert sink.settings.stream == "stdout"
