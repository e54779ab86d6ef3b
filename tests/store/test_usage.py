"""What was used and spent, added up as events land."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from eventbus import Event, Scope
from eventbus.errors import SettingsError
from eventbus.event import encode
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.events.task import TaskFinished
from eventbus.events.traces import ToolFinished
from eventbus.limits import in_nanos
from eventbus.sink import Batch
from eventbus.store.engine import Reader, Writer
from eventbus.store.landing import land
from eventbus.store.usage import Spent, spent, usage

NOON = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def answered(
    user: str = "ann",
    *,
    at: datetime = NOON,
    cost: float | None = 0.25,
    model: str = "opus",
    session: str = "s1",
    component: str = "brain",
    **more: Any,
) -> ModelAnswered:
    more.setdefault("usage", Usage(input_uncached=10, cache_read=5, output_visible=3, reasoning=2))
    scope = Scope(user=user, session=session, component=component)
    return ModelAnswered(model=model, cost=cost, scope=scope, ts=at, **more)


def landed(writer: Writer, *events: Event) -> None:
    land(writer, Batch(events=list(events), lines=[encode(each) for each in events]), lane="x")


def test_calls_add_up_by_the_day(store_writer: Writer, store: Reader) -> None:
    tomorrow = NOON + timedelta(days=1)
    landed(store_writer, answered(), answered(cost=0.5), answered(at=tomorrow, cost=1))

    answer = usage(store)

    assert [(entry.key, entry.cost, entry.calls) for entry in answer.entries] == [
        ("2026-03-10", 0.75, 2),
        ("2026-03-11", 1.0, 1),
    ]
    assert answer.totals.cost == 1.75
    assert (answer.totals.tokens_in, answer.totals.tokens_out) == (45, 15)
    assert (answer.totals.cache_read, answer.totals.reasoning) == (15, 6)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("user", ["bob", "ann"]),
        ("model", ["opus", "haiku"]),
        ("component", ["worker", "brain"]),
        ("session", ["s2", "s1"]),
        ("hour", ["2026-03-10T12", "2026-03-10T13"]),
    ],
)
def test_the_same_by_others(store_writer: Writer, store: Reader, by: Any, keys: list[str]) -> None:
    landed(
        store_writer,
        answered("ann", cost=0.1, model="haiku"),
        answered("bob", at=NOON + timedelta(hours=1), cost=3, session="s2", component="worker"),
    )

    assert [entry.key for entry in usage(store, by=by).entries] == keys


def test_a_grouping_that_is_none_is_refused(store: Reader) -> None:
    with pytest.raises(SettingsError, match="by 'week'; allowed: day, model, user"):
        usage(store, by="week")  # type: ignore[arg-type]


def test_days_are_utc_and_both_ends_are_included(store_writer: Writer, store: Reader) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    for at in (midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=2)):
        landed(store_writer, answered(at=at))
    day = date(2026, 3, 10)

    assert usage(store, start=day, end=day).totals.calls == 1
    assert usage(store, start=day, end=day + timedelta(days=2)).totals.calls == 2
    assert usage(store, by="hour", start=day, end=day).totals.calls == 1
    assert usage(store, session="s1", start=day, end=day).entries[0].key == "2026-03-10"


def test_what_is_not_known_is_counted_and_is_not_zero(store_writer: Writer, store: Reader) -> None:
    landed(
        store_writer,
        answered(cost=None),
        answered(state="partial"),
        answered(state="estimated", usage=None),
    )

    totals = usage(store).totals

    assert (totals.unpriced, totals.partial, totals.estimated) == (1, 1, 1)
    assert totals.cost == 0.5


def test_a_dispatch_counts_itself_only_where_no_call_was_recorded(
    store_writer: Writer, store: Reader
) -> None:
    figures = {"sender_id": "ann", "tokens_in": 7, "tokens_out": 2, "cost": 0.125, "ts": NOON}
    landed(
        store_writer,
        answered(),
        DispatchFinished(model_calls=1, **figures),
        DispatchFinished(**figures),
        DispatchFinished(sender_id="ann", ts=NOON),
    )

    totals = usage(store, user="ann").totals

    assert (totals.calls, totals.dispatches, totals.unpriced) == (1, 3, 0)
    assert totals.cost == 0.375
    assert (totals.tokens_in, totals.tokens_out) == (22, 7)


def test_tasks_and_traces_add_nothing(store_writer: Writer, store: Reader) -> None:
    landed(
        store_writer,
        TaskFinished(
            task="t", source="manual", model="m", routing="cloud", tokens_in=9, cost_usd=1.0
        ),
        ToolFinished(trace="x", name="look", tokens_used=100),
    )

    assert usage(store).totals == type(usage(store).totals)()


def test_many_small_costs_add_up_exactly(store_writer: Writer, store: Reader) -> None:
    landed(store_writer, *[answered(cost=0.000_000_1) for _ in range(1_000)])
    landed(store_writer, *[answered(cost=0.1) for _ in range(30)])

    totals = usage(store).totals

    assert totals.cost_nanos == 3_000_100_000
    assert totals.cost == 3.0001


def test_a_cost_is_what_it_shows() -> None:
    assert in_nanos(0.1) == 100_000_000
    assert in_nanos(1) == 1_000_000_000
    assert in_nanos(1e-9) == 1
    assert in_nanos(12345.678901234) == 12_345_678_901_234


def test_what_a_user_spent_in_a_span_of_days(store_writer: Writer, store: Reader) -> None:
    landed(store_writer, answered("ann"), answered("bob", cost=2), answered("ann", cost=None))
    day = NOON.date()

    assert spent(store, user="ann", start=day, end=day) == Spent(250_000_000, 40, 1)
    assert spent(store, user=None, start=day, end=day) == Spent(2_250_000_000, 60, 1)
    tomorrow = day + timedelta(days=1)
    assert spent(store, user="ann", start=tomorrow, end=tomorrow) == Spent()


def test_totals_are_the_sum_of_the_events_however_they_come(
    store_writer: Writer, store: Reader
) -> None:
    chance = random.Random(7)
    events = [
        answered(
            chance.choice("abc"),
            at=NOON + timedelta(minutes=chance.randrange(3_000)),
            cost=chance.choice([None, 0.001, 0.1, 7]),
            model=chance.choice("xyz"),
            session=chance.choice("12"),
        )
        for _ in range(300)
    ]
    for start in range(0, 300, 70):
        landed(store_writer, *events[start : start + 70])
    landed(store_writer, *chance.sample(events, 50))  # again: they are there

    for by in ("day", "hour", "user", "model", "session", "component"):
        answer = usage(store, by=by)  # type: ignore[arg-type]
        assert answer.totals.calls == 300
        assert sum(entry.cost_nanos for entry in answer.entries) == answer.totals.cost_nanos
        assert answer.totals.cost_nanos == sum(in_nanos(each.cost or 0) for each in events)
        assert answer.totals.unpriced == sum(each.cost is None for each in events)
