"""Events that fit, newest first, and no more than so many of them tried at a time.

Kind, session and time are found along an index. What no index knows, a
component for one, is tried on one event after the other; so that an answer
comes soon however few fit, it may end before a page is full, and say from
where to go on.
"""

from collections.abc import Sequence

import msgspec

from eventbus.kinds import Kinds
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader

__all__ = ["TRIED_MOST", "Place", "Stream", "newest", "streams_of"]

Place = tuple[str, int]
"""An event's `ts` and `id`: in order of these events are told."""

TRIED_MOST = 100_000
"""Events a page tries: a tenth of a second or two."""
TRIED_FIRST = 1_000
"""Those of the first stride; each is twice as long as the one before."""
KINDS_TOLD_APART = 1_000
"""More kinds than that nobody has who does not make them up as he goes."""
KINDS_MERGED = 100
"""So many are each followed along the index of kinds; more are tried one by one."""

# Each step finds the next kind by the index, past all events of the one before.
_KINDS = """WITH RECURSIVE kinds (event_type) AS (
 SELECT min(event_type) FROM events
 UNION ALL SELECT (SELECT min(event_type) FROM events WHERE event_type > kinds.event_type)
 FROM kinds WHERE event_type IS NOT NULL)
SELECT event_type, CASE WHEN {wanted} THEN 1 ELSE 0 END FROM kinds
 WHERE event_type IS NOT NULL LIMIT {most}"""


class Stream(msgspec.Struct, frozen=True):
    """Events in order of time, along one index."""

    index: str
    column: str | None = None
    """The index' first column, where it has one before the time; all have this value there."""
    value: str | None = None


def streams_of(store: Reader, kinds: Kinds, session: str | None, sieve: Conditions) -> list[Stream]:
    """What to go along; the kinds are tried one by one where they are not followed."""
    if session is not None:
        sieve.kinds(kinds)
        return [Stream("idx_events_session_ts", "session_id", session)]
    wanted = _kinds_there(store, kinds)
    if wanted is None:
        sieve.kinds(kinds)
        return [Stream("idx_events_ts")]
    return [Stream("idx_events_type_ts", "event_type", kind) for kind in wanted]


def _kinds_there(store: Reader, kinds: Kinds) -> list[str] | None:
    """The kinds wanted of which there are events; None: all, or too many to go along each."""
    wish = Conditions()
    wish.kinds(kinds)
    if not wish.where:
        return None
    question = _KINDS.format(wanted=wish.condition, most=KINDS_TOLD_APART + 1)
    there = store.rows(question, wish.values)
    wanted = [kind for kind, is_wanted in there if is_wanted]
    return None if len(there) > KINDS_TOLD_APART or len(wanted) > KINDS_MERGED else wanted


def newest(
    store: Reader,
    streams: Sequence[Stream],
    *,
    within: Conditions,
    sieve: Conditions,
    before: Place | None,
    limit: int,
    tries: int = TRIED_MOST,
) -> tuple[list[Place], Place | None]:
    """Where the newest that fit are, and the place behind which more may be.

    `within` an index knows; `sieve` is tried on each event, on `tries` of them.
    """
    if not streams:
        return [], None
    if not sieve.where:
        first = _places(store, streams, _before(within, before), limit + 1)
        return first[:limit], first[limit - 1] if len(first) > limit else None
    found: list[Place] = []
    stride = min(TRIED_FIRST, tries)
    while tries > 0:
        left = _before(within, before)
        end = _end_of_stride(store, streams, left, -(-stride // len(streams)))
        if end is not None:
            left.all("(ts, id) >= (?, ?)", end)
        found += _places(store, streams, left.joined(sieve), limit + 1 - len(found))
        if len(found) > limit:
            return found[:limit], found[limit - 1]
        if end is None:
            return found, None
        before, tries = end, tries - stride
        stride = min(2 * stride, tries)
    return found, before


def _before(within: Conditions, place: Place | None) -> Conditions:
    left = within.copy()
    if place is not None:
        left.all("(ts, id) < (?, ?)", place)
    return left


def _end_of_stride(
    store: Reader, streams: Sequence[Stream], left: Conditions, size: int
) -> Place | None:
    """A place before which no stream has more than that many; None: none has more."""
    ends = (_places(store, [stream], left, 1, skip=size - 1) for stream in streams)
    return max((place for places in ends for place in places), default=None)


def _places(
    store: Reader, streams: Sequence[Stream], conditions: Conditions, limit: int, *, skip: int = 0
) -> list[Place]:
    parts, values = [], []
    for stream in streams:
        own = conditions.copy()
        if stream.column is not None:
            own.all(f"{stream.column} = ?", (stream.value,))
        parts.append(
            f"SELECT ts, id FROM events{_along(store, stream.index)}{own.where}"
            f" ORDER BY ts DESC, id DESC LIMIT {limit} OFFSET {skip}"
        )
        values += own.values
    if len(parts) == 1:
        return store.rows(parts[0], values)
    merged = " UNION ALL ".join(f"SELECT ts, id FROM ({part}) AS part" for part in parts)
    return store.rows(f"{merged} ORDER BY ts DESC, id DESC LIMIT {limit}", values)


def _along(store: Reader, index: str) -> str:
    """SQLite is told the index, since it may take another and sort a million rows."""
    return f" INDEXED BY {index}" if store.dialect.name == "sqlite" else ""
