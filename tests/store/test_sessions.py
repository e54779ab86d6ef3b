"""Sessions: seen by their events, opened, ended, opened again."""

import pytest

from eventbus import Event, Scope
from eventbus.errors import CursorRefused
from eventbus.events import (
    ErrorRaised,
    LogLine,
    ModelFailed,
    SessionCreated,
    SessionEnded,
    SessionResumed,
    ToolStarted,
)
from eventbus.store.engine import Writer
from eventbus.store.openings import openings
from eventbus.store.sessions import session, sessions
from tests.store.given import S1, at, land_each, walk_through


class Passed(Event, tag="session_test:pass"):
    """An event that says nothing of sessions."""


def test_a_session_has_what_its_opening_says(emptied: Writer) -> None:
    opened = SessionCreated(
        ts=at(0), scope=S1, cli_tool="mcp", persona="reviewer", nexus_mode="hybrid", reason="start"
    )

    land_each(emptied, opened)

    found = session(emptied, "s1")
    assert found is not None
    assert (found.cli_tool, found.persona, found.nexus_mode) == ("mcp", "reviewer", "hybrid")
    assert (found.reason, found.component, found.user_id) == ("start", "brain", "ann")
    assert (found.start_time, found.end_time) == ("2026-01-02T03:04:05.000Z", None)


def test_an_event_before_its_session_makes_a_stub(emptied: Writer) -> None:
    land_each(emptied, Passed(ts=at(5), scope=S1), Passed(ts=at(3), scope=S1))

    stub = session(emptied, "s1")
    assert stub is not None
    assert (stub.start_time, stub.last_time, stub.cli_tool) == (
        "2026-01-02T03:04:08.000Z",
        "2026-01-02T03:04:10.000Z",
        None,
    )


def test_an_opening_completes_its_stub(emptied: Writer) -> None:
    land_each(
        emptied,
        Passed(ts=at(5), scope=S1),
        SessionCreated(ts=at(1), scope=S1, cli_tool="mcp"),
    )

    found = session(emptied, "s1")
    assert found is not None
    assert (found.cli_tool, found.start_time) == ("mcp", "2026-01-02T03:04:06.000Z")
    assert found.events == 2


def test_the_payload_says_which_session_before_the_scope_does(emptied: Writer) -> None:
    land_each(emptied, SessionCreated(session_id="s9", scope=S1))

    assert session(emptied, "s9") is not None
    assert session(emptied, "s1") is None


def test_a_session_that_is_opened_again_has_not_ended(emptied: Writer) -> None:
    land_each(
        emptied,
        SessionCreated(ts=at(0), scope=S1, cli_tool="mcp"),
        SessionEnded(ts=at(5), scope=S1, reason="logout"),
    )
    ended = session(emptied, "s1")
    land_each(emptied, SessionResumed(chat_id="c1", turn_number=2, ts=at(9), scope=S1))
    resumed = session(emptied, "s1")

    assert ended is not None
    assert (ended.end_time, ended.reason) == ("2026-01-02T03:04:10.000Z", "logout")
    assert resumed is not None
    assert (resumed.end_time, resumed.cli_tool) == (None, "mcp")


def test_a_session_counts_its_events_tools_and_errors(emptied: Writer) -> None:
    land_each(
        emptied,
        ToolStarted(trace="t", name="look", scope=S1),
        ErrorRaised(type="ValueError", scope=S1),
        ModelFailed(model="m", scope=S1),
        LogLine(event_type="error:io", kv={"session_id": "s1"}),
        Passed(scope=Scope(session="s2")),
        Passed(),
    )

    found = session(emptied, "s1")
    assert found is not None
    assert (found.events, found.tools, found.errors) == (4, 1, 3)


def test_a_line_of_the_flat_log_opens_a_session(emptied: Writer) -> None:
    land_each(emptied, LogLine(event_type="session:create", kv={"session_id": "s7"}))

    found = session(emptied, "s7")
    assert found is not None
    assert found.events == 1


def test_sessions_come_newest_first_and_page_both_ways(emptied: Writer) -> None:
    for number in range(5):
        scope = Scope(session=f"s{number}")
        land_each(emptied, SessionCreated(ts=at(number // 2), scope=scope))

    found = walk_through(sessions, emptied)

    assert [each.id for each in found] == ["s4", "s3", "s2", "s1", "s0"]


def test_sessions_are_found_by_what_they_are(emptied: Writer) -> None:
    land_each(
        emptied,
        SessionCreated(ts=at(0), scope=S1, cli_tool="mcp", persona="a"),
        SessionCreated(ts=at(10), scope=Scope(session="s2", user="bob"), cli_tool="proxy"),
    )

    def ids(**wanted: object) -> list[str]:
        return [each.id for each in sessions(emptied, **wanted).items]  # type: ignore[arg-type]

    assert ids(cli_tool="mcp") == ["s1"]
    assert ids(persona="a") == ["s1"]
    assert ids(user="bob") == ["s2"]
    assert ids(since=at(10)) == ["s2"]
    assert ids(until=at(10)) == ["s1"]
    assert ids(user="bob", cli_tool="mcp") == []


def test_a_resume_links_its_snapshot_to_the_session(emptied: Writer) -> None:
    resumed = SessionResumed(
        chat_id="c1", turn_number=4, snapshot="e1", ts=at(1), scope=Scope(session="s2")
    )
    land_each(emptied, SessionCreated(ts=at(0), scope=S1), resumed)

    found = openings(emptied, chat_id="c1").items

    assert [(each.session_id, each.snapshot, each.turn_number) for each in found] == [
        ("s2", "e1", 4),
        ("s1", None, 2),
    ]


def test_a_cursor_of_no_page_is_refused(emptied: Writer) -> None:
    with pytest.raises(CursorRefused, match="no page begins at 'nonsense'"):
        sessions(emptied, cursor="nonsense")
