"""How SQLite goes about the questions: by an index, never through a whole table."""

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from eventbus.events.log import LogLine
from eventbus.store.changes import file_changes, files_changed, last_change
from eventbus.store.dispatches import dispatches
from eventbus.store.engine import Reader, Row, Values
from eventbus.store.errors import errors, errors_by
from eventbus.store.events import landed_between
from eventbus.store.export import export_events
from eventbus.store.flat_log import logged_rows
from eventbus.store.ingested import ingested_files, unparsed_between
from eventbus.store.lineage import Chain
from eventbus.store.messages import messages
from eventbus.store.migrations import migrate
from eventbus.store.openings import openings
from eventbus.store.retrace import retrace
from eventbus.store.savings import savings
from eventbus.store.sessions import session, sessions
from eventbus.store.snapshots import restore, saves, snapshot, snapshots
from eventbus.store.spawns import spawns
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from eventbus.store.summary import summary
from eventbus.store.tasks import routes, task, tasks
from eventbus.store.timeline import entry, timeline, timeline_around
from eventbus.store.traces import open_traces, trace, traces
from tests.store.given import at, land_each
from tests.store.test_order import KINDS

LINE = b"2024-12-19T14:30:00.001Z|a:b|x|no end"


class Asked:
    """A reader that remembers what it was asked."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.dialect = reader, reader.dialect
        self.questions: list[tuple[str, Values]] = []

    def rows(self, question: str, values: Values = ()) -> list[Row]:
        self.questions.append((question, values))
        return self.reader.rows(question, values)

    def row(self, question: str, values: Values = ()) -> Row | None:
        self.questions.append((question, values))
        return self.reader.row(question, values)

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteWriter]:
    """A store with some of everything in it."""
    writer = SqliteWriter(tmp_path_factory.mktemp("plans") / FILE_NAME)
    migrate(writer)
    random = Random(1)
    land_each(writer, *(make(random) for make in KINDS * 3))
    land_each(writer, LogLine(event_type="a:b", id=Chain().ids([LINE])[0], raw=LINE))
    yield writer
    writer.close()


def plans_of(writer: SqliteWriter, ask: Callable[[Reader], Any]) -> list[str]:
    """What SQLite says it does for every question that was asked, and for the next page's."""
    asked = Asked(writer)
    ask(asked)
    assert asked.questions
    return [
        row[3]
        for question, values in asked.questions
        for row in writer.rows(f"EXPLAIN QUERY PLAN {question}", values)
    ]


def both_ways(ask: Callable[..., Any], **asked: Any) -> Callable[[Reader], None]:
    """The first page, the next, and back."""

    def walk(store: Reader) -> None:
        page = ask(store, limit=1, **asked)
        if page.next is not None:
            ask(store, limit=1, cursor=page.next, **asked)
            second = ask(store, limit=1, cursor=page.next, **asked)
            ask(store, limit=1, cursor=second.previous, **asked)

    return walk


def landed_line(store: Reader) -> str:
    """The id of an ingested line."""
    row = store.row("SELECT max(event_id) FROM events WHERE event_id >= 'in-' AND event_id < 'in.'")
    assert row is not None
    return str(row[0])


EVENT_ID = "SELECT event_id FROM events WHERE session_id = 's1'"
MOMENT = {"since": at(-9), "until": at(9)}

WALKS: dict[str, Callable[[Reader], Any]] = {
    "sessions": both_ways(sessions),
    "sessions of a time": both_ways(sessions, **MOMENT),
    "session": lambda store: session(store, "s1"),
    "openings": both_ways(openings),
    "openings of a chat": both_ways(openings, chat_id="c1"),
    "openings of a session": both_ways(openings, session_id="s1"),
    "traces": both_ways(traces),
    "traces of a chat": both_ways(traces, chat_id="c1"),
    "traces of a session": both_ways(traces, session_id="s1"),
    "trace": lambda store: trace(store, "t1"),
    "open traces of a session": both_ways(open_traces, session_id="s1"),
    "tasks": both_ways(tasks, **MOMENT),
    "tasks of a session": both_ways(tasks, session_id="s1"),
    "tasks of a model": both_ways(tasks, model="m1"),
    "task": lambda store: task(store, "k1"),
    "routes": lambda store: routes(store, "k1"),
    "snapshot": lambda store: snapshot(store, "c1"),
    "snapshots": both_ways(snapshots),
    "saves": both_ways(saves, chat_id="c1"),
    "changes": both_ways(file_changes, **MOMENT),
    "changes of a path": both_ways(file_changes, path="a"),
    "changes of a session": both_ways(file_changes, session_id="s1"),
    "changes of a tool call": both_ways(file_changes, trace="t1"),
    "last change": lambda store: last_change(store, "a"),
    "files changed": both_ways(files_changed),
    "errors": both_ways(errors, **MOMENT),
    "errors of a session": both_ways(errors, session_id="s1"),
    "alike errors of a page": both_ways(errors, component="brain", type="KeyError"),
    "dispatches": both_ways(dispatches, **MOMENT),
    "dispatches of a conversation": both_ways(dispatches, conversation_id="c1"),
    "dispatches of a session": both_ways(dispatches, session_id="s1"),
    "messages": both_ways(messages, **MOMENT),
    "messages of a channel": both_ways(messages, channel="tg"),
    "messages of a chat": both_ways(messages, chat_id="c1"),
    "messages of a session": both_ways(messages, session_id="s1"),
    "spawns": both_ways(spawns, **MOMENT),
    "spawns of a session": both_ways(spawns, session_id="s1"),
    "timeline": both_ways(timeline, session_id="s1"),
    "timeline of exact kinds": both_ways(
        timeline, session_id="s1", kinds=("tool:start", "error:io")
    ),
    "flat log": lambda store: list(logged_rows(store, since=at(0), kinds=None, most=None)),
    "flat log of some kinds": lambda store: list(
        logged_rows(store, since=None, kinds=("error:*", "*:start"), most=2)
    ),
    "export": lambda store: list(export_events(store)),
    "export of some kinds": lambda store: list(export_events(store, kinds=("error:*", "a:b"))),
    "export of one kind": lambda store: list(export_events(store, kinds="error:io")),
    "export of a session": lambda store: list(export_events(store, session="s1")),
    "export of an ingested file": lambda store: list(retrace(store, landed_line(store))),
    "ingested files": lambda store: ingested_files(store, path="/x"),
    "what landed of a file": lambda store: landed_between(store, "in-0", "in-1"),
    "what was unparsed of a file": lambda store: unparsed_between(store, "in-0", "in-1"),
    "timeline of one kind": both_ways(timeline, session_id="s1", kinds=("file:write",)),
}
"""Questions that go along an index in the order of their answer."""

SUMS: dict[str, Callable[[Reader], Any]] = {
    "savings of a time": lambda store: savings(store, **MOMENT),
    "savings by session": lambda store: savings(store, "session", session_id="s1"),
    "summary by kind": lambda store: summary(store, since=at(0)),
    "summary by topic": lambda store: summary(store, since=at(0), by="topic"),
    "summary by component": lambda store: summary(store, since=at(0), by="component"),
    "summary by hour": lambda store: summary(store, by="hour", **MOMENT),
    "errors by": lambda store: errors_by(store, **MOMENT),
}
"""Questions that look at every row of a time, and so have to sort what they make of them."""


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_goes_along_an_index(writer: SqliteWriter, name: str) -> None:
    plans = plans_of(writer, WALKS[name])

    assert [plan for plan in plans if re.match(r"SCAN (?!\w+ USING )", plan)] == []
    assert [plan for plan in plans if "TEMP B-TREE FOR ORDER BY" in plan] == []
    assert [plan for plan in plans if plan.startswith("SCAN events")] == []


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_looks_at_no_row_it_need_not(writer: SqliteWriter, name: str) -> None:
    plans = plans_of(writer, SUMS[name])

    assert [plan for plan in plans if plan.startswith("SCAN")] == []


def test_open_traces_of_all_sessions_are_sorted_and_no_others(writer: SqliteWriter) -> None:
    plans = plans_of(writer, both_ways(open_traces))

    assert [plan for plan in plans if "SCAN" in plan and "idx_tool_traces_open" not in plan] == []


@pytest.mark.parametrize("ask", [timeline_around, entry], ids=lambda ask: ask.__name__)
def test_an_event_is_found_by_its_id(writer: SqliteWriter, ask: Callable[..., Any]) -> None:
    ((event_id, *_), *_) = writer.rows(EVENT_ID)

    plans = plans_of(writer, lambda store: ask(store, event_id))

    assert [plan for plan in plans if plan.startswith("SCAN")] == []


def test_an_earlier_save_is_found_by_its_event(writer: SqliteWriter) -> None:
    chat_id, event_id = writer.rows("SELECT chat_id, event_id FROM snapshot_saves")[0]

    plans = plans_of(
        writer, lambda store: restore(store, lambda _: None, chat_id, event_id=event_id)
    )

    assert [plan for plan in plans if plan.startswith("SCAN")] == []
