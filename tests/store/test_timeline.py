"""A session's timeline: in order, walked both ways, found by an event."""

from typing import Any

import pytest

from eventbus import Event, Scope
from eventbus.events import (
    AgentSpawned,
    ChannelMessage,
    CommandFinished,
    DispatchError,
    DispatchFinished,
    ErrorRaised,
    FileWritten,
    LogLine,
    ModelAnswered,
    ModelFailed,
    SessionResumed,
    SnapshotSaved,
    StateRead,
    TaskFinished,
    ToolErrored,
    ToolFinished,
    ToolStarted,
    TurnTaken,
    Usage,
)
from eventbus.store.engine import Writer
from eventbus.store.timeline import entry, timeline, timeline_around
from tests.store.given import S1, at, land_each, walk_through


def wrote(number: int, seconds: float, **fields: Any) -> FileWritten:
    return FileWritten(path=f"f{number}", ts=at(seconds), **{"scope": S1, **fields})


def titles(entries: list[Any]) -> list[str]:
    return [each.title for each in entries]


def test_an_entry_is_the_event_with_a_line_for_people(emptied: Writer) -> None:
    event = wrote(1, 0, size_bytes=3)
    land_each(emptied, event)

    (shown,) = timeline(emptied, "s1").items

    assert (shown.id, shown.ts, shown.kind) == (event.id, "2026-01-02T03:04:05.000Z", "file:write")
    assert (shown.title, shown.component, shown.is_whole) == ("wrote f1", "brain", True)
    assert (shown.details["path"], shown.details["size_bytes"]) == ("f1", 3)


ARGV = ("make", "check")
USED = Usage(input_uncached=10, cache_read=5, output_visible=3, reasoning=1)


@pytest.mark.parametrize(
    ("event", "title"),
    [
        (TurnTaken(turns=3, duration_ms=20.4), "turn 3 in 20 ms"),
        (
            ChannelMessage(direction="in", channel="tg", user="ann", preview="hi\nthere"),
            "in tg ann: hi there",
        ),
        (ToolStarted(trace="t", name="look"), "look began"),
        (
            ToolFinished(trace="t", name="look", outcome="error", error="no", latency_ms=5),
            "look error in 5 ms - no",
        ),
        (
            ModelAnswered(model="m", usage=USED, latency_ms=9),
            "m answered in 9 ms 15 tokens in, 4 out",
        ),
        (ModelAnswered(model="m"), "m answered"),
        (ModelFailed(model="m", error="busy"), "m failed - busy"),
        (
            DispatchFinished(model="m", status="error", error=DispatchError(name="E", message="x")),
            "dispatch error m - x",
        ),
        (
            TaskFinished(task="k", source="manual", model="m", routing="local"),
            "task by m (local)",
        ),
        (ErrorRaised(type="KeyError", message="k"), "KeyError: k"),
        (ToolErrored(type="KeyError", message="k", tool="look"), "look raised KeyError: k"),
        (AgentSpawned(agent="scout"), "scout started"),
        (CommandFinished(argv=ARGV, exit=2), "make check - exit 2"),
        (CommandFinished(argv=ARGV, timed_out=True), "make check - timed out"),
        (SnapshotSaved(chat_id="c1", turn_number=4), "saved at turn 4"),
        (SessionResumed(chat_id="c1", turn_number=4), "went on from turn 4"),
        (LogLine(event_type="error:io", message="gone"), "error:io gone"),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_a_title_says_what_happened(emptied: Writer, event: Event, title: str) -> None:
    land_each(emptied, type(event)(**{**fields_of(event), "scope": S1}))

    assert titles(timeline(emptied, "s1").items) == [title]


def fields_of(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_a_long_title_is_cut(emptied: Writer) -> None:
    land_each(emptied, ErrorRaised(type="E", message="x" * 999, scope=S1))

    (title,) = titles(timeline(emptied, "s1").items)
    assert len(title) == 160
    assert title.endswith("x…")


def test_a_timeline_is_in_order_and_walked_both_ways(emptied: Writer) -> None:
    for number in (3, 0, 4, 2, 1):
        land_each(emptied, wrote(number, number))
        land_each(emptied, wrote(9, number, scope=Scope(session="s2")))

    found = walk_through(timeline, emptied, session_id="s1")

    assert titles(found) == [f"wrote f{number}" for number in range(5)]


def test_pages_are_full_whatever_is_left_out(emptied: Writer) -> None:
    for number in range(6):
        land_each(emptied, StateRead(ts=at(number), scope=S1), wrote(number, number))

    page = timeline(emptied, "s1", limit=4)

    assert titles(page.items) == ["wrote f0", "wrote f1", "wrote f2", "wrote f3"]


def test_kinds_are_exact_or_of_a_topic_or_all(emptied: Writer) -> None:
    land_each(
        emptied,
        StateRead(ts=at(0), scope=S1),
        wrote(1, 1),
        ToolStarted(trace="t", name="look", ts=at(2), scope=S1),
        ToolFinished(trace="t", ts=at(3), scope=S1),
    )

    def kinds(*wanted: str) -> list[str]:
        return [each.kind for each in timeline(emptied, "s1", kinds=wanted).items]

    assert kinds("tool:finish") == ["tool:finish"]
    assert kinds("tool:*", "file:write") == ["file:write", "tool:start", "tool:finish"]
    assert kinds("*") == ["state:read", "file:write", "tool:start", "tool:finish"]
    assert kinds() == []


def test_an_event_that_lands_late_breaks_no_walk(emptied: Writer) -> None:
    for number in range(4):
        land_each(emptied, wrote(number, number))
    page = timeline(emptied, "s1", limit=2)

    land_each(emptied, wrote(8, 0.5), wrote(9, 2.5))
    rest = timeline(emptied, "s1", cursor=page.next)
    again = timeline(emptied, "s1", limit=10, cursor=rest.previous)

    assert titles(rest.items) == ["wrote f2", "wrote f9", "wrote f3"]
    assert titles(again.items) == ["wrote f0", "wrote f8", "wrote f1"]


def test_the_page_that_holds_an_event_goes_on_both_ways(emptied: Writer) -> None:
    events = [wrote(number, number // 2) for number in range(9)]
    land_each(emptied, *events)

    page = timeline_around(emptied, events[4].id, limit=4)

    assert page is not None
    assert titles(page.items) == ["wrote f2", "wrote f3", "wrote f4", "wrote f5"]
    before = timeline(emptied, "s1", limit=2, cursor=page.previous)
    after = timeline(emptied, "s1", limit=2, cursor=page.next)
    assert titles(before.items) == ["wrote f0", "wrote f1"]
    assert titles(after.items) == ["wrote f6", "wrote f7"]


def test_the_page_of_the_first_event_has_none_before(emptied: Writer) -> None:
    events = [wrote(number, number) for number in range(3)]
    land_each(emptied, *events, wrote(9, 0, scope=Scope()))

    page = timeline_around(emptied, events[0].id)

    assert page is not None
    assert titles(page.items) == ["wrote f0", "wrote f1", "wrote f2"]
    assert (page.previous, page.next) == (None, None)


def test_an_event_that_no_session_has_is_on_no_page(emptied: Writer) -> None:
    homeless = wrote(9, 0, scope=Scope())
    land_each(emptied, homeless)

    assert timeline_around(emptied, homeless.id) is None
    assert timeline_around(emptied, "nowhere") is None


def test_details_too_large_for_a_page_are_asked_for_alone(emptied: Writer) -> None:
    event = SnapshotSaved(chat_id="c1", turn_number=1, state="x" * 70_000, scope=S1)
    land_each(emptied, event)

    (shown,) = timeline(emptied, "s1").items
    whole = entry(emptied, event.id)

    assert (shown.details, shown.is_whole) == (None, False)
    assert len(shown.title) <= 160
    assert whole is not None
    assert (whole.is_whole, len(whole.details["state"])) == (True, 70_000)
    assert entry(emptied, "nowhere") is None
