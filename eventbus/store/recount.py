"""Are the kept totals and the index of words those of the events that have landed?"""

from collections.abc import Iterator

from eventbus.event import Event, UnknownEvent, decode
from eventbus.formats.record import to_json
from eventbus.store.engine import Reader, Row
from eventbus.store.topic import day_of
from eventbus.store.usage import COUNTED, counts_of, whose

__all__ = ["check_index", "check_totals"]

ROWS_A_PAGE = 2_000
MARKS = {"llm:response": ("usage", "state"), "dispatch:finish": ("tools", "status")}
"""Fields by which an event of the kind is told from a line of a flat log that calls itself so."""
_Key = tuple[str, ...]


def check_totals(store: Reader) -> Iterator[str]:
    """What differs from adding every event up again."""
    wanted = _recounted(store)
    columns = ", ".join(COUNTED)
    daily = store.rows(f"SELECT user_id, day, component, model, {columns} FROM usage_daily")
    sums = ", ".join(f"sum({name})" for name in COUNTED)
    hourly = store.rows(
        f"SELECT user_id, substr(hour, 1, 10), component, model, {sums} FROM usage_hourly"
        " GROUP BY user_id, substr(hour, 1, 10), component, model"
    )
    for table, rows in (("usage_daily", daily), ("usage_hourly", hourly)):
        kept = {row[:4]: [int(value) for value in row[4:]] for row in rows}
        wrong = [key for key in wanted.keys() | kept.keys() if wanted.get(key) != kept.get(key)]
        if wrong:
            yield (
                f"{table} does not add up for {len(wrong)} of {len(wanted)} days and models"
                f" (first: user {min(wrong)[0]!r}, {min(wrong)[1]}, {min(wrong)[3]!r})"
            )


def _recounted(store: Reader) -> dict[_Key, list[int]]:
    totals: dict[_Key, list[int]] = {}
    for event in _costly(store):
        user, component, model, _ = whose(event)
        key = (user, day_of(event.ts), component, model)
        there = totals.get(key, [0] * len(COUNTED))
        totals[key] = [a + b for a, b in zip(there, counts_of(event), strict=True)]
    return totals


def _costly(store: Reader) -> Iterator[Event]:
    """Events that count, made of their rows again."""
    for kind, marks in MARKS.items():
        place: tuple[str, int] = ("", 0)
        while rows := store.rows(
            "SELECT id, event_id, ts, user_id, component, kv_json FROM events"
            " WHERE event_type = ? AND (ts, id) > (?, ?) ORDER BY ts, id LIMIT ?",
            (kind, *place, ROWS_A_PAGE),
        ):
            place = (rows[-1][2], rows[-1][0])
            for row in rows:
                if all(f'"{mark}":' in (row[-1] or "") for mark in marks):
                    yield from _event_of(row, kind)


def _event_of(row: Row, kind: str) -> Iterator[Event]:
    _, id, ts, user, component, payload = row
    head = to_json(
        {"kind": kind, "id": id, "ts": ts, "scope": {"user": user, "component": component}}
    )
    event = decode(head[:-1] + f",{payload[1:]}".encode())
    if not isinstance(event, UnknownEvent):
        yield event


def check_index(store: Reader) -> Iterator[str]:
    """Whether every event that is said to be in the index of words is."""
    if store.dialect.name != "sqlite":
        return
    fact = store.row("SELECT value FROM store_facts WHERE name = 'search_upto'")
    upto = int(fact[0]) if fact is not None else 0
    there = store.row("SELECT count(*) FROM events WHERE id <= ?", (upto,))
    indexed = store.row("SELECT count(*) FROM events_fts_docsize")
    if there is not None and indexed is not None and there[0] != indexed[0]:
        yield f"the index of words holds {indexed[0]} events, where {there[0]} ought to be in it"
