"""What model calls used and cost: totals kept as events land, and the questions over them.

Totals move on model calls; a dispatch's own figures count only where no call
was recorded inside it. Money is whole billionths of a dollar, so that sums of
many small costs are exact. What is not known is counted, not taken for zero.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal, get_args

import msgspec

from eventbus.errors import SettingsError
from eventbus.event import Event
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.limits import NANOS, in_nanos
from eventbus.store.engine import Reader, Values, Writer
from eventbus.store.topic import Topic, day_of, stamp

__all__ = [
    "COUNTED",
    "TOPIC",
    "Charge",
    "Grouping",
    "Spent",
    "Totals",
    "UsageAnswer",
    "UsageEntry",
    "charge",
    "counts_of",
    "spent",
    "spent_by_day",
    "take_back",
    "usage",
    "whose",
]

Grouping = Literal["day", "model", "user", "component", "session", "hour"]

DOLLARS_MOST = 1_000_000
"""No call costs more: such a figure is a mistake, and counts as not known."""
TOKENS_MOST = 10**12
COUNTED = (
    "calls",
    "dispatches",
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output_visible",
    "reasoning",
    "web_search",
    "web_fetch",
    "cost_nanos",
    "unpriced",
    "partial",
    "estimated",
)
"""Columns that only ever grow."""

_COUNTS = ", ".join(f"{name} {{integer}} NOT NULL DEFAULT 0" for name in COUNTED)

TOPIC_TABLES = (
    f"""CREATE TABLE usage_hourly (
        hour TEXT NOT NULL, user_id TEXT NOT NULL, component TEXT NOT NULL,
        model TEXT NOT NULL, session_id TEXT NOT NULL, {_COUNTS},
        PRIMARY KEY (hour, user_id, component, model, session_id)){{strict}}""",
    "CREATE INDEX idx_usage_hourly_session ON usage_hourly (session_id)",
    f"""CREATE TABLE usage_daily (
        user_id TEXT NOT NULL, day TEXT NOT NULL, component TEXT NOT NULL,
        model TEXT NOT NULL, {_COUNTS},
        PRIMARY KEY (user_id, day, component, model)){{strict}}""",
    "CREATE INDEX idx_usage_daily_day ON usage_daily (day)",
)


# --- landing -------------------------------------------------------------------------

_Key = tuple[str, ...]
_HOURLY: _Key = ("hour", "user_id", "component", "model", "session_id")
_DAILY: _Key = ("user_id", "day", "component", "model")


def land(writer: Writer, events: list[Event]) -> None:
    """Add what these events used to the totals of their hour and day."""
    hourly: dict[_Key, list[int]] = {}
    daily: dict[_Key, list[int]] = {}
    for event in events:
        counts = counts_of(event)
        user, component, model, session = whose(event)
        hour = stamp(event.ts)[:13]
        _add(hourly, (hour, user, component, model, session), counts)
        _add(daily, (user, hour[:10], component, model), counts)
    _grow(writer, "usage_hourly", _HOURLY, hourly)
    _grow(writer, "usage_daily", _DAILY, daily)


def take_back(writer: Writer, events: list[Event]) -> None:
    """Take out of the totals what events that are to be erased had added."""
    for event in events:
        counts = counts_of(event)
        user, component, model, session = whose(event)
        hour = stamp(event.ts)[:13]
        hourly = (hour, user, component, model, session)
        _shrink(writer, "usage_hourly", _HOURLY, hourly, counts)
        _shrink(writer, "usage_daily", _DAILY, (user, hour[:10], component, model), counts)


def _shrink(writer: Writer, table: str, key: _Key, words: _Key, counts: list[int]) -> None:
    where = " AND ".join(f"{name} = ?" for name in key)
    less = ", ".join(f"{name} = {name} - ?" for name in COUNTED)
    writer.run(f"UPDATE {table} SET {less} WHERE {where}", (*counts, *words))
    writer.run(f"DELETE FROM {table} WHERE {where} AND calls = 0 AND dispatches = 0", words)


def _add(totals: dict[_Key, list[int]], key: _Key, counts: list[int]) -> None:
    there = totals.get(key)
    totals[key] = counts if there is None else [a + b for a, b in zip(there, counts, strict=True)]


def _grow(writer: Writer, table: str, key: _Key, totals: dict[_Key, list[int]]) -> None:
    """In the order of the keys: two that land at once in one database then never lock up."""
    grown = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in COUNTED)
    writer.insert(
        f"{table} ({', '.join((*key, *COUNTED))})",
        [(*words, *totals[words]) for words in sorted(totals)],
        then=f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {grown}",
    )


def whose(event: Event) -> tuple[str, str, str, str]:
    """User, component, model and session; empty where it is not said."""
    scope = event.scope
    user, model = scope.user, getattr(event, "model", None)
    if isinstance(event, DispatchFinished):
        user = event.sender_id or user
    return user or "", scope.component or "", model or "", scope.session or ""


def counts_of(event: Event) -> list[int]:
    """In the order of `COUNTED`."""
    if isinstance(event, ModelAnswered):
        is_partial, is_estimated = event.state == "partial", event.state == "estimated"
        return _counts(event.usage, event.cost, calls=1, partial=is_partial, estimated=is_estimated)
    assert isinstance(event, DispatchFinished)
    if event.model_calls or not _has_figures(event):
        return _counts(None, 0, dispatches=1)
    used = Usage(input_uncached=event.tokens_in or 0, output_visible=event.tokens_out or 0)
    return _counts(used, event.cost, dispatches=1)


def _has_figures(event: DispatchFinished) -> bool:
    figures = (event.tokens_in, event.tokens_out, event.cost)
    return any(figure is not None for figure in figures)


def _counts(
    used: Usage | None, cost: float | None, *, calls: int = 0, dispatches: int = 0, **marks: bool
) -> list[int]:
    buckets = msgspec.structs.astuple(used or Usage())
    is_priced = cost is not None and abs(cost) <= DOLLARS_MOST
    return [
        calls,
        dispatches,
        *(max(0, min(bucket, TOKENS_MOST)) for bucket in buckets),
        in_nanos(cost) if is_priced and cost is not None else 0,
        int(not is_priced),
        int(marks.get("partial", False)),
        int(marks.get("estimated", False)),
    ]


TOPIC = Topic(
    name="usage", tables=TOPIC_TABLES, events=(ModelAnswered, DispatchFinished), land=land
)


# --- asking --------------------------------------------------------------------------


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What was used and spent, and how much of it is not known."""

    cost: float = 0.0
    """Dollars, of the calls whose price is known."""
    cost_nanos: int = 0
    """The same in whole billionths."""
    tokens_in: int = 0
    """All input, cached or not."""
    tokens_out: int = 0
    """All output, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    web_searches: int = 0
    web_fetches: int = 0
    calls: int = 0
    dispatches: int = 0
    unpriced: int = 0
    """Calls, and dispatches on their own, that cost something nobody knows."""
    partial: int = 0
    """Calls whose stream was cut short: they used at least this."""
    estimated: int = 0
    """Calls whose usage is a guess."""


class UsageEntry(Totals, frozen=True, kw_only=True):
    """The totals of one day, model, user, component, session or hour."""

    key: str
    """Empty where an event did not say."""


class UsageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Totals, and what they are made of."""

    by: Grouping
    totals: Totals
    entries: list[UsageEntry]


_COLUMN_OF: dict[str, tuple[str, str]] = {
    "day": ("usage_daily", "day"),
    "model": ("usage_daily", "model"),
    "user": ("usage_daily", "user_id"),
    "component": ("usage_daily", "component"),
    "session": ("usage_hourly", "session_id"),
    "hour": ("usage_hourly", "hour"),
}
ENTRIES_MOST = 10_000

_SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in COUNTED)


def usage(
    store: Reader,
    *,
    by: Grouping = "day",
    start: date | None = None,
    end: date | None = None,
    user: str | None = None,
    component: str | None = None,
    model: str | None = None,
    session: str | None = None,
) -> UsageAnswer:
    """What was used from one UTC day to another, both included, and how it is made up.

    Days and hours come in order, all else by cost, the largest first.
    """
    if by not in _COLUMN_OF:
        raise SettingsError(f"cannot group by {by!r}; allowed: {', '.join(get_args(Grouping))}")
    table, column = _COLUMN_OF[by]
    if session is not None:
        table, column = "usage_hourly", "substr(hour, 1, 10)" if by == "day" else column
    moment = "hour" if table == "usage_hourly" else "day"
    where, values = _where(
        {
            f"{moment} >= ?": start.isoformat() if start is not None else None,
            f"{moment} < ?": _behind(end, moment) if end is not None else None,
            "user_id = ?": user,
            "component = ?": component,
            "model = ?": model,
            "session_id = ?": session,
        }
    )
    order = "1" if by in ("day", "hour") else f"{COUNTED.index('cost_nanos') + 2} DESC, 1"
    rows = store.rows(
        f"SELECT {column}, {_SUMS} FROM {table}{where}"
        f" GROUP BY 1 ORDER BY {order} LIMIT {ENTRIES_MOST}",
        values,
    )
    total = store.row(f"SELECT {_SUMS} FROM {table}{where}", values)
    entries = [UsageEntry(key=str(key), **_named(counts)) for key, *counts in rows]
    return UsageAnswer(by=by, totals=Totals(**_named(total or [0] * len(COUNTED))), entries=entries)


def _behind(end: date, moment: str) -> str:
    """The first text past a day: every hour of it sorts before."""
    return f"{end.isoformat()}T99" if moment == "hour" else f"{end.isoformat()}~"


def _where(wishes: dict[str, str | None]) -> tuple[str, Values]:
    said = {wish: value for wish, value in wishes.items() if value is not None}
    if not said:
        return "", ()
    return f" WHERE {' AND '.join(said)}", list(said.values())


def _named(counts: Iterable[int]) -> dict[str, Any]:
    has = dict(zip(COUNTED, counts, strict=True))
    cache_write = has["cache_write_5m"] + has["cache_write_1h"]
    return {
        "cost": has["cost_nanos"] / NANOS,
        "cost_nanos": has["cost_nanos"],
        "tokens_in": has["input_uncached"] + has["cache_read"] + cache_write,
        "tokens_out": has["output_visible"] + has["reasoning"],
        "cache_read": has["cache_read"],
        "cache_write": cache_write,
        "reasoning": has["reasoning"],
        "web_searches": has["web_search"],
        "web_fetches": has["web_fetch"],
        "calls": has["calls"],
        "dispatches": has["dispatches"],
        "unpriced": has["unpriced"],
        "partial": has["partial"],
        "estimated": has["estimated"],
    }


class Spent(msgspec.Struct, frozen=True):
    """What a limit is held against."""

    nanos: int = 0
    tokens: int = 0
    """All input and output."""
    unpriced: int = 0


class Charge(msgspec.Struct, frozen=True):
    """What one event adds to what its user spent on its day."""

    user: str
    day: str
    spent: Spent


def charge(event: Event) -> Charge:
    """What a model call, or a dispatch on its own, costs whom."""
    counts = dict(zip(COUNTED, counts_of(event), strict=True))
    tokens = sum(counts[name] for name in TOKENS)
    cost = Spent(counts["cost_nanos"], tokens, counts["unpriced"])
    return Charge(whose(event)[0], day_of(event.ts), cost)


TOKENS = COUNTED[2:8]
_SPENT = (
    f"coalesce(sum(cost_nanos), 0), coalesce(sum({'+'.join(TOKENS)}), 0),"
    " coalesce(sum(unpriced), 0)"
)


def spent(store: Reader, *, user: str | None, start: date, end: date) -> Spent:
    """What a user, or everybody, spent from one UTC day to another, both included."""
    where, values = _where(
        {"user_id = ?": user, "day >= ?": start.isoformat(), "day <= ?": end.isoformat()}
    )
    row = store.row(
        f"SELECT {_SPENT} FROM usage_daily{where}",
        values,
    )
    return Spent(*row) if row is not None else Spent()


def spent_by_day(store: Reader, *, start: date) -> list[Charge]:
    """What each user spent on each UTC day from one on."""
    rows = store.rows(
        f"SELECT user_id, day, {_SPENT} FROM usage_daily WHERE day >= ? GROUP BY user_id, day",
        (start.isoformat(),),
    )
    return [Charge(user, day, Spent(*sums)) for user, day, *sums in rows]
