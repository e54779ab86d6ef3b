"""Lines for events that will not encode, or would be too long: marked, never lost."""

from typing import Any

import msgspec

from eventbus.cutting import cut_mark, cut_text
from eventbus.event import HEADER, UNREADABLE, Event, decode, encode

__all__ = [
    "EVENT_BYTES_MOST",
    "SNAPSHOT_BYTES_MOST",
    "cut_line",
    "cut_texts",
    "encode_each",
    "fallback_line",
    "is_too_long",
]

EVENT_BYTES_MOST = 1024 * 1024
"""Bytes of the longest line written whole."""
SNAPSHOT_BYTES_MOST = 24 * 1024 * 1024
"""The same for a snapshot, of which a part is of no use; its producer has a limit of its own."""
TEXT_MOST = 32 * 1024
"""Characters kept of a text in a line that is too long."""
REPR_MOST = 2_000
"""Characters kept of a value that will not encode."""


def encode_each(items: list[Any]) -> tuple[list[bytes], int]:
    """Lines one by one, and how many of them had to be a fallback."""
    lines, poison = [], 0
    for item in items:
        try:
            lines.append(bytes(item) if isinstance(item, msgspec.Raw) else encode(item))
        except BaseException as error:  # noqa: BLE001  any value may raise anything when looked at
            lines.append(fallback_line(item, error))
            poison += 1
    return lines, poison


def fallback_line(event: Event, error: BaseException) -> bytes:
    """The event's header, what of its payload encodes, and text for the rest."""
    kind = _text(event.kind)
    record: dict[str, Any] = {"kind": "unknown:unknown" if kind.startswith("bus:") else kind}
    marks: dict[str, str] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name, None)
        try:
            record[name] = msgspec.Raw(msgspec.json.encode(value))
        except Exception as why:  # noqa: BLE001
            record[name] = _text(_shown(value))
            marks[name] = _text(f"{type(why).__name__}: {why}"[:200])
    record["unencodable"] = marks or {"event": _text(f"{type(error).__name__}: {error}"[:200])}
    return msgspec.json.encode(record)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return repr(value)[:REPR_MOST]
    except BaseException as error:  # noqa: BLE001
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def _text(value: str) -> str:
    """Text that UTF-8 can hold."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def is_too_long(line: bytes) -> bool:
    """True for a line that is not written whole."""
    size = len(line)
    if size <= EVENT_BYTES_MOST:
        return False
    return size > SNAPSHOT_BYTES_MOST or not line.startswith(b'{"kind":"session:snapshot"')


def cut_line(line: bytes) -> bytes:
    """A line that is too long, with its long texts cut; their length and digest are kept."""
    try:
        record = {word: _cut_word(value) for word, value in msgspec.json.decode(line).items()}
    except UNREADABLE:
        event = decode(line)
        record = {"kind": event.kind, "id": event.id, "ts": event.ts}
    else:
        cut = msgspec.json.encode(record)
        if len(cut) <= EVENT_BYTES_MOST:
            return cut
    kept = {word: record[word] for word in ("kind", *HEADER) if word in record}
    return msgspec.json.encode({**kept, "cut": cut_mark(line)})


def _cut_word(value: Any) -> Any:
    try:
        return cut_texts(value, TEXT_MOST)
    except RecursionError:  # nested deeper than we go
        return {"cut": cut_mark(msgspec.json.encode(value))}


def cut_texts(value: Any, most: int) -> Any:
    """JSON's values with long texts cut; each keeps its length and digest."""
    if isinstance(value, str):
        return cut_text(value, most)
    if isinstance(value, dict):
        return {key: cut_texts(each, most) for key, each in value.items()}
    if isinstance(value, list):
        return [cut_texts(each, most) for each in value]
    return value
