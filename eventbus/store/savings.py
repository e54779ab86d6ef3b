"""What working here saved over the cloud, as the tasks say.

A task of which either cost is not known saved nobody knows what: it is
counted apart, and adds nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

from eventbus.store.engine import Reader, Row
from eventbus.store.pages import PAGE_MOST, clamped
from eventbus.store.walking import Walk

__all__ = ["NOTHING_SAVED", "Saved", "SavedBy", "saved_in", "savings"]

SavedBy = Literal["day", "model", "session"]
DIGITS = 9
"""Of a dollar, behind the point: what is behind them is noise of the summing."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What some tasks saved."""

    key: str
    """The day, the model or the session."""
    tasks: int
    saved_usd: float
    """What the cloud would have cost less what it did cost, where both are known."""
    cost_usd: float
    """What those of them cost whose price is known."""
    unknown: int
    """Tasks of which either cost is not known."""


NOTHING_SAVED = Saved(key="", tasks=0, saved_usd=0.0, cost_usd=0.0, unknown=0)

_KEYS = {"day": "substr(timestamp, 1, 10)", "model": "model", "session": "session_id"}
_SUMS = """count(*), COALESCE(sum(cloud_cost_equivalent - cost_usd), 0),
 COALESCE(sum(cost_usd), 0),
 sum(CASE WHEN cloud_cost_equivalent IS NULL OR cost_usd IS NULL THEN 1 ELSE 0 END)"""
_KNOWN = Walk(columns="", source="tasks", conditions=("is_known = 1",))


def savings(
    store: Reader,
    by: SavedBy = "day",
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    session_id: str | None = None,
    model: str | None = None,
    limit: int = PAGE_MOST,
) -> list[Saved]:
    """By day, newest first; by model or session, those that saved most first."""
    if by not in _KEYS:
        raise ValueError(
            f"cannot sum savings by {by!r}; allowed are {', '.join(get_args(SavedBy))}"
        )
    way = _KNOWN.within("timestamp", since, until).where(session_id=session_id, model=model)
    order = "1 DESC" if by == "day" else "3 DESC, 1"
    rows = store.rows(
        f"SELECT {_KEYS[by]}, {_SUMS} FROM tasks WHERE {' AND '.join(way.conditions)}"
        f" GROUP BY {_KEYS[by]} ORDER BY {order} LIMIT {clamped(limit)}",
        way.values,
    )
    return [_saved(row) for row in rows]


def saved_in(store: Reader, session_ids: Sequence[str]) -> dict[str, Saved]:
    """What each of these sessions saved; those without a task are left out."""
    if not session_ids:
        return {}
    rows = store.rows(
        f"SELECT session_id, {_SUMS} FROM tasks"
        f" WHERE session_id IN ({', '.join('?' * len(session_ids))}) AND is_known = 1"
        " GROUP BY session_id",
        session_ids,
    )
    return {row[0]: _saved(row) for row in rows}


def _saved(row: Row) -> Saved:
    key, tasks, saved, cost, unknown = row
    return Saved(
        key=key,
        tasks=tasks,
        saved_usd=round(float(saved), DIGITS),
        cost_usd=round(float(cost), DIGITS),
        unknown=int(unknown),
    )
