from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import time_machine

from eventbus.bus import EventBus
from eventbus.event import Event
from eventbus.events import LogLine, ModelAnswered, ToolStarted
from eventbus.frontends.cli.options import read_moment
from eventbus.scope import scope
from tests.frontends.console import Here

HOSTILE = "a\x1b[2Jb\nc\u2028d\u202ee\x9bf"


def at(hour: int, *, year: int = 2026) -> datetime:
    return datetime(year, 11, 20, hour, tzinfo=UTC)


@pytest.fixture
def filled(here: Here) -> Here:
    """A journal with a few events of two sessions."""
    with EventBus(here.state) as bus, scope(session="s1", component="brain"):
        bus.emit_nowait(ToolStarted(trace="t", name="grep", ts=at(10)))
        bus.emit_nowait(LogLine(event_type="llm:request", source="web", message="q", ts=at(11)))
        with scope(session="s2", component="worker"):
            bus.emit_nowait(LogLine(event_type="llm:error", source="webhook", ts=at(12)))
    return here


def test_events_are_read_in_columns(filled: Here) -> None:
    assert filled("read").lines == [
        "2026-11-20 10:00:00.000  tool:start          brain       trace=t name=grep",
        "2026-11-20 11:00:00.000  llm:request         web         q",
        "2026-11-20 12:00:00.000  llm:error           webhook",
    ]


def test_events_are_read_as_flat_lines(filled: Here) -> None:
    assert filled("read", "--raw", "-n", "2").lines == [
        "2026-11-20T10:00:00.000Z|tool:start|brain|trace=t name=grep",
        "2026-11-20T11:00:00.000Z|llm:request|web|q",
    ]


def test_events_are_read_as_the_json_they_were_written_as(filled: Here) -> None:
    [segment] = (filled.state / "journal").glob("*.jsonl")
    written = [line for line in segment.read_text().splitlines() if '"bus:' not in line]

    assert filled("read", "--json").lines == written


def test_a_field_this_version_does_not_know_comes_out_unchanged(here: Here) -> None:
    line = (
        b'{"kind":"tool:start","id":"1","ts":"2026-11-20T10:00:00Z","scope":{},"cause":null,'
        b'"trace":"t","name":"n","invented_later":[1,2]}'
    )
    (here.state / "journal").mkdir(parents=True)
    (here.state / "journal" / "20261120T100000000000-0000aaaa.jsonl").write_bytes(line + b"\n")

    assert here("read", "--json").lines == [line.decode()]


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        (("--kind", "llm:*"), ["llm:request", "llm:error"]),
        (("--kind", "tool:start,llm:error"), ["tool:start", "llm:error"]),
        (("--kind", "tool:*", "--kind", "*:error"), ["tool:start", "llm:error"]),
        (("--source", "web"), ["llm:request"]),
        (("--source", "web*"), ["llm:request", "llm:error"]),
        (("--session", "s1"), ["tool:start", "llm:request"]),
        (("--since", "2026-11-20T11:00Z"), ["llm:request", "llm:error"]),
        (("--until", "2026-11-20T11:00Z"), ["tool:start"]),
        (("--limit", "1"), ["tool:start"]),
        (("--limit", "0"), []),
    ],
)
def test_events_are_read_by_what_is_asked(
    filled: Here, args: tuple[str, ...], kinds: list[str]
) -> None:
    lines = filled("read", "--raw", *args).lines

    assert [line.split("|")[1] for line in lines] == kinds


def test_bookkeeping_is_read_when_it_is_asked_for(filled: Here) -> None:
    lines = filled("read", "--raw", "--kind", "bus:*").lines

    assert [line.split("|")[1] for line in lines] == ["bus:open", "bus:close"]


def test_writers_are_merged_by_time(here: Here) -> None:
    with EventBus(here.state) as first, EventBus(here.state) as second:
        for hour in (10, 12):
            first.emit_nowait(LogLine(event_type="a:first", ts=at(hour, year=2100)))
            second.emit_nowait(LogLine(event_type="a:second", ts=at(hour + 1, year=2100)))

    kinds = [line.split("|")[1] for line in here("read", "--raw").lines]
    assert kinds == ["a:first", "a:second"] * 2


class Odd(Event, tag="odd:\u202ekind"):
    what: str


@pytest.mark.parametrize("form", ["--raw", "--json", None])
def test_nothing_in_an_event_commands_the_terminal(here: Here, form: str | None) -> None:
    with EventBus(here.state) as bus, scope(component=HOSTILE):
        bus.emit_nowait(Odd(what=HOSTILE))
        bus.emit_nowait(LogLine(event_type="a:b", source=HOSTILE, message=HOSTILE))

    told = here("read", *([form] if form else []))

    assert told.out.count("\n") == 2
    assert not set(told.out) & set("\x1b\x9b\u2028\u202e")
    assert "a\\u001b[2Jb" in told.out


def test_what_is_shown_as_json_means_what_was_written(here: Here) -> None:
    with EventBus(here.state) as bus:
        bus.emit_nowait(Odd(what=HOSTILE))

    assert msgspec.json.decode(here("read", "--json").out)["what"] == HOSTILE


def test_a_line_that_is_no_record_is_shown_as_such(here: Here) -> None:
    (here.state / "journal").mkdir(parents=True)
    segment = here.state / "journal" / "20261120T100000000000-0000aaaa.jsonl"
    segment.write_bytes(b"\x00\xff\x1b[2J\n")

    told = here("read")

    assert told.code == 0
    assert "unknown:unknown" in told.out
    assert "\x1b" not in told.out


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90m", NOON - timedelta(minutes=90)),
        ("7d", NOON - timedelta(days=7)),
        ("1h 30m", NOON - timedelta(minutes=90)),
        ("now", NOON),
        ("2026-11-01T10:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_as_people_say_it(written: str, meant: datetime) -> None:
    assert read_moment(written, now=NOON) == meant


def test_a_moment_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert read_moment("2026-11-01", now=NOON) == datetime(2026, 10, 31, 15, tzinfo=UTC)
        assert read_moment("today", now=NOON) == datetime(2026, 11, 19, 15, tzinfo=UTC)
        assert read_moment("yesterday", now=NOON) == datetime(2026, 11, 18, 15, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_relative_moments_are_from_now(filled: Here) -> None:
    with time_machine.travel(at(13), tick=False):
        assert len(filled("read", "--since", "90m").lines) == 1


def test_a_typed_event_is_shown_by_its_payload(here: Here) -> None:
    with EventBus(here.state) as bus:
        bus.emit_nowait(ModelAnswered(model="m", latency_ms=5))

    assert "model=m" in here("read").out


def test_reading_needs_no_permission_to_write(filled: Here, tmp_path: Path) -> None:
    before = sorted(path.name for path in filled.state.rglob("*"))

    filled("read")

    assert sorted(path.name for path in filled.state.rglob("*")) == before
