"""Whatever an event holds, it lands."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random
from string import ascii_letters
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus import Event, Scope
from eventbus.event import decode, encode
from eventbus.events import (
    AgentSpawned,
    ChannelMessage,
    DirectoryMade,
    DispatchFinished,
    ErrorRaised,
    FileWritten,
    ModelAnswered,
    RouteChosen,
    SessionCreated,
    SessionResumed,
    SnapshotDiscarded,
    SnapshotSaved,
    TaskFinished,
    TaskRated,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
    Usage,
)
from eventbus.formats import flat
from eventbus.sink import Batch
from eventbus.store.engine import Writer
from eventbus.store.fitting import id_in_store
from eventbus.store.landing import land
from eventbus.store.sessions import session
from eventbus.store.tasks import task
from eventbus.store.traces import trace
from tests.store.conftest import empty
from tests.store.given import land_each
from tests.store.odd_lines import every_odd_line, odd_lines

NASTY = "a\x00b\x1b[2J\u202e\u2028|=\"'\\;DROP TABLE sessions;--ä☃\U0001f600"
HUGE = 10**400
WHO = Scope(session=NASTY, chat=NASTY, turn=HUGE, component=NASTY, agent=NASTY, user=NASTY)
DEEP: Any = None
for _ in range(200):
    DEEP = [DEEP]

EVENTS: tuple[Event, ...] = (
    SessionCreated(cli_tool=NASTY, persona=NASTY, nexus_mode=NASTY, reason=NASTY),
    SessionResumed(chat_id=NASTY, turn_number=HUGE, snapshot=NASTY),
    SnapshotSaved(chat_id=NASTY, turn_number=HUGE, state={NASTY: [HUGE, DEEP]}),
    SnapshotDiscarded(chat_id=NASTY),
    ToolStarted(trace=NASTY, name=NASTY, input={NASTY: [HUGE, DEEP]}, message_id=NASTY, turn=HUGE),
    ToolUpdated(trace=NASTY, output=NASTY, latency_ms=-HUGE, tokens_used=-HUGE),
    ToolFinished(trace=NASTY, output=DEEP, error=NASTY, latency_ms=HUGE, tokens_used=HUGE),
    TaskFinished(
        task=NASTY,
        source="manual",
        model=NASTY,
        routing="cloud",
        routing_reason=NASTY,
        tokens_in=HUGE,
        tokens_out=-HUGE,
        latency_ms=HUGE,
        cost_usd=HUGE,
        cloud_cost_equivalent=-HUGE,
        prompt_length=HUGE,
    ),
    TaskRated(task=NASTY, quality_rating=1),
    DispatchFinished(
        sender_id=NASTY, model=NASTY, tokens_in=HUGE, cost=HUGE, duration_ms=HUGE, batch_id=NASTY
    ),
    ModelAnswered(model=NASTY, usage=Usage(input_uncached=HUGE), cost=HUGE),
    RouteChosen(task=NASTY, reason=NASTY),
    FileWritten(path=NASTY, size_bytes=HUGE, actor=NASTY, trace=NASTY, hash=NASTY),
    DirectoryMade(path=NASTY),
    ErrorRaised(type=NASTY, message=NASTY, stack=NASTY, component=NASTY),
    ChannelMessage(direction="in", channel=NASTY, user=NASTY, length=HUGE, preview=NASTY),
    AgentSpawned(agent=NASTY, parent=NASTY, reason=NASTY),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_with_nasty_values_lands(emptied: Writer, event: Event) -> None:
    nasty = type(event)(
        **{name: getattr(event, name) for name in event.__struct_fields__} | {"scope": WHO}
    )

    assert type(decode(encode(nasty))) is type(event)
    assert land(emptied, Batch(events=[nasty]), lane="test") == 1


def test_nasty_events_land_together_and_are_found(emptied: Writer) -> None:
    land_each(emptied, *EVENTS)

    assert trace(emptied, in_the_table(NASTY)) is not None
    assert task(emptied, in_the_table(NASTY)) is not None
    assert session(emptied, "unknown") is not None


def in_the_table(text: str) -> str:
    return text.replace("\x00", "\\u0000")


@pytest.mark.parametrize(
    "ts",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 7, 20, 20, 17, 40, tzinfo=timezone(timedelta(minutes=-337))),
    ],
    ids=str,
)
def test_events_of_any_time_land(emptied: Writer, ts: datetime) -> None:
    fields = {"ts": ts, "scope": Scope(session="s1")}
    events = [
        ToolStarted(trace="t", name="look", **fields),
        ToolFinished(trace="t", **fields),
        ModelAnswered(model="m", **fields),
        TaskFinished(task="k", source="manual", model="m", routing="local", **fields),
        SnapshotSaved(chat_id="c", turn_number=1, **fields),
        ErrorRaised(type="E", **fields),
    ]

    assert land(emptied, Batch(events=events), lane="test") == len(events)
    assert session(emptied, "s1") is not None


def assert_each_is_a_row(writer: Writer, lines: list[bytes]) -> None:
    """The first of each id, with its flat line."""
    said: dict[str, str] = {}
    for line in lines:
        event = decode(line)
        message = flat.text(event).split("|", 3)[3]
        said.setdefault(id_in_store(event.id, line), message)
    assert dict(writer.rows("SELECT event_id, message FROM events")) == said


def test_an_id_with_a_nul_is_one_row_however_often_it_comes(emptied: Writer) -> None:
    lines = [
        b'{"kind":"moon:rise","id":"\\u0000","ts":"2026-02-13T22:50:05Z","scope":{},"cause":null}',
        b'{"kind":"moon:set","id":"1","ts":"2026-02-13T22:50:05Z","scope":{},"cause":null}',
    ]

    assert land(emptied, Batch(lines=lines), lane="test") == 2
    assert land(emptied, Batch(lines=lines), lane="test") == 0
    assert_each_is_a_row(emptied, lines)


@pytest.mark.slow
def test_every_odd_line_lands(emptied: Writer) -> None:
    lines = list(dict.fromkeys(every_odd_line()))
    assert len(lines) > 8_000

    for start in range(0, len(lines), 500):
        land(emptied, Batch(lines=lines[start : start + 500]), lane="test")

    assert_each_is_a_row(emptied, lines)
    assert land(emptied, Batch(lines=lines[:500]), lane="test") == 0


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(odd_lines(), min_size=1, max_size=12))
def test_odd_lines_land_together(emptied: Writer, lines: list[bytes]) -> None:
    empty(emptied)

    land(emptied, Batch(lines=lines), lane="test")

    assert_each_is_a_row(emptied, lines)


def test_a_name_that_no_index_takes_lands_as_its_beginning_and_a_digest(emptied: Writer) -> None:
    long = "".join(Random(1).choices(ascii_letters, k=9_000))
    event = FileWritten(path=long, scope=Scope(session=long, user=long))

    land(emptied, Batch(events=[event]), lane="test")

    ((path, session, raw_line),) = emptied.rows(
        "SELECT path, c.session_id, raw_line FROM file_changes c JOIN events USING (event_id)"
    )
    assert path.startswith(long[:1_900])
    assert session.startswith(long[:400])
    assert (len(path) <= 2_000, len(session) <= 500) == (True, True)
    assert f"path={long}" in raw_line


def test_two_records_without_an_id_are_two_rows(emptied: Writer) -> None:
    lines = [b'{"kind":"moon:rise"}', b'{"kind":"moon:set"}', b'{"kind":"moon:rise"}']

    assert land(emptied, Batch(lines=lines), lane="test") == 2
