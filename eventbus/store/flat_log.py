"""The flat log as table `events` has it."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from eventbus.kinds import Kinds
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader

__all__ = ["LoggedRow", "logged_rows"]

ROWS_A_READ = 1_000


class LoggedRow(NamedTuple):
    """A line and the event it is of."""

    event_id: str
    timestamp: datetime
    event_type: str
    source: str
    message: str


def logged_rows(
    store: Reader, *, since: datetime | None, kinds: Kinds, most: int | None
) -> Iterator[LoggedRow]:
    """Lines from `since` on, oldest first, `most` of them or all."""
    wishes = Conditions()
    wishes.kinds_as_they_happened(kinds)
    wishes.between(since, None)
    place: tuple[str, int] = ("", 0)
    left = most
    while left is None or left > 0:
        limit = ROWS_A_READ if left is None else min(ROWS_A_READ, left)
        page = wishes.copy()
        page.all("(ts, id) > (?, ?)", place)
        rows = store.rows(
            "SELECT id, ts, event_id, event_type, source, message"
            f" FROM events{page.where} ORDER BY ts, id LIMIT {limit}",
            page.values,
        )
        for row in rows:
            yield LoggedRow(row[2], datetime.fromisoformat(row[1]), *row[3:])
        if len(rows) < limit:
            return
        place = (rows[-1][1], rows[-1][0])
        left = None if left is None else left - limit
