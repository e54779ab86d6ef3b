"""Questions in one call, for people and for the agent itself: what happened, and what it cost.

They find the store of the settings, and see what this process logged before.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from os import PathLike
from pathlib import Path

import msgspec

from eventbus.activity import lines_beyond
from eventbus.bus import EventBus
from eventbus.clock import utc_now
from eventbus.kinds import KindFilter, Kinds
from eventbus.outlet import bus_in_use, wait_until_written
from eventbus.settings import OWN_LANE, SHARED_LANE
from eventbus.standby import standby
from eventbus.store.cursors import read_cursor
from eventbus.store.engine import Reader
from eventbus.store.events import landed_ids
from eventbus.store.opening import open_store, store_is_there
from eventbus.store.pages import Page
from eventbus.store.search import Found, search
from eventbus.store.summary import By, Summary, summary
from eventbus.store.usage import Grouping, Totals, UsageEntry, usage
from eventbus.stored_log import where_store

__all__ = ["CostSummary", "cost_summary", "log_search", "log_summary"]

LANDED_SECONDS = 2.0
"""How long a question waits for what was logged before it to land."""
ELSEWHERE_SECONDS = 0.5
"""How long where no lane of this process lands it."""
LOOK_SECONDS = 0.01
FOUND_MOST = 200
MESSAGE_MOST = 2_000
"""Characters of a message that are told."""
DAY = timedelta(days=1)

State = str | PathLike[str] | None


def log_search(
    text: str = "",
    *,
    kinds: Kinds = None,
    since: datetime | None = None,
    until: datetime | None = None,
    session: str | None = None,
    component: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
    state: State = None,
    store: str | Reader | None = None,
) -> Page[Found]:
    """Events that hold every word, newest first; with no words, all of them.

    Any text is a question: `"two words"` in quotes stand together, `word*` is
    a beginning. `since` is inclusive, `until` exclusive; naive ones are local.
    At most 200 are told, long messages cut; `page.next` is the cursor of more.
    """
    with _asked(state, store) as reader:
        page = search(
            reader,
            text,
            kinds=kinds,
            since=since,
            until=until,
            session=session,
            component=component,
            limit=min(limit, FOUND_MOST),
            cursor=cursor,
        )
    return Page([_cut(found) for found in page.items], page.next, page.previous)


def _cut(found: Found) -> Found:
    if len(found.message) <= MESSAGE_MOST:
        return found
    return msgspec.structs.replace(found, message=f"{found.message[:MESSAGE_MOST]}…")


def log_summary(
    since: datetime | None = None,
    by: By = "kind",
    *,
    until: datetime | None = None,
    limit: int = 50,
    state: State = None,
    store: str | Reader | None = None,
) -> Summary:
    """Counts of events, errors and what was spent since when, by default the last 24 hours.

    `by` is `kind`, `topic`, `component`, `source`, `session`, `day` or `hour`;
    by day or hour, what each component spent is told for each.
    """
    since = utc_now() - DAY if since is None else since
    with _asked(state, store) as reader:
        return summary(reader, since=since, until=until, by=by, limit=limit)


class CostSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was used and spent, and how it is made up."""

    by: Grouping
    start: str | None
    end: str | None
    """The UTC days asked for, both included."""
    totals: Totals
    entries: list[UsageEntry]
    left_out: int
    """Entries that have no room here; the totals have them."""


def cost_summary(
    by: Grouping = "component",
    *,
    start: date | None = None,
    end: date | None = None,
    user: str | None = None,
    component: str | None = None,
    model: str | None = None,
    session: str | None = None,
    limit: int = 50,
    state: State = None,
    store: str | Reader | None = None,
) -> CostSummary:
    """What model calls used and cost from one UTC day to another, both included.

    `by` is `component`, `model`, `user`, `session`, `day` or `hour`. Days and
    hours come in order, the latest where there are too many; all else the
    dearest first.
    """
    with _asked(state, store) as reader:
        answer = usage(
            reader,
            by=by,
            start=start,
            end=end,
            user=user,
            component=component,
            model=model,
            session=session,
        )
    limit = max(1, min(limit, FOUND_MOST))
    entries = answer.entries[-limit:] if by in ("day", "hour") else answer.entries[:limit]
    return CostSummary(
        by=by,
        start=start.isoformat() if start is not None else None,
        end=end.isoformat() if end is not None else None,
        totals=answer.totals,
        entries=entries,
        left_out=len(answer.entries) - len(entries),
    )


# --- the store that is asked ---------------------------------------------------------


@contextmanager
def _asked(state: State, store: str | Reader | None) -> Iterator[Reader]:
    """The store, with what this process logged before."""
    if store is not None and not isinstance(store, str):
        yield store
        return
    standby.wait_until_started()
    bus = bus_in_use()
    here = _state_of(state, bus)
    where = store if store is not None else where_store(here)
    if bus is not None and bus.state == here:
        _wait_until_landed(bus, here, where)
    with open_store(where) as reader:
        yield reader


def _state_of(state: State, bus: EventBus | None) -> Path:
    """The state directory: the one that is named, the bus's, or the one of the settings."""
    if state is not None:
        return Path(state).absolute()
    if bus is not None and bus.state is not None:
        return bus.state
    from eventbus.settings import load_settings  # only whoever has no bus needs it

    return load_settings().state


def _wait_until_landed(bus: EventBus, state: Path, where: str) -> None:
    """Wait, not for long, until the store has what this process logged.

    The lane that lands it may be another process's, or nobody's.
    """
    wait_until_written(bus)
    lane = SHARED_LANE if "://" in where else OWN_LANE
    is_here = bus.is_open and lane in bus.statistics().lanes
    until = time.monotonic() + (LANDED_SECONDS if is_here else ELSEWHERE_SECONDS)
    last: str | None = None
    while (is_there := store_is_there(where)) or is_here:
        if is_there:
            with open_store(where) as reader:
                last = last or _last_beyond(reader, lane, bus, state, until)
                if last is None or landed_ids(reader, [last]):
                    return
        if time.monotonic() > until:
            return
        time.sleep(LOOK_SECONDS)


def _last_beyond(reader: Reader, lane: str, bus: EventBus, state: Path, until: float) -> str | None:
    """The last event of this process that had not landed, as far as there is time to look."""
    beyond = lines_beyond(
        state,
        read_cursor(reader, lane),
        since=None,
        kinds=KindFilter(),
        writer=bus.writer_id,
    )
    last = None
    for id, _ in beyond:
        last = id
        if time.monotonic() > until:
            break
    return last
