"""Dispatches as rows, the refused ones among them."""

from datetime import UTC, datetime

from eventbus import Scope
from eventbus.events import DispatchError, DispatchFinished, DispatchRefused, DispatchTool
from eventbus.store.dispatches import Dispatch, dispatches
from eventbus.store.engine import Writer
from tests.store.given import S1, at, land_each, walk_through


def test_a_dispatch_is_a_row_as_the_interaction_log_has_it(emptied: Writer) -> None:
    event = DispatchFinished(
        model="m",
        tokens_in=1200,
        tokens_out=80,
        cost=0.0125,
        duration_ms=2333,
        tools=(DispatchTool(name="shell", duration_ms=15, input_preview="ls -l"),),
        status="error",
        error=DispatchError(name="OSError", message="disk full", tool="shell", turn=3),
        batch=True,
        batch_id="b-1",
        ts=at(0),
        scope=S1,
    )

    land_each(emptied, event)

    assert dispatches(emptied).items == [
        Dispatch(
            event_id=event.id,
            timestamp="2026-01-02T03:04:05.000Z",
            sender_id="ann",
            conversation_id="c1",
            session_id="s1",
            model="m",
            agent_name="brain",
            tokens_in=1200,
            tokens_out=80,
            cost=0.0125,
            duration_ms=2333,
            tools=[DispatchTool(name="shell", duration_ms=15, input_preview="ls -l")],
            status="error",
            error=DispatchError(name="OSError", message="disk full", tool="shell", turn=3),
            batch=True,
            batch_id="b-1",
        )
    ]


def test_a_refusal_is_a_dispatch_that_used_nothing(emptied: Writer) -> None:
    land_each(
        emptied,
        DispatchRefused(
            limit=10,
            spent=10.5,
            window="daily",
            resets_at=datetime(2026, 1, 3, tzinfo=UTC),
            scope=S1,
        ),
    )

    (refused,) = dispatches(emptied, status="refused").items
    assert (refused.cost, refused.tools, refused.batch) == (0, [], False)
    assert refused.error is not None
    assert refused.error.message == "Daily cost limit reached."


def test_dispatches_come_newest_first_and_page_both_ways(emptied: Writer) -> None:
    for number in range(5):
        land_each(emptied, DispatchFinished(duration_ms=number, ts=at(number // 2), scope=S1))
    land_each(emptied, DispatchFinished(ts=at(9), scope=Scope(session="s2", chat="c2")))

    found = walk_through(dispatches, emptied, conversation_id="c1")

    assert [each.duration_ms for each in found] == [4, 3, 2, 1, 0]
    assert len(dispatches(emptied, session_id="s2").items) == 1
    assert len(dispatches(emptied, since=at(9)).items) == 1
