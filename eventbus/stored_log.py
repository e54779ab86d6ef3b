"""What the flat log holds where it is kept in the store, and what the journal has beyond it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from eventbus.activity import FlatLine, lines_beyond
from eventbus.kinds import KindFilter
from eventbus.settings import OWN_LANE, SHARED_LANE, load_settings
from eventbus.store.cursors import read_cursor
from eventbus.store.flat_log import logged_rows
from eventbus.store.opening import open_store, store_is_there

__all__ = ["stored_lines", "where_store"]


def stored_lines(
    state: Path, *, since: datetime | None, kinds: KindFilter, most: int | None
) -> Iterator[FlatLine]:
    """Lines from `since` on, the `most` oldest at least; those not yet landed at the end."""
    where = where_store(state)
    if not store_is_there(where):
        for _, line in lines_beyond(state, {}, since=since, kinds=kinds):
            yield line
        return
    with open_store(where) as store:
        # The journal first: what it holds beyond the lane's cursor may land
        # while the rows are read, and is then told from there alone.
        lane = SHARED_LANE if "://" in where else OWN_LANE
        cursor = read_cursor(store, lane)
        beyond = dict(lines_beyond(state, cursor, since=since, kinds=kinds))
        for row in logged_rows(store, since=since, kinds=kinds.patterns, most=most):
            beyond.pop(row.event_id, None)
            yield FlatLine(*row[1:])
    yield from beyond.values()


def where_store(state: Path) -> str:
    """The store of a state directory: where its settings have it, else its own."""
    settings = load_settings()
    return settings.where_store if settings.state == state else str(state)
