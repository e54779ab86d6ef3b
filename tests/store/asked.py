"""Every question there is, asked of a store with some of everything in it."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, get_args

import anyio
import pytest

from eventbus import Scope
from eventbus.disk import SYSTEM_DISK
from eventbus.event import encode
from eventbus.events import LogLine, SnapshotDiscarded, SnapshotSaved, TaskFinished, ToolStarted
from eventbus.sealing.choosing import Choice
from eventbus.sink import Batch, Place
from eventbus.store import doctor
from eventbus.store import search as search_module
from eventbus.store.changes import (
    changes_of_call,
    changes_told,
    file_changes,
    files_changed,
    files_told,
    last_change,
)
from eventbus.store.comparing import Compared, _compare
from eventbus.store.cursors import main_cursor, read_cursor
from eventbus.store.dispatches import dispatches
from eventbus.store.engine import Reader, Row, Values, Writer
from eventbus.store.erasing import _rows_of as _rows_to_erase
from eventbus.store.erasing import _tasks_of, chosen_ids, texts_of
from eventbus.store.errors import errors, errors_by
from eventbus.store.events import landed_between, landed_ids, moment_of_row
from eventbus.store.export import export_events, export_ingested
from eventbus.store.flat_log import logged_rows
from eventbus.store.ingest import ingest_file
from eventbus.store.ingested import ingested_files, is_recorded, unparsed_between
from eventbus.store.landing import land, lined_of
from eventbus.store.messages import messages
from eventbus.store.migrations import check_version
from eventbus.store.openings import openings
from eventbus.store.rebuild import _rows_of
from eventbus.store.retrace import last_of_file
from eventbus.store.savings import SavedBy, savings
from eventbus.store.search import fill_index, search
from eventbus.store.sessions import session, sessions
from eventbus.store.snapshots import discard_snapshot, restore, saves, snapshot, snapshots
from eventbus.store.spawns import spawns
from eventbus.store.summary import By, summary
from eventbus.store.tasks import rate_task, routes, task, tasks
from eventbus.store.timeline import entry, timeline, timeline_around
from eventbus.store.traces import open_traces, trace, traces, update_trace
from eventbus.store.usage import Grouping, spent, spent_by_day, usage
from tests.store.given import at, land_each
from tests.store.landing_at_once import Landing
from tests.store.test_order import KINDS

Ask = Callable[[Reader], Any]
MOMENT = {"since": at(-9), "until": at(9)}
DAY = at(0).date()
USAGE_WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"start": DAY},
    {"start": DAY, "end": DAY},
    {"user": "ann"},
    {"component": "brain"},
    {"model": "m1", "start": DAY},
    {"session": "s1"},
)
SAVINGS_WISHES: tuple[dict[str, Any], ...] = ({}, MOMENT, {"session_id": "s1"}, {"model": "m1"})
SUMMARY_WISHES: tuple[dict[str, Any], ...] = ({"since": at(-9)}, MOMENT)
LINES = [encode(LogLine(event_type="a:b", source="x", message="red"))]
HOME = Path("set by the test")
"""Where the store is, and what was ingested."""


class Asked:
    """A reader, or a writer, that remembers what it was asked."""

    def __init__(self, asked: Any) -> None:
        self._asked = asked
        self.questions: dict[str, Values] = {}

    def rows(self, question: str, values: Values = ()) -> list[Row]:
        self.questions[question] = values
        rows: list[Row] = self._asked.rows(question, values)
        return rows

    def row(self, question: str, values: Values = ()) -> Row | None:
        self.questions[question] = values
        row: Row | None = self._asked.row(question, values)
        return row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._asked, name)


def both_ways(ask: Callable[..., Any], **asked: Any) -> Ask:
    """The first page, the next, and back."""

    def walk(store: Reader) -> None:
        page = ask(store, limit=1, **asked)
        if page.next is not None:
            second = ask(store, limit=1, cursor=page.next, **asked)
            ask(store, limit=1, cursor=second.previous, **asked)

    return walk


def each(ask: Callable[..., Any], *wishes: dict[str, Any]) -> Ask:
    """The same question with each of these wishes."""
    return lambda store: [ask(store, **wish) for wish in wishes]


def pages(ask: Callable[..., Any], **asked: Any) -> Ask:
    """The first page and the next."""

    def walk(store: Reader) -> None:
        page = ask(store, limit=1, **asked)
        if page.next is not None:
            ask(store, limit=1, cursor=page.next, **asked)

    return walk


def among_many(ask: Ask) -> Ask:
    """The same as it is asked where very many events have the words."""

    def as_if(store: Reader) -> None:
        for many in (0, search_module.MANY):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(search_module, "FEW", 0)
                patch.setattr(search_module, "TRIED_FOR_WORDS", 1)
                patch.setattr(search_module, "MANY", many)
                ask(store)

    return as_if


def nobody(_: object) -> None:
    """Takes what a question emits or tells."""


def first_of(store: Reader, columns: str, **wanted: str) -> str:
    where = " AND ".join(f"{column} = ?" for column in wanted)
    return found_in(store, f"{columns} WHERE {where}", *wanted.values())


def an_event(store: Reader) -> str:
    return first_of(store, "event_id FROM events", session_id="s1")


def the_file(store: Reader) -> str:
    return found_in(store, "path FROM ingested_files")


def of_a_file(store: Reader) -> str:
    return found_in(store, "file FROM ingested_files")


def found_in(store: Reader, what: str, *values: str) -> str:
    """What a question is about; asked for past the one that remembers."""
    reader = store._asked if isinstance(store, Asked) else store
    row = reader.row(f"SELECT {what}", values)
    return str(row[0])


# --- what is in the store ------------------------------------------------------------

INGESTED = "shop.log"
HERE = Scope(session="s1", chat="c1")


def fill(writer: Writer, directory: Path) -> None:
    """Land some of everything, a foreign log among it, and index half of its words."""
    random = Random(1)
    land_each(writer, *(make(random) for make in KINDS * 3))
    fill_index(writer)
    land_each(writer, *(make(random) for make in KINDS))
    known = TaskFinished(task="known", source="manual", model="m", routing="local", scope=HERE)
    open_ones = [ToolStarted(trace=trace, name="look", scope=HERE) for trace in ("open", "too")]
    land_each(writer, known, *open_ones)
    saves = [
        SnapshotSaved(chat_id=chat, turn_number=turn, state=1, scope=HERE)
        for chat in ("c1", "c3")
        for turn in (8, 9)
    ]
    land_each(writer, *saves)
    land_each(writer, SnapshotDiscarded(chat_id="c2"), LogLine(event_type="a:b", message="red tea"))
    land(writer, Batch(events=[known], cursor={"w": Place("s", 9)}), lane="sqlite")
    file = directory / INGESTED
    file.write_bytes(b"2026-01-02T03:04:05Z|shop:open|till|n=1\nno line at all\n")
    os.utime(file, (0, 0))
    anyio.run(_ingest, writer, file)


def batches() -> list[Batch]:
    """More of everything, to be landed; some of it twice."""
    random = Random(2)
    made = [Batch(events=[make(random) for _ in range(3)]) for make in KINDS]
    return [*made, made[0]]


async def _ingest(writer: Writer, file: Path) -> None:
    await ingest_file(file, emit=Landing(writer), store=writer)


async def _ingest_again(store: Reader) -> None:
    async def emit(events: Any, *, until: str) -> None:
        """Nothing is new."""

    await ingest_file(HOME / INGESTED, emit=emit, store=store, progress=nobody)


# --- the questions -------------------------------------------------------------------

WALKS: dict[str, Ask] = {
    "sessions": both_ways(sessions),
    "sessions of a time": both_ways(sessions, **MOMENT),
    "sessions by what they are": both_ways(sessions, cli_tool="a", persona="b", user="ann"),
    "session": lambda store: session(store, "s1"),
    "openings": both_ways(openings),
    "openings of a chat": both_ways(openings, chat_id="c1"),
    "openings of a session": both_ways(openings, session_id="s1"),
    "traces": both_ways(traces),
    "traces of a chat": both_ways(traces, chat_id="c1"),
    "traces of a session": both_ways(traces, session_id="s1"),
    "trace": lambda store: trace(store, "t1"),
    "an update of a trace": lambda store: update_trace(store, nobody, "open", error="no"),
    "open traces of a session": both_ways(open_traces, session_id="s1"),
    "tasks": both_ways(tasks, **MOMENT),
    "tasks of a session": both_ways(tasks, session_id="s1"),
    "tasks of a model": both_ways(tasks, model="m1"),
    "tasks by what they are": both_ways(tasks, source="manual", routing="local"),
    "task": lambda store: task(store, "k1"),
    "a rating": lambda store: rate_task(store, nobody, "known", 1),
    "routes": lambda store: routes(store, "k1"),
    "snapshot": lambda store: snapshot(store, "c1"),
    "snapshots": both_ways(snapshots),
    "saves": both_ways(saves, chat_id="c1"),
    "saves after a discard": both_ways(saves, chat_id="c2"),
    "restoring": lambda store: restore(store, nobody, "c1", session_id="s9"),
    "restoring an earlier save": lambda store: restore(
        store, nobody, "c1", event_id=first_of(store, "event_id FROM snapshot_saves", chat_id="c1")
    ),
    "discarding": lambda store: discard_snapshot(store, nobody, "c1"),
    "changes": both_ways(file_changes, **MOMENT),
    "changes of a path": both_ways(file_changes, path="a"),
    "changes of a session": both_ways(file_changes, session_id="s1"),
    "changes of a tool call": both_ways(file_changes, trace="t1"),
    "changes by an actor": both_ways(file_changes, actor="ambiguous"),
    "changes by nobody known": both_ways(file_changes, actor="unknown"),
    "changes in a directory": both_ways(file_changes, below="src"),
    "changes like a pattern": both_ways(file_changes, like="src/*.py", **MOMENT),
    "changes told": both_ways(changes_told, **MOMENT),
    "changes told of a path": both_ways(changes_told, path="a"),
    "changes told by an actor": both_ways(changes_told, actor="ambiguous", session_id="s1"),
    "changes told of a tool call": both_ways(changes_told, trace="t1"),
    "changes told in a directory": both_ways(changes_told, below="src", like="src/*.py"),
    "changes of a tool call and perhaps": lambda store: changes_of_call(
        store, traces(store, limit=1).items[0]
    ),
    "files told": both_ways(files_told),
    "files told in a directory": both_ways(files_told, below="src"),
    "files changed in a directory": both_ways(files_changed, below="src"),
    "last change up to then": lambda store: last_change(store, "a", at=at(9)),
    "last change": lambda store: last_change(store, "a"),
    "files changed": both_ways(files_changed),
    "errors": both_ways(errors, **MOMENT),
    "errors of a session": both_ways(errors, session_id="s1"),
    "errors of a component": both_ways(errors, component="brain"),
    "errors of a type": both_ways(errors, type="KeyError"),
    "alike errors": both_ways(errors, component="brain", type="KeyError"),
    "dispatches": both_ways(dispatches, **MOMENT),
    "dispatches of a conversation": both_ways(dispatches, conversation_id="c1"),
    "dispatches by how they went": both_ways(dispatches, status="error"),
    "dispatches of a session": both_ways(dispatches, session_id="s1"),
    "messages": both_ways(messages, **MOMENT),
    "messages of a channel": both_ways(messages, channel="tg"),
    "messages of a chat": both_ways(messages, chat_id="c1"),
    "messages of a user": both_ways(messages, user="ann"),
    "messages of a session": both_ways(messages, session_id="s1"),
    "spawns": both_ways(spawns, **MOMENT),
    "spawns of a parent": both_ways(spawns, parent="a"),
    "spawns of a session": both_ways(spawns, session_id="s1"),
    "timeline": both_ways(timeline, session_id="s1"),
    "timeline of exact kinds": both_ways(
        timeline, session_id="s1", kinds=("tool:start", "error:io")
    ),
    "timeline of one kind": both_ways(timeline, session_id="s1", kinds=("file:write",)),
    "timeline of every kind": both_ways(timeline, session_id="s1", kinds=("*",)),
    "timeline around": lambda store: timeline_around(store, an_event(store)),
    "entry": lambda store: entry(store, an_event(store)),
    "search": pages(search),
    "search a time": pages(search, **MOMENT),
    "search a component": pages(search, component="brain"),
    "search a kind": pages(search, kinds="tool:start"),
    "search a topic": pages(search, kinds="tool:*", **MOMENT),
    "search a verb": pages(search, kinds=("*:finish", "file:*"), component="brain"),
    "search a kind nobody has": pages(search, kinds="no:such"),
    "search a session": pages(search, session="s1"),
    "search a session's kinds": pages(search, session="s1", kinds="*:start", component="brain"),
    "search a word": pages(search, text="red"),
    "search a word in all ways": pages(
        search, text="red", kinds="a:*", session="s1", component="x", **MOMENT
    ),
    "search a beginning": pages(search, text="name*"),
    "search a frequent word": among_many(pages(search, text="name*")),
    "search a frequent word of a kind": among_many(pages(search, text="name*", kinds="tool:*")),
    "search a frequent word in a session": among_many(pages(search, text="name*", session="s1")),
    "ids that have landed": lambda store: landed_ids(store, ["a", "b"]),
    "ids between two": lambda store: landed_between(store, "in-a", "in-b"),
    "when an event happened": lambda store: moment_of_row(store, an_event(store)),
    "cursor of a lane": lambda store: read_cursor(store, "sqlite"),
    "cursor of the main lane": main_cursor,
    "whether a file is recorded": lambda store: is_recorded(store, "/x", "y"),
    "lines kept as they are": lambda store: unparsed_between(store, "in-a", "in-z"),
    "ingesting what is there": lambda store: anyio.run(_ingest_again, store),
    "the last line of a file": lambda store: last_of_file(store, of_a_file(store)),
    "ingested files of a path": lambda store: ingested_files(store, path="/x"),
    "an ingested file": lambda store: list(export_ingested(store, the_file(store))),
    "a file with the same content": lambda store: list(export_ingested(store, of_a_file(store))),
    "rows to hold against lines": lambda store: _compare(
        store, lined_of(LINES), Compared(where="")
    ),
    "chosen by session and id": each(
        chosen_ids,
        {"choice": Choice({"session": "s1"})},
        {"choice": Choice({"id": "in-a"})},
    ),
    "flat lines of events": lambda store: texts_of(store, ["in-a", "in-b"]),
    "rows to erase": lambda store: _rows_to_erase(store, ["in-a", "in-b"]),
    "tasks to erase": lambda store: _tasks_of(store, "s1"),
    "the version": check_version,
}
"""Those that go along an index in the order of their answer."""

SUMS: dict[str, Ask] = {
    "usage": each(
        usage, *({"by": by, **wish} for by in get_args(Grouping) for wish in USAGE_WISHES)
    ),
    "spent": each(
        lambda store, user: spent(store, user=user, start=DAY, end=DAY),
        {"user": "ann"},
        {"user": None},
    ),
    "spent by day": lambda store: spent_by_day(store, start=DAY),
    "savings": each(
        savings,
        *({"by": by, **wish} for by in get_args(SavedBy) for wish in SAVINGS_WISHES),
    ),
    "errors by": each(errors_by, MOMENT, {"component": "brain"}, {}),
    "summary": each(
        summary, *({"by": by, **wish} for by in get_args(By) for wish in SUMMARY_WISHES)
    ),
    "open traces of all sessions": both_ways(open_traces),
}
"""Those that look at every row of a time or of the totals, and sort what they make of them."""

PASSES: dict[str, Ask] = {
    "export": each(
        lambda store, **wish: list(export_events(store, **wish)),
        {},
        MOMENT,
        {"kinds": "tool:*"},
        {"kinds": "*:start"},
        {"kinds": "tool:start", **MOMENT},
        {"session": "s1", "kinds": "tool:start"},
    ),
    "the flat log": each(
        lambda store, **wish: list(logged_rows(store, **wish)),
        {"since": None, "kinds": None, "most": None},
        {"since": at(-9), "kinds": "tool:start", "most": 5},
        {"since": None, "kinds": ("*:start", "file:*"), "most": 5},
    ),
    "all ingested files": ingested_files,
    "the doctor": lambda store: doctor._look_at_tables(
        doctor.Examined(engine="sqlite", where=""),
        store,
        HOME,
        doctor.StoreAt(engine="sqlite", lane="sqlite", path=HOME),
        SYSTEM_DISK,
    ),
    "rows of a rebuild": _rows_of,
    "chosen by user and path": each(
        chosen_ids,
        {"choice": Choice({"user": "ann"})},
        {"choice": Choice({"path": "a.py", "user": "ann"})},
    ),
}
"""Those that are for all there is, once, whatever that takes: given out part by part."""
