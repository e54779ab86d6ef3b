"""Tasks, their ratings and routes; and what working here saved."""

from typing import Any

import pytest

from eventbus import Event, Scope
from eventbus.errors import TaskUnknown
from eventbus.events import Alternative, ModelAnswered, RouteChosen, TaskFinished, TaskRated, Usage
from eventbus.store.engine import Writer
from eventbus.store.savings import Saved, savings
from eventbus.store.sessions import session, sessions
from eventbus.store.tasks import Task, rate_task, routes, task, tasks
from tests.store.given import S1, at, land_each, walk_through


def done(id: str = "k", seconds: float = 0, **fields: Any) -> TaskFinished:
    given = {"source": "manual", "model": "m", "routing": "local", "scope": S1}
    return TaskFinished(task=id, ts=at(seconds), **{**given, **fields})


def rated(rating: Any, seconds: float, id: str = "k") -> TaskRated:
    return TaskRated(task=id, quality_rating=rating, ts=at(seconds), scope=S1)


def found(writer: Writer, id: str = "k") -> Task:
    row = task(writer, id)
    assert row is not None
    return row


def test_a_task_is_a_row_with_all_it_says(emptied: Writer) -> None:
    event = done(
        source="mcp-tool",
        routing="cloud",
        routing_reason="user_override",
        tokens_in=500,
        tokens_out=60,
        latency_ms=899.6,
        cost_usd=0.002,
        cloud_cost_equivalent=0.01,
        quality_rating=1,
        prompt_length=2000,
        response_length=240,
    )

    land_each(emptied, event)

    assert found(emptied) == Task(
        id="k",
        session_id="s1",
        timestamp="2026-01-02T03:04:05.000Z",
        source="mcp-tool",
        model="m",
        routing="cloud",
        routing_reason="user_override",
        tokens_in=500,
        tokens_out=60,
        latency_ms=900,
        cost_usd=0.002,
        cloud_cost_equivalent=0.01,
        quality_rating=1,
        prompt_length=2000,
        response_length=240,
    )


def test_the_later_rating_counts_and_none_takes_it_back(emptied: Writer) -> None:
    land_each(emptied, done(), rated(1, 5), rated(0, 3))
    later = found(emptied).quality_rating
    land_each(emptied, rated(None, 9))

    assert later == 1
    assert found(emptied).quality_rating is None


def test_a_task_that_says_no_rating_takes_none_back(emptied: Writer) -> None:
    land_each(emptied, rated(1, 1), done(seconds=2))

    assert found(emptied).quality_rating == 1


def test_a_rating_before_its_task_waits_for_it(emptied: Writer) -> None:
    land_each(emptied, rated(0, 5))
    early = task(emptied, "k"), tasks(emptied).items
    land_each(emptied, done())

    assert early == (None, [])
    assert found(emptied).quality_rating == 0


def test_a_route_may_come_before_its_task_and_its_session(emptied: Writer) -> None:
    chosen = RouteChosen(
        task="k",
        reason="keyword:commit_msg",
        alternatives_considered=(Alternative(model="big", reason_rejected="too dear"),),
        classifier_version="rules-v1",
        ts=at(1),
    )
    land_each(emptied, chosen, done())

    (route,) = routes(emptied, "k")
    assert route.id == chosen.id
    assert (route.reason, route.classifier_version) == ("keyword:commit_msg", "rules-v1")
    assert route.alternatives_considered == [Alternative(model="big", reason_rejected="too dear")]
    assert emptied.rows("SELECT alternatives_considered FROM routing_decisions") == [
        ('[{"model":"big","reason_rejected":"too dear"}]',)
    ]


def test_a_task_without_a_session_has_one_all_the_same(emptied: Writer) -> None:
    land_each(emptied, done(scope=Scope()))

    assert found(emptied).session_id == "unknown"
    assert session(emptied, "unknown") is not None


def test_tasks_come_newest_first_and_page_both_ways(emptied: Writer) -> None:
    for number in range(5):
        land_each(emptied, done(f"k{number}", number // 2, model=f"m{number % 2}"))
    land_each(emptied, done("other", 9, scope=Scope(session="s2")))

    in_session = walk_through(tasks, emptied, session_id="s1")
    of_model = walk_through(tasks, emptied, model="m1")

    assert [each.id for each in in_session] == ["k4", "k3", "k2", "k1", "k0"]
    assert [each.id for each in of_model] == ["k3", "k1"]
    assert [each.id for each in tasks(emptied, since=at(2), until=at(9)).items] == ["k4"]
    assert tasks(emptied, routing="cloud").items == []


def test_rating_emits_and_returns_the_row_it_will_be(emptied: Writer) -> None:
    emitted: list[Event] = []
    land_each(emptied, done())

    row = rate_task(emptied, emitted.append, "k", 0)
    land_each(emptied, *emitted)

    assert row.quality_rating == 0
    assert found(emptied) == row


def test_what_cannot_be_rated_is_refused(emptied: Writer) -> None:
    emitted: list[Event] = []
    land_each(emptied, done(), rated(1, 1, id="stub"))

    with pytest.raises(TaskUnknown, match="no task 'stub' in the store"):
        rate_task(emptied, emitted.append, "stub", 1)
    with pytest.raises(ValueError, match="no task can be rated 5"):
        rate_task(emptied, emitted.append, "k", 5)  # type: ignore[arg-type]

    assert emitted == []


# --- savings -------------------------------------------------------------------------


def some_tasks(writer: Writer) -> None:
    day = 24 * 3600
    land_each(
        writer,
        done("a", 0, cost_usd=0.25, cloud_cost_equivalent=1.0),
        done("b", 1, cost_usd=0.1, cloud_cost_equivalent=0.3, model="n"),
        done("c", 2, cost_usd=None, cloud_cost_equivalent=5.0),
        done("d", 3, cost_usd=0.5, cloud_cost_equivalent=None),
        done("e", day, cost_usd=2, cloud_cost_equivalent=1, scope=Scope(session="s2")),
        rated(1, 5, id="stub"),
    )


def test_what_is_not_known_is_counted_and_saves_nothing(emptied: Writer) -> None:
    some_tasks(emptied)

    assert savings(emptied, "session") == [
        Saved(key="s1", tasks=4, saved_usd=0.95, cost_usd=0.85, unknown=2),
        Saved(key="s2", tasks=1, saved_usd=-1.0, cost_usd=2.0, unknown=0),
    ]


def test_savings_by_day_and_by_model(emptied: Writer) -> None:
    some_tasks(emptied)

    assert [(each.key, each.saved_usd) for each in savings(emptied)] == [
        ("2026-01-03", -1.0),
        ("2026-01-02", 0.95),
    ]
    assert [(each.key, each.saved_usd) for each in savings(emptied, "model")] == [
        ("n", 0.2),
        ("m", -0.25),
    ]
    assert [each.key for each in savings(emptied, until=at(100))] == ["2026-01-02"]
    assert savings(emptied, "model", session_id="s2")[0].tasks == 1


def test_savings_by_anything_else_are_refused(emptied: Writer) -> None:
    with pytest.raises(ValueError, match="cannot sum savings by 'week'; allowed are day, model"):
        savings(emptied, "week")  # type: ignore[arg-type]


def test_a_session_says_what_it_used_and_saved(emptied: Writer) -> None:
    used = Usage(input_uncached=10, cache_read=5, output_visible=3, reasoning=1)
    some_tasks(emptied)
    land_each(
        emptied,
        ModelAnswered(model="m", usage=used, cost=0.5, scope=S1),
        ModelAnswered(model="m", usage=used, cost=None, scope=S1),
    )

    newest, oldest = sessions(emptied, user=None).items[:2]
    assert newest.id == "s2"
    assert (newest.tokens_in, newest.cost_usd, newest.saved.saved_usd) == (0, 0.0, -1.0)
    assert (oldest.tokens_in, oldest.tokens_out) == (30, 8)
    assert (oldest.cost_usd, oldest.unpriced) == (0.5, 1)
    assert (oldest.saved.tasks, oldest.saved.unknown) == (4, 2)
