"""Event, its header and its kind; reading a line back as one.

An event is a frozen Struct tagged by its kind, `topic:verb`. It encodes flat:
`{"kind":…,"id":…,"ts":…,"scope":{…},"cause":…,<payload>}`.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Union, cast, dataclass_transform

import msgspec
from uuid_utils import uuid7

from eventbus.clock import utc_now
from eventbus.errors import DefinitionError
from eventbus.floats import all_finite, spell, unspell
from eventbus.scope import Scope, current_cause, current_scope

__all__ = [
    "HEADER",
    "Event",
    "ReadyLine",
    "UnknownEvent",
    "decode",
    "decode_batch",
    "encode",
    "encode_lines",
    "encode_value",
    "kind_from_name",
    "known_kinds",
    "new_id",
    "payload_of",
]

HEADER = ("id", "ts", "scope", "cause")
"""The fields every event has, before its payload."""

_KIND = re.compile(r"[^\s|:*\x00-\x1f\x7f-\x9f]+:[^\s|*\x00-\x1f\x7f-\x9f]+")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")
_RESERVED_TOPICS = {"bus": "eventbus.events.", "unknown": "eventbus.event"}
"""Topics only we may use, and where."""

_EPOCH = datetime.fromtimestamp(0, UTC)
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that says its zone: one that does not is no header's, and cannot be put in order."""
_known: dict[str, type["Event"]] = {}
_known_as_bytes: set[bytes] = set()
"""The same kinds as they stand in a line."""


def new_id() -> str:
    """A UUIDv7 as text: unique, and in order within a process."""
    return str(uuid7())


def kind_from_name(name: str) -> str:
    """`OrderPlaced` says `order:placed`; the last word is the verb."""
    words = [word.lower() for word in _WORD.findall(name)] or ["event"]
    topic = "_".join(words[:-1]) or "event"
    return f"{topic}:{words[-1]}"


class EventMeta(msgspec.StructMeta):
    """Gives every event class its own kind, and its header first."""

    def __new__(  # type: ignore[no-untyped-def]  # the Struct options pass through as they are
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options
    ):
        options.setdefault("kw_only", True)
        if not any(isinstance(base, EventMeta) for base in bases):
            return super().__new__(mcls, name, bases, namespace, **options)
        kind = options.setdefault("tag", kind_from_name(name))
        _check_kind(name, kind, namespace)
        _check_payload(name, namespace)
        made = super().__new__(mcls, name, bases, namespace, **options)
        if not options["tag"].startswith("unknown:"):
            _register(kind, cast("type[Event]", made))
        return made


def _check_kind(name: str, kind: object, namespace: dict[str, Any]) -> None:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise DefinitionError(
            f"{name} cannot have the kind {kind!r}; a kind is topic:verb,"
            " without spaces, '|', '*' or control characters"
        )
    module = str(namespace.get("__module__"))
    topic = kind.partition(":")[0]
    if topic in _RESERVED_TOPICS and not module.startswith(_RESERVED_TOPICS[topic]):
        raise DefinitionError(
            f"{name} cannot have the kind {kind!r}; the topic {topic!r} is reserved"
        )


def _check_payload(name: str, namespace: dict[str, Any]) -> None:
    for word in ("kind", *HEADER):
        is_field = word in namespace.get("__annotations__", {})
        is_ours = str(namespace.get("__module__")).startswith("eventbus.")
        if is_field or word in _lazy_annotations(namespace) or (word in namespace and not is_ours):
            raise DefinitionError(
                f"{name} cannot have a field {word!r};"
                f" the header has {', '.join(('kind', *HEADER))}"
            )


def _lazy_annotations(namespace: dict[str, Any]) -> Iterable[str]:
    """Field names where annotations are made on demand (Python 3.14)."""
    annotate = namespace.get("__annotate__") or namespace.get("__annotate_func__")
    return annotate(4) if annotate else ()  # 4: as strings


def _register(kind: str, made: type["Event"]) -> None:
    _known[kind] = made
    _known_as_bytes.add(kind.encode())
    _forget_decoders()


def known_kinds() -> dict[str, type["Event"]]:
    """Every kind defined so far, and its class."""
    return dict(_known)


# On the class, not its metaclass: a type checker asks the nearest base first,
# and Struct itself would answer that fields are positional.
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, metaclass=EventMeta, frozen=True, gc=False, tag_field="kind"):
    """One thing that happened; its header is taken at construction.

    Subclass it, add payload fields, and name the kind by `tag="topic:verb"`
    or let the class name say it.
    """

    id: str = msgspec.field(default_factory=new_id)
    ts: Moment = msgspec.field(default_factory=utc_now)
    scope: Scope = msgspec.field(default_factory=current_scope)
    cause: str | None = msgspec.field(default_factory=current_cause)
    """The id of the event that led to this one."""

    @property
    def kind(self) -> str:
        """Its kind, `topic:verb`."""
        return str(self.__struct_config__.tag)


class UnknownEvent(Event, tag="unknown:unknown", frozen=True, gc=False):
    """A record of a kind not known here, or whose payload does not fit.

    Its line is kept, and goes out again byte for byte.
    """

    line: bytes
    """The record as it was read, without its newline."""
    named: str = "unknown:unknown"
    """The kind the record gives itself."""

    @property
    def kind(self) -> str:
        return self.named

    @property
    def payload(self) -> dict[str, Any]:
        """What the record holds besides its header; empty if it is no object."""
        try:
            record = msgspec.json.decode(payload_of(self.line) or self.line)
        except UNREADABLE:
            return {}
        if not isinstance(record, dict):
            return {}
        for word in _HEADER_WORDS.intersection(record):
            del record[word]
        return record


_HEADER_WORDS = frozenset(("kind", *HEADER))

_OUR_HEADER = re.compile(
    rb'\{"kind":"[^"]*","id":"[^"]*","ts":"[^"]*","scope":\{[^{}]*\},"cause":(?:null|"[^"]*"),'
)
"""How a record begins that has its header as we write it, and something behind.

No text with a quote in it fits: what follows its escaped quote has none that are not.
"""


def payload_of(line: bytes) -> bytes | None:
    """A record's payload cut out of its line; None where it is not as we write one."""
    front = _OUR_HEADER.match(line)
    return b"{" + line[front.end() :] if front is not None else None


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding foreign bytes may raise."""

UNRESOLVABLE = (NameError, TypeError, AttributeError)
"""What making a decoder may raise: a type out of reach, or one msgspec has no form for."""

UNENCODABLE_MOST = 1_000
"""Characters kept of a value that JSON cannot hold."""


class ReadyLine:
    """The marked line of an event that will not encode, made when it was emitted."""

    __slots__ = ("line",)

    def __init__(self, line: bytes) -> None:
        self.line = line


def _plain(value: object) -> object:
    """A value JSON has no form for, as text."""
    if type(value) is ReadyLine:
        return msgspec.Raw(value.line)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"[:UNENCODABLE_MOST]
    if hasattr(value, "__fspath__"):
        return str(value)
    return repr(value)[:UNENCODABLE_MOST]


_encoder = msgspec.json.Encoder(enc_hook=_plain)
encode_value = _encoder.encode
"""What stands in a field, as it stands in its event's line."""


def encode(event: Event) -> bytes:
    """One event as its line, without the newline."""
    if isinstance(event, UnknownEvent):
        return event.line
    return _encoder.encode(spell(event))


def encode_lines(items: list[Any], types: Iterable[type] | None = None) -> bytes:
    """Events, or lines ready as `msgspec.Raw`, as lines with their newlines."""
    if not all_finite(items, set(map(type, items)) if types is None else types):
        items = list(map(spell, items))
    return _encoder.encode_lines(items)


class _Head(msgspec.Struct, frozen=True):
    """What can be read of any record of ours."""

    kind: str = "unknown:unknown"
    id: str = ""
    ts: datetime = _EPOCH
    scope: Scope = Scope()
    cause: str | None = None


_read_head = msgspec.json.Decoder(_Head).decode
_FRONT = re.compile(rb'\{"kind":(?P<kind>"[^"\\]*"),"id":(?P<id>"[^"\\]*"),"ts":(?P<ts>"[^"\\]*")')
"""How a record of ours begins."""
_read_words = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Decoders:
    """The decoder of all known kinds, made again when a kind is defined."""

    one: ClassVar[msgspec.json.Decoder[Any] | None] = None


def _forget_decoders() -> None:
    _Decoders.one = None


def _decoder() -> msgspec.json.Decoder[Any]:
    decoder = _Decoders.one
    if decoder is None:
        classes = tuple(_known.values())
        decoder = _decoder_of(classes)
        if classes == tuple(_known.values()):  # else another thread has just defined one
            _Decoders.one = decoder
    return decoder


def _decoder_of(classes: tuple[type[Event], ...]) -> msgspec.json.Decoder[Any]:
    if not classes:
        return msgspec.json.Decoder(_Head)
    try:
        return msgspec.json.Decoder(Union[classes])  # noqa: UP007
    except UNRESOLVABLE:
        return _decoder_of(tuple(cls for cls in classes if _is_readable(cls)))


def _is_readable(cls: type[Event]) -> bool:
    """Whether msgspec can read it; one class it cannot must not spoil the others."""
    try:
        msgspec.json.Decoder(cls)
    except UNRESOLVABLE:
        return False
    return True


def decode(line: bytes) -> Event:
    """Read a line back; what is not known here, or has no id or time, is an `UnknownEvent`."""
    begun = utc_now()
    try:
        event = cast("Event", Context().run(_decoder().decode, line))
    except UNREADABLE:
        return _with_odd_floats(line) or _unknown(line)
    return _if_whole(event, line, begun)


def _if_whole(event: Event, line: bytes, begun: datetime) -> Event:
    """The same, unless its id or time was made as it was read: each reading makes another."""
    if event.ts < begun and event.id.encode() in line:
        return event
    words = _read_words(line)
    return event if "id" in words and "ts" in words else _unknown(line)


def _with_odd_floats(line: bytes) -> Event | None:
    """The event whose fields spell out NaN or an infinity; None if that is not all."""
    line = bytes(line)
    if b'"NaN"' not in line and b'Infinity"' not in line:
        return None
    try:
        record = msgspec.json.decode(line, type=dict[str, Any])
        event_class = _known[record["kind"]]
        if "id" not in record or "ts" not in record:
            return None
        return Context().run(msgspec.convert, unspell(record, event_class), event_class)
    except (*UNREADABLE, *UNRESOLVABLE, KeyError):
        return None


def _unknown(line: bytes) -> UnknownEvent:
    line = bytes(line)
    head = _head_of(line)
    ts = head.ts if head.ts.tzinfo else head.ts.replace(tzinfo=UTC)
    return UnknownEvent(
        id=head.id, ts=ts, scope=head.scope, cause=head.cause, line=line, named=head.kind
    )


def _head_of(line: bytes) -> _Head:
    try:
        return _read_head(line)
    except UNREADABLE:
        return _Head(**_words_that_fit(line))


def _words_that_fit(line: bytes) -> dict[str, Any]:
    """What can be read of a header that does not fit as a whole."""
    words: dict[str, Any] = {}
    try:
        words = dict(_read_words(line))
    except UNREADABLE:  # what follows is broken, or nested too deep for whoever reads it here
        front = _FRONT.match(line)
        words = front.groupdict() if front else {}
    fitting: dict[str, Any] = {}
    for field in msgspec.structs.fields(_Head):
        with suppress(*UNREADABLE, KeyError):
            fitting[field.name] = msgspec.json.decode(words[field.name], type=field.type)
    return fitting


def decode_batch(blob: bytes) -> list[Event]:
    """Read whole lines back, in order; one bad line spoils only itself.

    In a context of its own, so that nothing is read into the scope of whoever reads.
    """
    next_id, begun = new_id(), utc_now()
    try:
        events = cast("list[Event]", Context().run(_decoder().decode_lines, blob))
    except UNREADABLE:
        return _decode_each(blob)
    if events and (max(map(_id_of, events)) > next_id or max(map(_ts_of, events)) >= begun):
        lines = list(filter(None, blob.split(b"\n")))
        return [_if_whole(event, line, begun) for event, line in zip(events, lines, strict=True)]
    return events


_id_of, _ts_of = attrgetter("id"), attrgetter("ts")


def _decode_each(blob: bytes) -> list[Event]:
    """Lines of kinds not known here apart: they would keep the others from going together."""
    lines = list(filter(None, blob.split(b"\n")))
    are_strange = list(map(_is_strange, lines))
    if not any(are_strange):
        return list(map(decode, lines))
    known = [line for line, is_strange in zip(lines, are_strange, strict=True) if not is_strange]
    others = iter(decode_batch(b"\n".join([*known, b""])))
    return [
        _unknown(line) if is_strange else next(others)
        for line, is_strange in zip(lines, are_strange, strict=True)
    ]


_BEGINNING = b'{"kind":"'


def _is_strange(line: bytes) -> bool:
    """True when it is surely of a kind not known here."""
    start = len(_BEGINNING)
    if not line.startswith(_BEGINNING):
        return False
    kind = line[start : line.find(b'"', start)]
    return kind not in _known_as_bytes and b"\\" not in kind
