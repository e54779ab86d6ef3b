"""A stretch of the journal: whole records of one writer, with their place."""

from typing import Any

import msgspec

from eventbus.event import Event, ReadyLine, UnknownEvent, decode, decode_batch, encode_lines
from eventbus.events.log import LogLine
from eventbus.kinds import KindFilter, is_critical
from eventbus.poison import encode_each
from eventbus.sink import Place

__all__ = ["Stretch"]

_NEXT_HEAD = b'\n{"kind":"'
_BY_EVENT = (LogLine, ReadyLine, UnknownEvent, msgspec.Raw)
"""What says its kind only one by one."""
_LINES = (ReadyLine, msgspec.Raw)
"""What was encoded when it was emitted."""
_BY_LINE = (*_LINES, UnknownEvent)
"""What only its line says the kind of."""


class Stretch:
    """Records that stand together; what is asked of them is made once."""

    __slots__ = (
        "_blob",
        "_events",
        "_items",
        "_lines",
        "_types",
        "count",
        "end",
        "first",
        "start",
        "writer",
    )

    def __init__(
        self,
        *,
        writer: str,
        start: Place,
        end: Place,
        blob: bytes | None = None,
        items: list[Any] | None = None,
        first: int | None = None,
        types: set[type] | None = None,
    ) -> None:
        self.writer = writer
        self.start = start
        self.end = end
        self.first = first
        """How many events this process had taken before these; None when read back."""
        self._blob = blob
        self._items = items
        self._events: list[Event] | None = None
        self._lines: list[bytes] | None = None
        self._types = types
        self.count = len(items) if items is not None else (blob or b"").count(b"\n")

    @property
    def blob(self) -> bytes:
        if self._blob is None:
            self._blob = _encoded(self._items or [])
        return self._blob

    @property
    def size(self) -> int:
        """Bytes, where they are known; else a guess that is not too low."""
        return len(self._blob) if self._blob is not None else 600 * self.count

    @property
    def lines(self) -> list[bytes]:
        """Its records, without newlines."""
        if self._lines is None:
            lines = self.blob.split(b"\n")
            lines.pop()
            self._lines = lines  # whole at once: several threads may ask
        return self._lines

    @property
    def events(self) -> list[Event]:
        """Its records, typed."""
        if self._events is None:
            self._events = self._typed()
        return self._events

    def _typed(self) -> list[Event]:
        if self._items is None:
            events = decode_batch(self.blob)
            return events if len(events) == self.count else [decode(line) for line in self.lines]
        if self.types.isdisjoint(_LINES):
            return self._items
        return [_event_of(item) for item in self._items]

    def cut(self, most: int) -> tuple["Stretch", "Stretch"]:
        """Its first `most` records, and the others."""
        here = None if self._blob is None else sum(map(len, self.lines[:most])) + most
        is_by_count = here is None or self.start.segment == "memory"
        middle = Place(self.start.segment, self.start.offset + (most if is_by_count else here or 0))
        head = Stretch(
            writer=self.writer,
            start=self.start,
            end=middle,
            blob=None if here is None else self.blob[:here],
            items=None if self._items is None else self._items[:most],
            first=self.first,
        )
        tail = Stretch(
            writer=self.writer,
            start=middle,
            end=self.end,
            blob=None if here is None else self.blob[here:],
            items=None if self._items is None else self._items[most:],
            first=self.first + most if self.first is not None else None,
        )
        return head, tail

    @property
    def types(self) -> set[type]:
        """The classes in it, as they came."""
        if self._types is None:
            self._types = set(map(type, self._items if self._items is not None else self.events))
        return self._types

    @property
    def perhaps_critical(self) -> list[bytes]:
        """All its lines; none, where the classes in it say that none is critical."""
        types = self.types
        may_be = not types.isdisjoint(_BY_LINE) or any(map(is_critical, types))
        return self.lines if may_be else []

    def pick(self, wanted: KindFilter, *, skip: int = 0) -> list[int] | None:
        """Which of its records are wanted, by index; None means all of them."""
        if self._items is None and wanted.wants_all and self._is_plain():
            answers: set[bool | None] = {True}
        else:
            answers = {_class_answer(each, wanted) for each in self.types}
        if not skip and answers == {True}:
            return None
        if answers == {False}:
            return []
        return [
            index
            for index, event in enumerate(self.events)
            if index >= skip and wanted.takes(event) and not _is_garbage(event)
        ]

    def _is_plain(self) -> bool:
        """True when every line looks like a record of the app's."""
        blob = self.blob
        heads = blob.count(_NEXT_HEAD) + blob.startswith(_NEXT_HEAD[1:])
        return heads == self.count and b'{"kind":"bus:' not in blob


def _encoded(items: list[Any]) -> bytes:
    try:
        return encode_lines(items)
    except Exception:  # noqa: BLE001  one of them will not encode; each is tried alone
        lines, _ = encode_each(items)
        return b"".join(line + b"\n" for line in lines)


def _event_of(item: Any) -> Event:
    if type(item) is ReadyLine:
        return decode(item.line)
    return decode(bytes(item)) if type(item) is msgspec.Raw else item


def _class_answer(each: type, wanted: KindFilter) -> bool | None:
    """What the class alone tells: all wanted, none wanted, or ask each event."""
    if each in _BY_EVENT:
        return True if wanted.wants_all and each is not UnknownEvent else None
    return wanted(str(each.__struct_config__.tag))  # type: ignore[attr-defined]


def _is_garbage(event: Event) -> bool:
    """A line that is no record at all: bytes a crash left inside a segment."""
    return isinstance(event, UnknownEvent) and not event.id and event.named == "unknown:unknown"
