"""Questions to a store of some size, each asked many times."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter

from benchmarks.figures import percentile
from benchmarks.sample import answered_at, mixed_at
from eventbus.event import Event, encode
from eventbus.events.llm import ModelAnswered
from eventbus.sink import Batch
from eventbus.store import usage as usage_topic
from eventbus.store.landing import land, tend
from eventbus.store.migrations import migrate
from eventbus.store.opening import open_store
from eventbus.store.search import fill_index, search
from eventbus.store.sqlite import SqliteWriter
from eventbus.store.timeline import timeline
from eventbus.store.traces import traces
from eventbus.store.usage import usage

__all__ = ["asked", "used"]

BATCH = 1_000
TIMES = 41
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
RARE = "quetzalcoatl"
SESSIONS = 50


def used(directory: Path, *, events: int) -> dict[str, float]:
    """A month's model calls, so many of them, in the totals; usage asked by user and by day."""
    writer = _writer(directory)
    calls = (_call(number, events) for number in range(events))
    while part := list(islice(calls, 20 * BATCH)):
        with writer.transaction():
            usage_topic.land(writer, list[Event](part))
    writer.close()
    with open_store(directory) as store:
        return {
            "by_day_s": _middle(lambda: usage(store, by="day")),
            "by_user_s": _middle(lambda: usage(store, by="user")),
            "one_user_s": _middle(lambda: usage(store, by="day", user="user-3")),
        }


def _call(number: int, of: int) -> ModelAnswered:
    return answered_at(number, FIRST + timedelta(days=DAYS) * (number / of))


def asked(directory: Path, *, events: int) -> dict[str, float]:
    """A mix of so many events; a rare word, the last pages of a session and its traces."""
    writer = _writer(directory)
    made = _mix(events)
    while part := list(islice(made, BATCH)):
        land(writer, Batch(lines=[encode(event) for event in part]), lane="sqlite")
    while fill_index(writer):
        pass
    tend(writer)
    writer.close()
    with open_store(directory) as store:
        assert len(search(store, RARE).items) == 3
        return {
            "rare_s": _middle(lambda: search(store, RARE)),
            "common_s": _middle(lambda: search(store, "report")),
            "page_s": _middle(lambda: timeline(store, "session-7", limit=50)),
            "traces_s": _middle(lambda: traces(store, chat_id="chat-7", limit=20)),
            "newest_s": _middle(lambda: search(store, session="session-7", limit=50)),
        }


def _mix(events: int) -> Iterator[Event]:
    rare = {part - part % 10 + 7 for part in (events // 5, events // 2, events - 10)}
    for number in range(events):
        at = FIRST + timedelta(days=DAYS) * (number / events)
        session = number * SESSIONS // events
        yield mixed_at(number, at, session=session, word=RARE if number in rare else "report")


def _writer(directory: Path) -> SqliteWriter:
    writer = SqliteWriter(directory / "store.db")
    migrate(writer)
    return writer


def _middle(ask: Callable[[], object]) -> float:
    """The median of many; the first few warm the cache, as a page that is looked at does."""
    took = []
    for _ in range(TIMES):
        began = perf_counter()
        ask()
        took.append(perf_counter() - began)
    return percentile(took[5:], 0.5)
