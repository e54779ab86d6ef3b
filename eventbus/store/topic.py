"""What a topic of the store is: its tables, and how its events land in them.

Events of different writers land in no certain order, and the store must be
the same after a rebuild: what a landing does may depend on an event's own
time, never on what has landed before. `order_key` says which of two is later.
"""

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec

from eventbus.event import Event
from eventbus.formats.moment import in_utc, stamp
from eventbus.store.engine import Reader, Writer

__all__ = [
    "NAME_BYTES_MOST",
    "NO_SESSION",
    "PATH_BYTES_MOST",
    "UTF8_MOST",
    "Land",
    "Topic",
    "cut_name",
    "day_of",
    "each_once",
    "in_text",
    "order_key",
    "real",
    "session_of",
    "stamp",
    "whole",
]

NO_SESSION = "unknown"
"""The session of what must have one, where nobody said which."""
NAME_BYTES_MOST = 500
"""Bytes of what identifies or groups; an index of five of them still takes its row."""
PATH_BYTES_MOST = 2_000
UTF8_MOST = 4
"""Bytes of a character at the most."""
DIGEST_BYTES = 16
INTEGER_MOST = 2**63 - 1
REAL_MOST = 1e300
"""Far enough from where sums and differences would overflow."""

Land = Callable[[Writer, list[Event]], None]
"""Land events of the topic's kinds, in order; each is new, and as the journal has it."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic: the file named after it says what it holds."""

    name: str
    tables: tuple[str, ...] = ()
    """`CREATE TABLE` and `CREATE INDEX` statements, with a `Dialect`'s words in braces."""
    sqlite: tuple[str, ...] = ()
    """What SQLite alone is told besides."""
    postgres: tuple[str, ...] = ()
    """What PostgreSQL alone is told besides."""
    events: tuple[type[Event], ...] = ()
    """The classes whose events land here."""
    takes_subclasses: bool = False
    """Whether those of their subclasses do as well."""
    takes_every: bool = False
    """Whether every event lands here, of whatever class."""
    land: Land | None = None
    tend: Callable[[Writer], None] | None = None
    """What is to be done between batches, in small portions."""
    check: Callable[[Reader], Iterable[str]] | None = None
    """What is wrong with its tables, a sentence each; asked by the doctor."""


def session_of(event: Event) -> str | None:
    """The session an event belongs to, as its scope says."""
    return event.scope.session


def order_key(event: Event) -> str:
    """Text that sorts as events happened: by time to the microsecond, then by id."""
    return f"{in_utc(event.ts).isoformat(timespec='microseconds')[:26]}Z {event.id}"


def each_once(values: Iterable[str | None]) -> list[str]:
    """What is there, each once, in order."""
    return list(dict.fromkeys(value for value in values if value is not None))


def in_text(text: str, most: int = NAME_BYTES_MOST) -> str:
    """An id as a column of text holds it, on either engine, and an index as well."""
    return cut_name(text.replace("\x00", "\\u0000"), most)


def cut_name(text: str, most: int = NAME_BYTES_MOST) -> str:
    """What identifies or groups, as an index holds it: a long one's beginning, and a digest."""
    if len(text) * UTF8_MOST <= most:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) <= most:
        return text
    digest = blake2b(raw, digest_size=DIGEST_BYTES).hexdigest()
    return f"{raw[: most - 2 * DIGEST_BYTES - UTF8_MOST].decode(errors='ignore')}… {digest}"


def whole(number: float | None) -> int | None:
    """A number as a whole one that a column of integers holds; what is none is left out."""
    if number is None or number != number:
        return None
    if number in (math.inf, -math.inf):
        return INTEGER_MOST if number > 0 else -INTEGER_MOST
    return max(-INTEGER_MOST, min(round(number), INTEGER_MOST))


def real(number: float | None) -> float | None:
    """A number as one that a column of real numbers holds; what is none is left out."""
    if number is None or number != number:
        return None
    return float(max(-REAL_MOST, min(number, REAL_MOST)))


def day_of(ts: datetime) -> str:
    """The UTC day of a moment, `2026-11-25`."""
    return stamp(ts)[:10]
