"""Whatever an event holds, it lands."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

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
from eventbus.sink import Batch
from eventbus.store.engine import Writer
from eventbus.store.landing import land
from eventbus.store.sessions import session
from eventbus.store.tasks import task
from eventbus.store.traces import trace
from tests.store.given import land_each

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
        TaskFinished(task="k", source="manual", model="m", routing="local", **fields),
        SnapshotSaved(chat_id="c", turn_number=1, **fields),
        ErrorRaised(type="E", **fields),
    ]

    assert land(emptied, Batch(events=events), lane="test") == len(events)
    assert session(emptied, "s1") is not None
