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


def test_a_start_is_a_row_that_is_not_finished(emptied: Writer) -> None:
    land_each(emptied, started(input={"path": "a"}, message_id="m"))

    assert found(emptied) == ToolTrace(
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


def test_a_finish_changes_what_it_names_and_nothing_else(emptied: Writer) -> None:
    land_each(emptied, started(input=[1], message_id="m"))
    before = found(emptied)

    land_each(emptied, finished(outcome="error", error="no", latency_ms=12.5, tokens_used=7))

    after = found(emptied)
    assert (after.outcome, after.error, after.latency_ms, after.tokens_used) == (
        "error",
        "no",
        12.5,
        7,
    )
    assert after.finished_at == "2026-01-02T03:04:06.000Z"
    for name in ("message_id", "tool_input", "tool_output", "started_at", "cache_tokens"):
        assert getattr(after, name) == getattr(before, name)


def test_a_finish_may_land_before_its_start(emptied: Writer) -> None:
    land_each(emptied, finished(output={"lines": 3}))
    early = found(emptied)
    land_each(emptied, started(input="x"))

    assert (early.tool_name, early.outcome) == ("unknown", "success")
    late = found(emptied)
    assert (late.tool_name, late.tool_input, late.tool_output) == ("look", "x", '{"lines":3}')
    assert late.started_at == "2026-01-02T03:04:05.000Z"


def test_without_a_scope_the_fallbacks_are_said(emptied: Writer) -> None:
    land_each(emptied, started("t", scope=Scope()), started("u", scope=Scope(session="s2")))

    nobody, somebody = found(emptied, "t"), found(emptied, "u")
    assert (nobody.session_id, nobody.chat_id, nobody.turn_number) == ("unknown", "unknown", 0)
    assert (somebody.session_id, somebody.chat_id) == ("s2", "s2")


def test_numbers_too_large_for_a_column_are_held_to_it(emptied: Writer) -> None:
    land_each(emptied, started(), finished(tokens_used=2**70))

    assert found(emptied).tokens_used == 2**63 - 1


# --- abandoned -----------------------------------------------------------------------


OPENED = [
    SessionCreated(ts=at(9), scope=S1),
    SessionResumed(chat_id="c1", turn_number=1, ts=at(9), scope=S1),
]


@pytest.mark.parametrize("opened", OPENED, ids=lambda event: event.kind)
def test_a_dead_sessions_calls_are_abandoned_when_it_is_next_opened(
    emptied: Writer, opened: Event
) -> None:
    land_each(emptied, SessionCreated(ts=at(0), scope=S1), started(seconds=1))
    before = found(emptied)
    land_each(emptied, opened, SessionCreated(ts=at(12), scope=S1))

    assert before.outcome is None
    after = found(emptied)
    assert (after.outcome, after.finished_at) == ("abandoned", "2026-01-02T03:04:14.000Z")


def test_a_call_that_finishes_after_all_is_not_abandoned(emptied: Writer) -> None:
    land_each(emptied, started(), SessionCreated(ts=at(9), scope=S1), finished(seconds=20))

    assert found(emptied).outcome == "success"
    assert found(emptied).finished_at == "2026-01-02T03:04:25.000Z"


def test_calls_of_the_new_life_and_of_other_sessions_go_on(emptied: Writer) -> None:
    land_each(
        emptied,
        started("new", 10),
        started("other", 0, scope=Scope(session="s2")),
        SessionCreated(ts=at(9), scope=S1),
    )

    assert found(emptied, "new").outcome is None
    assert found(emptied, "other").outcome is None


def test_open_calls_are_those_nobody_finished(emptied: Writer) -> None:
    land_each(
        emptied,
        started("done", 0),
        finished("done", 1),
        started("left", 2),
        SessionCreated(ts=at(5), scope=S1),
        started("running", 6),
        started("elsewhere", 7, scope=Scope(session="s2")),
    )

    assert [each.id for each in open_traces(emptied).items] == ["left", "running", "elsewhere"]
    assert [each.id for each in open_traces(emptied, session_id="s1").items] == [
        "left",
        "running",
    ]


# --- pages ---------------------------------------------------------------------------


def test_a_chats_calls_come_oldest_first_and_page_both_ways(emptied: Writer) -> None:
    names = ["b", "a", "c", "e", "d"]
    for number, name in enumerate(names):
        land_each(emptied, started(name, number // 2))
    land_each(emptied, started("x", 0, scope=Scope(session="s1", chat="c2")))

    rows = walk_through(traces, emptied, chat_id="c1")

    assert [row.id for row in rows] == ["a", "b", "c", "e", "d"]
    assert len(traces(emptied).items) == 6
    assert len(traces(emptied, session_id="s1").items) == 6


def test_a_walk_is_not_moved_by_what_lands_meanwhile(emptied: Writer) -> None:
    for number in range(4):
        land_each(emptied, started(f"t{number}", number))
    page = traces(emptied, chat_id="c1", limit=2)

    land_each(emptied, started("late", 0.5), finished("t1", 50), started("new", 60))
    rest = traces(emptied, chat_id="c1", limit=10, cursor=page.next)

    assert [row.id for row in rest.items] == ["t2", "t3", "new"]


# --- asking for a change -------------------------------------------------------------


def test_starting_returns_the_row_that_lands(emptied: Writer) -> None:
    emitted: list[Event] = []
    with scope(session="s1", chat="c1", turn=4):
        row = start_trace(emitted.append, "look", {"at": (1, 2)}, message_id="m")

    land_each(emptied, *emitted)

    assert found(emptied, row.id) == row


def test_an_update_changes_only_the_fields_it_names(emptied: Writer) -> None:
    emitted: list[Event] = []
    land_each(emptied, started(), finished(tokens_used=3, output="out"))
    before = found(emptied)

    row = update_trace(
        emptied, emitted.append, "t", tokens_used=None, error="late", finished_at=at(30)
    )
    land_each(emptied, *emitted)

    after = found(emptied)
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


def test_an_update_of_an_unknown_id_says_so_and_changes_nothing(emptied: Writer) -> None:
    emitted: list[Event] = []

    with pytest.raises(TraceUnknown, match="no tool trace 'nowhere' in the store"):
        update_trace(emptied, emitted.append, "nowhere", error="x")

    assert emitted == []


def test_an_update_of_nothing_returns_the_row_unchanged(emptied: Writer) -> None:
    emitted: list[Event] = []
    land_each(emptied, started())

    assert update_trace(emptied, emitted.append, "t") == found(emptied)
    assert emitted == []


def test_a_row_just_started_may_be_changed_before_it_landed(emptied: Writer) -> None:
    emitted: list[Event] = []
    row = start_trace(emitted.append, "look")

    changed = update_trace(emptied, emitted.append, row, tool_output="soon")
    land_each(emptied, *emitted)

    assert found(emptied, row.id) == changed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colour": 1}, "no update changes 'colour'; one may name message_id, tool_output"),
        ({"outcome": "maybe"}, "no trace can be as {'outcome': 'maybe'} says"),
    ],
)
def test_an_update_that_cannot_be_is_refused(
    emptied: Writer, fields: dict[str, Any], said: str
) -> None:
    emitted: list[Event] = []
    land_each(emptied, started())

    with pytest.raises(TypeError, match=said):
        update_trace(emptied, emitted.append, "t", **fields)

    assert emitted == []


def test_an_update_reopens_nothing_it_does_not_name(emptied: Writer) -> None:
    land_each(emptied, started(), ToolUpdated(trace="t", tokens_used=4, ts=at(1), scope=S1))

    assert found(emptied).outcome is None
    assert [each.id for each in open_traces(emptied).items] == ["t"]
