"""Tool traces: begun, changed, finished, abandoned; and the pages of them."""

from typing import Any

import pytest

from eventbus import Event, Scope, scope
from eventbus.errors import TraceUnknown
from eventbus.events import SessionCreated, SessionResumed, ToolFinished, ToolStarted, ToolUpdated
from eventbus.store.engine import Writer
from eventbus.store.traces import (
    ToolTrace,
    open_traces,
    start_trace,
    trace,
    traces,
    update_trace,
)
from tests.store.given import S1, at, land_each, walk_through


def started(id: str = "t", seconds: float = 0, **fields: Any) -> ToolStarted:
    return ToolStarted(trace=id, name="look", ts=at(seconds), **{"scope": S1, **fields})


def finished(id: str = "t", seconds: float = 1, **fields: Any) -> ToolFinished:
    return ToolFinished(trace=id, ts=at(seconds), **{"scope": S1, **fields})


def found(writer: Writer, id: str = "t") -> ToolTrace:
    row = trace(writer, id)
    assert row is not None
    return row


def test_a_start_is_a_row_that_is_not_finished(store_writer: Writer) -> None:
    land_each(store_writer, started(input={"path": "a"}, message_id="m"))

    assert found(store_writer) == ToolTrace(
        id="t",
        session_id="s1",
        chat_id="c1",
        message_id="m",
        turn_number=2,
        tool_name="look",
        tool_input={"path": "a"},
        tool_output=None,
        started_at="2026-01-02T03:04:05.000Z",
        finished_at=None,
        latency_ms=None,
        tokens_used=None,
        cache_tokens=None,
        reasoning_tokens=None,
        error=None,
        outcome=None,
        created_at="2026-01-02T03:04:05.000Z",
    )


def test_a_finish_changes_what_it_names_and_nothing_else(store_writer: Writer) -> None:
    land_each(store_writer, started(input=[1], message_id="m"))
    before = found(store_writer)

    land_each(store_writer, finished(outcome="error", error="no", latency_ms=12.5, tokens_used=7))

    after = found(store_writer)
    assert (after.outcome, after.error, after.latency_ms, after.tokens_used) == (
        "error",
        "no",
        12.5,
        7,
    )
    assert after.finished_at == "2026-01-02T03:04:06.000Z"
    for name in ("message_id", "tool_input", "tool_output", "started_at", "cache_tokens"):
        assert getattr(after, name) == getattr(before, name)


def test_a_finish_may_land_before_its_start(store_writer: Writer) -> None:
    land_each(store_writer, finished(output={"lines": 3}))
    early = found(store_writer)
    land_each(store_writer, started(input="x"))

    assert (early.tool_name, early.outcome) == ("unknown", "success")
    late = found(store_writer)
    assert (late.tool_name, late.tool_input, late.tool_output) == ("look", "x", '{"lines":3}')
    assert late.started_at == "2026-01-02T03:04:05.000Z"


def test_without_a_scope_the_fallbacks_are_said(store_writer: Writer) -> None:
    land_each(store_writer, started("t", scope=Scope()), started("u", scope=Scope(session="s2")))

    nobody, somebody = found(store_writer, "t"), found(store_writer, "u")
    assert (nobody.session_id, nobody.chat_id, nobody.turn_number) == ("unknown", "unknown", 0)
    assert (somebody.session_id, somebody.chat_id) == ("s2", "s2")


def test_numbers_too_large_for_a_column_are_held_to_it(store_writer: Writer) -> None:
    land_each(store_writer, started(), finished(tokens_used=2**70))

    assert found(store_writer).tokens_used == 2**63 - 1


# --- abandoned -----------------------------------------------------------------------


OPENED = [
    SessionCreated(ts=at(9), scope=S1),
    SessionResumed(chat_id="c1", turn_number=1, ts=at(9), scope=S1),
]


@pytest.mark.parametrize("opened", OPENED, ids=lambda event: event.kind)
def test_a_dead_sessions_calls_are_abandoned_when_it_is_next_opened(
    store_writer: Writer, opened: Event
) -> None:
    land_each(store_writer, SessionCreated(ts=at(0), scope=S1), started(seconds=1))
    before = found(store_writer)
    land_each(store_writer, opened, SessionCreated(ts=at(12), scope=S1))

    assert before.outcome is None
    after = found(store_writer)
    assert (after.outcome, after.finished_at) == ("abandoned", "2026-01-02T03:04:14.000Z")


def test_a_call_that_finishes_after_all_is_not_abandoned(store_writer: Writer) -> None:
    land_each(store_writer, started(), SessionCreated(ts=at(9), scope=S1), finished(seconds=20))

    assert found(store_writer).outcome == "success"
    assert found(store_writer).finished_at == "2026-01-02T03:04:25.000Z"


def test_calls_of_the_new_life_and_of_other_sessions_go_on(store_writer: Writer) -> None:
    land_each(
        store_writer,
        started("new", 10),
        started("other", 0, scope=Scope(session="s2")),
        SessionCreated(ts=at(9), scope=S1),
    )

    assert found(store_writer, "new").outcome is None
    assert found(store_writer, "other").outcome is None


def test_open_calls_are_those_nobody_finished(store_writer: Writer) -> None:
    land_each(
        store_writer,
        started("done", 0),
        finished("done", 1),
        started("left", 2),
        SessionCreated(ts=at(5), scope=S1),
        started("running", 6),
        started("elsewhere", 7, scope=Scope(session="s2")),
    )

    assert [each.id for each in open_traces(store_writer).items] == ["left", "running", "elsewhere"]
    assert [each.id for each in open_traces(store_writer, session_id="s1").items] == [
        "left",
        "running",
    ]


# --- pages ---------------------------------------------------------------------------


def test_a_chats_calls_come_oldest_first_and_page_both_ways(store_writer: Writer) -> None:
    names = ["b", "a", "c", "e", "d"]
    for number, name in enumerate(names):
        land_each(store_writer, started(name, number // 2))
    land_each(store_writer, started("x", 0, scope=Scope(session="s1", chat="c2")))

    rows = walk_through(traces, store_writer, chat_id="c1")

    assert [row.id for row in rows] == ["a", "b", "c", "e", "d"]
    assert len(traces(store_writer).items) == 6
    assert len(traces(store_writer, session_id="s1").items) == 6


def test_a_walk_is_not_moved_by_what_lands_meanwhile(store_writer: Writer) -> None:
    for number in range(4):
        land_each(store_writer, started(f"t{number}", number))
    page = traces(store_writer, chat_id="c1", limit=2)

    land_each(store_writer, started("late", 0.5), finished("t1", 50), started("new", 60))
    rest = traces(store_writer, chat_id="c1", limit=10, cursor=page.next)

    assert [row.id for row in rest.items] == ["t2", "t3", "new"]


# --- asking for a change -------------------------------------------------------------


def test_starting_returns_the_row_that_lands(store_writer: Writer) -> None:
    emitted: list[Event] = []
    with scope(session="s1", chat="c1", turn=4):
        row = start_trace(emitted.append, "look", {"at": (1, 2)}, message_id="m")

    land_each(store_writer, *emitted)

    assert found(store_writer, row.id) == row


def test_an_update_changes_only_the_fields_it_names(store_writer: Writer) -> None:
    emitted: list[Event] = []
    land_each(store_writer, started(), finished(tokens_used=3, output="out"))
    before = found(store_writer)

    row = update_trace(
        store_writer, emitted.append, "t", tokens_used=None, error="late", finished_at=at(30)
    )
    land_each(store_writer, *emitted)

    after = found(store_writer)
    assert after == row
    changed = {
        name for name in row.__struct_fields__ if getattr(row, name) != getattr(before, name)
    }
    assert changed == {"tokens_used", "error", "finished_at"}
    assert (after.tokens_used, after.error, after.finished_at) == (
        None,
        "late",
        "2026-01-02T03:04:35.000Z",
    )


def test_an_update_of_an_unknown_id_says_so_and_changes_nothing(store_writer: Writer) -> None:
    emitted: list[Event] = []

    with pytest.raises(TraceUnknown, match="no tool trace 'nowhere' in the store"):
        update_trace(store_writer, emitted.append, "nowhere", error="x")

    assert emitted == []


def test_an_update_of_nothing_returns_the_row_unchanged(store_writer: Writer) -> None:
    emitted: list[Event] = []
    land_each(store_writer, started())

    assert update_trace(store_writer, emitted.append, "t") == found(store_writer)
    assert emitted == []


def test_a_row_just_started_may_be_changed_before_it_landed(store_writer: Writer) -> None:
    emitted: list[Event] = []
    row = start_trace(emitted.append, "look")

    changed = update_trace(store_writer, emitted.append, row, tool_output="soon")
    land_each(store_writer, *emitted)

    assert found(store_writer, row.id) == changed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colour": 1}, "no update changes 'colour'; one may name message_id, tool_output"),
        ({"outcome": "maybe"}, "no trace can be as {'outcome': 'maybe'} says"),
    ],
)
def test_an_update_that_cannot_be_is_refused(
    store_writer: Writer, fields: dict[str, Any], said: str
) -> None:
    emitted: list[Event] = []
    land_each(store_writer, started())

    with pytest.raises(TypeError, match=said):
        update_trace(store_writer, emitted.append, "t", **fields)

    assert emitted == []


def test_an_update_reopens_nothing_it_does_not_name(store_writer: Writer) -> None:
    land_each(store_writer, started(), ToolUpdated(trace="t", tokens_used=4, ts=at(1), scope=S1))

    assert found(store_writer).outcome is None
    assert [each.id for each in open_traces(store_writer).items] == ["t"]
