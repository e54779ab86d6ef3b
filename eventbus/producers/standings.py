"""How near everybody is to their cost limits."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from eventbus.clock import utc_now
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.limits import NANOS, CostLimits, Limit, Spending, in_nanos, resets_at
from eventbus.producers.books import Books

__all__ = ["NEAR", "Standing", "standings"]

NEAR = 0.8
"""The part of a limit from which on one is near it."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, and what of it is spent."""

    user: str | None
    """None: everybody together."""
    window: Literal["daily", "monthly"]
    unit: Literal["cost", "token"]
    limit: float
    """Dollars, or tokens."""
    spent: float
    part: float
    """What is spent of the limit; past 1 where the last calls cost more than was left."""
    unpriced: int
    """Calls within the window that cost something nobody knows."""
    state: Literal["free", "near", "reached"]
    resets_at: datetime


def standings(
    limits: CostLimits,
    state: Path | None,
    where: str | None,
    *,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> list[Standing]:
    """Each limit of everybody who spent this month or has one of their own, to the moment.

    What is not in the store `where` yet is read from the journal of `state`.
    Those nearest to their limit come first.
    """
    today = (now or utc_now()).date()
    books = Books(state, where, tell=lambda charge: None, disk=disk)
    books.open(today)
    try:
        users = sorted({*limits.users, *books.users})
        spent = {user: books.spent(user, today) for user in (None, *users)}
    finally:
        books.close()
    found = [*_of(None, limits.all, spent[None], limits, today)]
    for user in users:
        found += _of(user, limits.of(user), spent[user], limits, today)
    return sorted(found, key=lambda each: -each.part)


def _of(
    user: str | None,
    limit: Limit,
    spent: tuple[Spending, Spending],
    limits: CostLimits,
    today: date,
) -> Iterator[Standing]:
    day, month = spent
    yield from _within("daily", user, day, limit.daily, limit.daily_tokens, limits, today)
    yield from _within("monthly", user, month, limit.monthly, limit.monthly_tokens, limits, today)


def _within(
    window: Literal["daily", "monthly"],
    user: str | None,
    spent: Spending,
    most: float,
    most_tokens: int,
    limits: CostLimits,
    today: date,
) -> Iterator[Standing]:
    said: dict[str, Any] = {
        "user": user,
        "window": window,
        "unpriced": spent.unpriced,
        "resets_at": resets_at(window, today),
    }
    if most:
        part = spent.nanos / in_nanos(most)
        is_reached = part >= 1 or (limits.unpriced == "refuse" and spent.unpriced > 0)
        yield Standing(
            unit="cost",
            limit=most,
            spent=spent.nanos / NANOS,
            part=part,
            state=_state(part, is_reached=is_reached),
            **said,
        )
    if most_tokens:
        part = spent.tokens / most_tokens
        yield Standing(
            unit="token",
            limit=most_tokens,
            spent=spent.tokens,
            part=part,
            state=_state(part, is_reached=part >= 1),
            **said,
        )


def _state(part: float, *, is_reached: bool) -> Literal["free", "near", "reached"]:
    if is_reached:
        return "reached"
    return "near" if part >= NEAR else "free"
