"""What happened since when, in few words: counts of events, errors, and what was spent."""

from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec

from eventbus.errors import SettingsError
from eventbus.formats.moment import stamp
from eventbus.limits import NANOS
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader, Row
from eventbus.store.errors import errors_by

__all__ = ["By", "Counted", "Errors", "SpentBy", "Summary", "summary"]

By = Literal["kind", "topic", "component", "source", "session", "day", "hour"]

KEYS_MOST = 200
KEY_MOST = 200
"""Characters of a key that are told."""
KINDS_MOST = 10_000
"""Kinds that are told apart when topics are counted."""
NO_END = datetime(9999, 12, 31, tzinfo=UTC)
"""An end there has to be for SQLite to go by the time."""
TEXT_MOST = 300
"""Characters of an error's message that are told."""

# Kinds stand in an index of their own, but what happened since when in another.
_KEY_OF = {
    "kind": "event_type || ''",
    "topic": "event_type || ''",
    "component": "coalesce(component, '')",
    "source": "source",
    "session": "coalesce(session_id, '')",
    "day": "substr(ts, 1, 10)",
    "hour": "substr(ts, 1, 13)",
}
_IN_ORDER = ("day", "hour")


class Counted(msgspec.Struct, frozen=True):
    """How many events of one kind, topic, component, source, session, day or hour."""

    key: str
    """Empty where an event did not say; hours as `2026-11-25T09`."""
    events: int


class SpentBy(msgspec.Struct, frozen=True, kw_only=True):
    """What a component spent; within the day or hour, where they are told apart."""

    component: str
    """Empty where a call did not say."""
    period: str | None = None
    cost: float
    """Dollars, of the calls whose price is known."""
    calls: int
    unpriced: int
    """Calls that cost something nobody knows."""


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of one type in one component."""

    component: str | None
    type: str
    count: int
    last: str
    message: str
    """The last one's, cut."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What happened within a time."""

    since: str
    until: str | None
    by: By
    events: int
    counts: list[Counted]
    """The largest first; days and hours in order, the latest where there are too many."""
    left_out: int
    """Keys that have no room here."""
    errors: list[Errors]
    """The most frequent first."""
    cost: float
    """Dollars spent, by all components together."""
    spent: list[SpentBy]


def summary(
    store: Reader,
    *,
    since: datetime,
    until: datetime | None = None,
    by: By = "kind",
    limit: int = 50,
) -> Summary:
    """Count what happened from `since` on and before `until`; naive ones are local.

    What was spent is kept by the hour: that of `since` counts whole.
    """
    if by not in _KEY_OF:
        raise SettingsError(f"cannot count by {by!r}; allowed: {', '.join(get_args(By))}")
    limit = max(1, min(limit, KEYS_MOST))
    counts = _counts(store, since, until, by)
    kept = counts[-limit:] if by in _IN_ORDER else counts[:limit]
    spent = _spent(store, since, until, by)
    return Summary(
        since=stamp(since.astimezone()),
        until=stamp(until.astimezone()) if until is not None else None,
        by=by,
        events=sum(each.events for each in counts),
        counts=kept,
        left_out=len(counts) - len(kept),
        errors=_errors(store, since, until, limit),
        cost=sum(nanos for _, nanos in spent) / NANOS,
        spent=[each for each, _ in spent][-limit:],
    )


def _counts(store: Reader, since: datetime, until: datetime | None, by: By) -> list[Counted]:
    wishes = Conditions()
    wishes.between(since, until)
    rows = store.rows(
        f"SELECT {_KEY_OF[by]}, count(*) FROM events{wishes.where}"
        f" GROUP BY 1 ORDER BY {'1 DESC' if by in _IN_ORDER else '2 DESC, 1'} LIMIT {KINDS_MOST}",
        wishes.values,
    )
    if by in _IN_ORDER:
        rows.reverse()
    elif by == "topic":
        rows = _by_topic(rows)
    return [Counted(str(key)[:KEY_MOST], number) for key, number in rows]


def _by_topic(rows: list[Row]) -> list[Row]:
    totals: dict[str, int] = {}
    for kind, number in rows:
        topic = kind.partition(":")[0]
        totals[topic] = totals.get(topic, 0) + number
    return sorted(totals.items(), key=lambda each: (-each[1], each[0]))


def _errors(store: Reader, since: datetime, until: datetime | None, limit: int) -> list[Errors]:
    return [
        Errors(
            component=each.component,
            type=each.type[:KEY_MOST],
            count=each.count,
            last=each.last,
            message=each.message[:TEXT_MOST],
        )
        for each in errors_by(store, since=since, until=until or NO_END, limit=limit)
    ]


def _spent(
    store: Reader, since: datetime, until: datetime | None, by: By
) -> list[tuple[SpentBy, int]]:
    """By component, with its billionths; by day or hour and component, where those are asked."""
    wishes = Conditions()
    wishes.add("hour >= ?", _hour(since))
    wishes.add("hour <= ?", _hour(until) if until is not None else None)
    period = {"day": "substr(hour, 1, 10)", "hour": "hour"}.get(by, "''")
    rows = store.rows(
        f"SELECT {period}, component, sum(cost_nanos), sum(calls), sum(unpriced)"
        f" FROM usage_hourly{wishes.where} GROUP BY 1, 2"
        f" ORDER BY 1, 3 DESC, 2 LIMIT {KINDS_MOST}",
        wishes.values,
    )
    return [
        (
            SpentBy(
                component=component,
                period=named or None,
                cost=nanos / NANOS,
                calls=calls,
                unpriced=unpriced,
            ),
            nanos,
        )
        for named, component, nanos, calls, unpriced in rows
    ]


def _hour(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H}"
