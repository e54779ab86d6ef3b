r"""An event as a line of the flat log: `{moment}|{kind}|{source}|{message}`.

The source is the scope's source, else its component, else the topic. The
message of a typed event is its payload, `key=value` in field order: None is
left out; true, false and what is nested are compact JSON, and so is a text
that could be taken for several tokens: one with both a space and a `=`, or
that begins as JSON does. A token of more than 16,384 characters is cut to so
many, and says how long it was. An error's message is `context - TypeName: text`. A
log line's own message goes before its tokens, each written by `str()`.

Whatever an event holds, its line is one line of four fields and nothing in it
is hidden: what is not to be seen is written out, `\u001b`.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET

from eventbus.cutting import cut_text
from eventbus.event import HEADER, Event, UnknownEvent, encode_value
from eventbus.events.error import ErrorRaised
from eventbus.events.log import LogLine
from eventbus.formats.flat_lines import FlatLine, Unparsed, parse, tokens
from eventbus.formats.moment import stamp
from eventbus.formats.record import read_back, to_json
from eventbus.formats.visible import one_line, visible

__all__ = [
    "ERROR_TEXT_MOST",
    "TOKEN_MOST",
    "UNREAD",
    "FlatLine",
    "Unparsed",
    "encode",
    "line",
    "log_message",
    "parse",
    "text",
    "tokens",
]

ERROR_TEXT_MOST = 200
"""Characters of an error's text that are kept."""
UNREAD = "bytes="
"""How the message begins of what is no record: only its size is known."""
TOKEN_MOST = 16_384
"""Characters kept of a typed event's value: its record has it whole, a line is for reading."""

REMEMBERED_LENGTH = 200
_REMEMBERED_MOST = 4_096
"""Kinds, sources and keys remembered clean, of each; they may come from hostile input."""
_CONTAINERS = frozenset({dict, list, tuple})
"""Their JSON begins with a bracket, and is not taken for a text."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_BREAKS_A_KIND = re.compile(r"[\s|]+")
_BREAKS_A_KEY = re.compile(r"[\s=|\"]+")

_Text = Callable[[Any], str]
_texts: dict[type, _Text] = {}
_kinds: dict[str, str] = {}
_sources: dict[str, str] = {}
_keys: dict[str, str] = {}


def encode(event: Event) -> bytes:
    """One event as its flat line, without the newline; never raises."""
    return text(event).encode()


def text(event: Event) -> str:
    """The same line as text."""
    try:
        return (_texts.get(type(event)) or _text_for(type(event)))(event)
    except Exception:  # noqa: BLE001 - a value's own code may raise anything; the line says so
        return _text_read_back(event)


def line(ts: datetime, event_type: str, source: str, message: str) -> str:
    """Four fields as one line, cleaned where they would break it."""
    kind = _kinds.get(event_type) or _clean_kind(event_type)
    whole = f"{stamp(ts)}|{kind}|{source}|{message}"
    if "|" not in source and whole.isprintable():
        return whole
    return f"{stamp(ts)}|{kind}|{one_line(source.replace('|', '/'))}|{one_line(message)}"


def _clean_kind(kind: str) -> str:
    """A kind that is `category:action` and breaks no line."""
    clean = _BREAKS_A_KIND.sub("_", visible(kind))
    category, _, action = clean.partition(":")
    if not category or not action:
        clean = f"unknown:{clean.strip(':') or 'unknown'}"
    return _remember(_kinds, kind, clean)


def _clean_source(source: str) -> str:
    """A source that breaks no line."""
    is_clean = "|" not in source and source.isprintable()
    clean = source if is_clean else one_line(source.replace("|", "/"))
    return _remember(_sources, source, clean)


def _text_for(cls: type[Event]) -> _Text:
    if issubclass(cls, LogLine):
        made: _Text = _log_text
    elif issubclass(cls, UnknownEvent):
        made = _unknown_text
    else:
        made = _typed_text(cls, _error_message if issubclass(cls, ErrorRaised) else _payload(cls))
    _texts[cls] = made
    return made


def _log_text(event: LogLine) -> str:
    return line(event.ts, event.kind, event.source, log_message(event))


def log_message(event: LogLine) -> str:
    """A log line's message with its tokens."""
    message = event.message
    if event.kv:
        tokens = " ".join([f"{key}={value}" for key, value in event.kv.items()])
        message = f"{message} {tokens}" if message else tokens
    if "|" in message and event.event_type.startswith("error:"):
        return message.replace("|", "/")
    return message


def _typed_text(cls: type[Event], message: _Text) -> _Text:
    kind = str(cls.__struct_config__.tag)
    topic = kind.partition(":")[0]
    clean_kind = _clean_kind(kind)
    is_clean = message is not _error_message  # what writes tokens has cleaned them

    def typed_text(event: Event) -> str:
        scope = event.scope
        source = scope.source or scope.component or topic
        clean = _sources.get(source) or _clean_source(source)
        said = message(event)
        if not is_clean and not said.isprintable():
            said = one_line(said)
        return f"{stamp(event.ts)}|{clean_kind}|{clean}|{said}"

    return typed_text


def _error_message(event: ErrorRaised) -> str:
    message = f"{event.type}: {event.message[:ERROR_TEXT_MOST]}"
    if event.context:
        message = f"{event.context} - {message}"
    return message.replace("|", "/")


def _unknown_text(event: UnknownEvent) -> str:
    scope, named = event.scope, event.named
    kind = _kinds.get(named) or _clean_kind(named)
    source = scope.source or scope.component or kind.partition(":")[0]
    clean = _sources.get(source) or _clean_source(source)
    return f"{stamp(event.ts)}|{kind}|{clean}|{_unknown_message(event)}"


def _unknown_message(event: UnknownEvent) -> str:
    payload = event.payload
    if not payload and not event.id:  # no record at all
        return f"{UNREAD}{len(event.line)}"
    return _tokens(zip(map(_clean_key, payload), payload.values(), strict=True))


def _clean_key(key: str) -> str:
    """A key that breaks no token, with its `=`."""
    return _keys.get(key) or _remember(_keys, key, f"{_BREAKS_A_KEY.sub('_', key) or '_'}=")


def _remember(known: dict[str, str], written: str, clean: str) -> str:
    if len(known) < _REMEMBERED_MOST and len(written) <= REMEMBERED_LENGTH:
        known[written] = clean
    return clean


def _payload(cls: type[Event]) -> _Text:
    """What writes a class's payload as tokens."""
    names = cls.__struct_fields__[len(HEADER) :]
    keys = [f"{written}=" for written in cls.__struct_encode_fields__[len(HEADER) :]]
    if not names:
        return lambda event: ""
    if len(names) == 1:
        value_of = attrgetter(names[0])
        return lambda event: _tokens(((keys[0], value_of(event)),))
    values_of = attrgetter(*names)
    return lambda event: _tokens(zip(keys, values_of(event), strict=True))


def _tokens(pairs: Iterable[tuple[str, Any]]) -> str:
    """Values by what they are, the usual ones first: every event comes through here."""
    parts = []
    for key, value in pairs:
        cls = type(value)
        if cls is str:
            is_plain = "=" not in value and '"' not in value and len(value) <= TOKEN_MOST
            parts.append(key + (value if is_plain else _word(value)))
        elif cls is int or cls is float:
            parts.append(f"{key}{value}")
        elif cls is bool:
            parts.append(key + ("true" if value else "false"))
        elif value is None or value is UNSET:
            continue
        elif cls in _CONTAINERS:
            parts.append(key + _document(_as_json(value)))
        else:
            parts.append(key + _nested(value))
    message = " ".join(parts)
    return message if message.isprintable() else visible(message)


def _word(value: str) -> str:
    """A text as it stands; as JSON where it could be taken for more tokens."""
    if len(value) > TOKEN_MOST:
        value = cut_text(value, TOKEN_MOST)
    is_ambiguous = ("=" in value and " " in value) or ('"' in value and value[0] in '"[{')
    return _as_json(value) if is_ambiguous else value


def _document(written: str) -> str:
    """JSON as it stands; what is left of a long one is no JSON, and written as a text is."""
    return written if len(written) <= TOKEN_MOST else _word(written)


def _as_json(value: Any) -> str:
    try:
        return encode_value(value).decode()
    except Exception:  # noqa: BLE001 - a value's own code may raise anything; it spoils only itself
        return to_json(value).decode()


def _nested(value: Any) -> str:
    written = _as_json(value)
    if not written.startswith('"'):
        return _document(written)
    return _word(msgspec.json.decode(written))  # a date, an enum, bytes: text after all


def _text_read_back(event: Event) -> str:
    """The line of what a reader of the journal gets; failing that, a mark."""
    try:
        again = read_back(event)
        return _text_for(type(again))(again)
    except Exception as error:  # noqa: BLE001 - the mark names it
        return _marked(event, error)


def _marked(event: Event, error: Exception) -> str:
    ts: object = event.ts
    moment = ts if isinstance(ts, datetime) else _EPOCH
    kind = str(event.__struct_config__.tag)
    return line(moment, kind, kind.partition(":")[0], f"unreadable={type(error).__name__}")
