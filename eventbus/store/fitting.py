"""Events whose id and names are short enough for an index, and are there.

PostgreSQL takes no more than 2,704 bytes into a row of an index, and an event
that has a longer name would hold its lane up for ever. A name that is too long
lands as its beginning and a digest, on either engine; the event's line has it
as it is. A record without an id gets one made of what it says.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec

from eventbus.event import Event
from eventbus.store.topic import NAME_BYTES_MOST, PATH_BYTES_MOST, cut_name, in_text

__all__ = ["all_fitting", "id_in_store"]

NAMES = {
    "actor": NAME_BYTES_MOST,
    "agent": NAME_BYTES_MOST,
    "channel": NAME_BYTES_MOST,
    "chat": NAME_BYTES_MOST,
    "chat_id": NAME_BYTES_MOST,
    "component": NAME_BYTES_MOST,
    "conversation_id": NAME_BYTES_MOST,
    "error_type": NAME_BYTES_MOST,
    "file": NAME_BYTES_MOST,
    "id": NAME_BYTES_MOST,
    "model": NAME_BYTES_MOST,
    "path": PATH_BYTES_MOST,
    "sender_id": NAME_BYTES_MOST,
    "session": NAME_BYTES_MOST,
    "session_id": NAME_BYTES_MOST,
    "task": NAME_BYTES_MOST,
    "trace": NAME_BYTES_MOST,
    "type": NAME_BYTES_MOST,
    "user": NAME_BYTES_MOST,
}
"""Fields of events and scopes that some index holds, and the bytes it holds of them."""
ID_BYTES = 16


def all_fitting(events: Sequence[Event], lines: Sequence[bytes]) -> Sequence[Event]:
    """The events as they land: nearly always themselves."""
    if not events:
        return events
    ids = list(map(_id_of, events))
    are_short = max(map(len, lines)) <= NAME_BYTES_MOST  # nothing in one is longer than all of it
    if are_short and all(ids) and "\x00" not in "".join(ids):
        return events
    return list(map(_fitting, events, lines))


_id_of = attrgetter("id")


def _fitting(event: Event, line: bytes) -> Event:
    if len(line) <= NAME_BYTES_MOST and event.id and "\x00" not in event.id:
        return event
    changed: dict[str, Any] = dict(_cut(event))
    if scope := dict(_cut(event.scope)):
        changed["scope"] = msgspec.structs.replace(event.scope, **scope)
    if (id := id_in_store(event.id, line)) != event.id:
        changed["id"] = id
    return msgspec.structs.replace(event, **changed) if changed else event


def _cut(record: msgspec.Struct) -> Iterator[tuple[str, str]]:
    for name in _names_in(type(record)):
        value = getattr(record, name)
        if isinstance(value, str) and (cut := cut_name(value, NAMES[name])) is not value:
            yield name, cut


@cache
def _names_in(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name in cls.__struct_fields__ if name in NAMES)


def id_in_store(id: str, line: bytes) -> str:
    """The id an event has in the tables: text that either engine keeps as it is."""
    if id:
        return in_text(id)
    return f"line-{blake2b(line, digest_size=ID_BYTES).hexdigest()}"
