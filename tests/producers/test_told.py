"""What is told in one call: messages, tasks and their ratings, agents."""

from typing import Any

import pytest

from eventbus import agent_spawned, channel_message, rate_task, record_task, scope
from eventbus.events import (
    AgentSpawned,
    Alternative,
    ChannelMessage,
    RouteChosen,
    TaskFinished,
    TaskRated,
)
from eventbus.testing import Recorded


def the_only(record: Recorded, cls: type[Any]) -> Any:
    (event,) = record.of(cls)
    return event


def test_a_message_is_told_by_its_length_and_its_beginning(record: Recorded) -> None:
    channel_message("in", "telegram", "ada", "one\ntwo\x1b " + "x" * 500)

    event = the_only(record, ChannelMessage)
    assert (event.direction, event.channel, event.user) == ("in", "telegram", "ada")
    assert event.length == 509
    assert event.preview.startswith("one two\\u001b xxx")
    assert len(event.preview) == 120


def test_a_message_may_be_of_a_number_and_say_nothing(record: Recorded) -> None:
    channel_message("out", "telegram", 42)  # type: ignore[arg-type]

    event = the_only(record, ChannelMessage)
    assert (event.user, event.length, event.preview) == ("42", 0, "")


def test_a_message_goes_in_or_out(record: Recorded) -> None:
    with pytest.raises(ValueError, match="cannot go 'up'; allowed: in, out"):
        channel_message("up", "telegram")  # type: ignore[arg-type]


def test_a_task_is_told_with_the_way_it_was_sent(record: Recorded) -> None:
    task = record_task(
        "m-1",
        routing="local",
        source="mcp-tool",
        routing_reason="token_count<500",
        alternatives=[{"model": "m-2", "reason_rejected": "too dear"}, Alternative("m-3")],
        classifier_version="rules-v1",
        tokens_in=400,
        cost_usd=0.0,
        cloud_cost_equivalent=0.01,
    )

    finished, chosen = the_only(record, TaskFinished), the_only(record, RouteChosen)
    assert finished.task == chosen.task == task
    assert (finished.model, finished.routing, finished.source) == ("m-1", "local", "mcp-tool")
    assert (finished.cost_usd, finished.cloud_cost_equivalent) == (0.0, 0.01)
    assert chosen.reason == finished.routing_reason == "token_count<500"
    assert chosen.alternatives_considered == (
        Alternative("m-2", "too dear"),
        Alternative("m-3", ""),
    )
    assert chosen.cause == finished.id


def test_a_task_that_was_not_routed_has_no_decision(record: Recorded) -> None:
    assert record_task("m-1", routing="cloud", task="t-1") == "t-1"

    assert the_only(record, TaskFinished).source == "manual"
    assert record.of(RouteChosen) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"routing": "moon"}, "the routing 'moon'; allowed: cloud, local"),
        ({"routing": "cloud", "source": "x"}, "source 'x'; allowed: mcp-tool, proxy-intercept"),
        ({"routing": "cloud", "quality_rating": 5}, "quality_rating 5; allowed: 1, 0, None"),
    ],
)
def test_a_task_that_cannot_be_is_refused(
    record: Recorded, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        record_task("m-1", **wrong)

    assert record.of("task:*") == []


@pytest.mark.parametrize(("said", "rating"), [(1, 1), (0, 0), (None, None), (True, 1)])
def test_a_task_is_rated_afterwards(record: Recorded, said: Any, rating: int | None) -> None:
    rate_task("t-1", said)

    event = the_only(record, TaskRated)
    assert (event.task, event.quality_rating) == ("t-1", rating)


def test_a_rating_is_good_or_not(record: Recorded) -> None:
    with pytest.raises(ValueError, match="rating 2; allowed: 1, 0, None"):
        rate_task("t-1", 2)  # type: ignore[arg-type]


def test_an_agents_parent_is_the_one_that_acts(record: Recorded) -> None:
    with scope(agent="main"):
        agent_spawned("scout", reason="look around")
    agent_spawned("helper", "scout")

    told = [(event.agent, event.parent, event.reason) for event in record.of(AgentSpawned)]  # type: ignore[attr-defined]
    assert told == [("scout", "main", "look around"), ("helper", "scout", None)]
