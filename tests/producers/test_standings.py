"""Where everybody stands is what a dispatch would be admitted by."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventbus import EventBus, Scope
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.limits import CostLimits, Limit
from eventbus.producers.standings import Standing, standings

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with EventBus(tmp_path, serve="never") as bus:
        for user, cost, day in (("ann", 9.0, 10), ("ann", 1.0, 9), ("bob", None, 10)):
            bus.emit_nowait(
                ModelAnswered(
                    model="m",
                    cost=cost,
                    usage=Usage(input_uncached=100),
                    ts=NOON.replace(day=day),
                    scope=Scope(user=user),
                )
            )
    return tmp_path


def seen(limits: CostLimits, state: Path) -> list[tuple[str | None, str, str, float, str]]:
    found: list[Standing] = standings(limits, state, str(state), now=NOON)
    return [(each.user, each.window, each.unit, each.spent, each.state) for each in found]


def test_each_limit_of_each_who_spent_is_there_the_nearest_first(state: Path) -> None:
    assert seen(CostLimits(daily=10.0, monthly=10.0), state) == [
        ("ann", "monthly", "cost", 10.0, "reached"),
        ("ann", "daily", "cost", 9.0, "near"),
        ("bob", "daily", "cost", 0.0, "free"),
        ("bob", "monthly", "cost", 0.0, "free"),
    ]


def test_who_has_a_limit_of_their_own_is_there_before_they_spend(state: Path) -> None:
    limits = CostLimits(users={"eve": Limit(daily=1.0)})

    assert seen(limits, state) == [("eve", "daily", "cost", 0.0, "free")]


def test_everybody_together_has_no_name(state: Path) -> None:
    assert seen(CostLimits(all=Limit(monthly=20.0, daily_tokens=200)), state) == [
        (None, "daily", "token", 200, "reached"),
        (None, "monthly", "cost", 10.0, "free"),
    ]


def test_what_has_no_price_stops_who_must_not_use_it(state: Path) -> None:
    found = seen(CostLimits(daily=10.0, unpriced="refuse"), state)

    assert [(user, how) for user, *_, how in found] == [("ann", "near"), ("bob", "reached")]
