"""Table `events`: every event one row, as the flat log has it and with its payload."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from eventbus.cutting import cut_mark
from eventbus.event import Event, UnknownEvent, payload_of
from eventbus.events.log import LogLine
from eventbus.events.session import SnapshotSaved
from eventbus.formats import flat
from eventbus.formats.flat_lines import tokens
from eventbus.formats.record import to_json
from eventbus.sinkthread import in_parts
from eventbus.store.engine import Reader, Values, Writer
from eventbus.store.ingested import UNPARSED
from eventbus.store.topic import UTF8_MOST, Topic, cut_name

__all__ = [
    "COLUMNS",
    "TOPIC",
    "Lined",
    "land_lines",
    "landed_between",
    "landed_ids",
    "moment_of_row",
    "row_of",
]

TOPIC = Topic(
    name="events",
    tables=(
        """CREATE TABLE events (
            id {serial},
            ts TEXT NOT NULL, event_type TEXT NOT NULL, source TEXT NOT NULL,
            message TEXT NOT NULL, session_id TEXT, kv_json TEXT,
            raw_line TEXT NOT NULL, raw_bytes {blob},
            event_id TEXT NOT NULL UNIQUE,
            component TEXT, chat_id TEXT, user_id TEXT){strict}""",
        "CREATE INDEX idx_events_ts ON events (ts)",
        "CREATE INDEX idx_events_type_ts ON events (event_type, ts)",
        "CREATE INDEX idx_events_session_ts ON events (session_id, ts)",
    ),
)

COLUMNS = (
    "events (ts, event_type, source, message, session_id, kv_json, raw_line, raw_bytes,"
    " event_id, component, chat_id, user_id)"
)
ONCE = "ON CONFLICT (event_id) DO NOTHING"
IDS_A_QUESTION = 500
BEHIND = 3_000
"""Events of a batch that is made in one go: a lane that keeps up has smaller ones, and one that
is behind has nearly four thousand in each."""
ROWS_A_PART = 16
"""Rows made before the app's loop may have a turn: about a tenth of a millisecond."""
PAYLOAD_BYTES_MOST = 1024 * 1024
"""Bytes of JSON that a payload may have; of a longer one its length and digest are kept."""
_CAUSE = b',"cause":'


class Lined(msgspec.Struct, frozen=True, gc=False):
    """An event as the journal has it, with its line."""

    event: Event
    line: bytes
    fits: Event
    """The same with an id and names that an index takes."""


def land_lines(writer: Writer, lined: Sequence[Lined]) -> Sequence[Lined]:
    """Land each event that is not there yet; those that were not."""
    try:
        with writer.savepoint():
            landed = writer.insert(COLUMNS, _rows_of(lined), then=ONCE)
            if landed != len(lined):
                raise _Twice
    except _Twice:
        lined = _those_new(writer, lined)
        if lined:
            writer.insert(COLUMNS, [row_of(each) for each in lined])
    return lined


def _rows_of(lined: Sequence[Lined]) -> list[Values]:
    return [
        row
        for part in in_parts(list(lined), ROWS_A_PART, behind=BEHIND)
        for row in map(row_of, part)
    ]


class _Twice(Exception):
    """Some of them were there, or are twice among them: rare, and worth a second look."""


def _those_new(reader: Reader, lined: Sequence[Lined]) -> list[Lined]:
    there = landed_ids(reader, [each.fits.id for each in lined])
    by_id = {each.fits.id: each for each in reversed(lined)}
    return [each for id, each in reversed(by_id.items()) if id not in there]


def landed_ids(reader: Reader, ids: Sequence[str]) -> set[str]:
    """Which of these events have a row."""
    found: set[str] = set()
    for start in range(0, len(ids), IDS_A_QUESTION):
        part = ids[start : start + IDS_A_QUESTION]
        marks = ", ".join("?" * len(part))
        rows = reader.rows(f"SELECT event_id FROM events WHERE event_id IN ({marks})", part)
        found.update(row[0] for row in rows)
    return found


def landed_between(reader: Reader, first: str, last: str) -> set[str]:
    """Events with ids from one to another that have a row."""
    rows = reader.rows(
        "SELECT event_id FROM events WHERE event_id >= ? AND event_id <= ?", (first, last)
    )
    return {row[0] for row in rows}


def moment_of_row(reader: Reader, id: str) -> datetime | None:
    """When an event that has landed happened."""
    row = reader.row("SELECT ts FROM events WHERE event_id = ?", (id,))
    return datetime.fromisoformat(row[0]) if row is not None else None


def row_of(lined: Lined) -> tuple[object, ...]:
    """An event as its row, in the order of `COLUMNS`."""
    event, fits = lined.event, lined.fits
    scope = fits.scope
    text = flat.text(event)
    ts, kind, source, message = text.split("|", 3)
    raw = _raw_of(event) if isinstance(event, LogLine) else None
    if raw is not None and (exact := _exact_text(raw)) is not None:
        text, raw = exact, None
    return (
        ts,
        cut_name(kind),
        source,
        message,
        scope.session or _session_said(event, message),
        (_payloads.get(type(event)) or _payload_for(type(event)))(event, lined.line, message),
        text,
        raw,
        fits.id,
        scope.component,
        scope.chat,
        scope.user,
    )


def _raw_of(event: LogLine) -> bytes | None:
    """The bytes of an ingested line that is not as we would write it."""
    if isinstance(event.raw, bytes) and event.event_type != UNPARSED:
        return event.raw
    return None


def _exact_text(raw: bytes) -> str | None:
    """The line as text, where that and a newline is all of it, and nothing in it hides."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text[:-1] if text.endswith("\n") and text[:-1].isprintable() else None


def _session_said(event: Event, message: str) -> str | None:
    """The session a line speaks of where no scope has it."""
    if "session_id=" not in message:
        return None
    said = tokens(message).get("session_id")
    return cut_name(said) if said else None


# --- what an event says besides its header, as JSON ----------------------------------


def _payload_cut_out(event: Event, line: bytes, message: str) -> str | None:
    payload = _after_the_header(line)
    return payload if len(line) <= PAYLOAD_BYTES_MOST else _within_bounds(payload)


def _payload_of_log(event: Event, line: bytes, message: str) -> str | None:
    assert isinstance(event, LogLine)
    kv = event.kv or (tokens(event.message) if "=" in event.message else None)
    return to_json(kv).decode() if kv else None


def _payload_whole(event: Event, line: bytes, message: str) -> str | None:
    """Of a snapshot: what an earlier save is restored from."""
    return _after_the_header(line)


def _payload_unknown(event: Event, line: bytes, message: str) -> str | None:
    assert isinstance(event, UnknownEvent)
    as_written = payload_of(line)
    has_been_read = message and not message.startswith(flat.UNREAD)
    if as_written is None or not has_been_read:
        payload = event.payload
        if not payload:
            return None
        as_written = as_written or to_json(payload)
    return _within_bounds(as_written.decode())


_Payload = Callable[[Event, bytes, str], str | None]
_UNUSUAL: tuple[tuple[type[Event], _Payload], ...] = (
    (LogLine, _payload_of_log),
    (SnapshotSaved, _payload_whole),
    (UnknownEvent, _payload_unknown),
)
_payloads: dict[type[Event], _Payload] = {}


def _payload_for(cls: type[Event]) -> _Payload:
    found = (payload for base, payload in _UNUSUAL if issubclass(cls, base))
    return _payloads.setdefault(cls, next(found, _payload_cut_out))


def _within_bounds(payload: str | None) -> str | None:
    if payload is None or len(payload) * UTF8_MOST <= PAYLOAD_BYTES_MOST:
        return payload
    raw = payload.encode()
    if len(raw) <= PAYLOAD_BYTES_MOST:
        return payload
    return to_json({"cut": cut_mark(raw)}).decode()


def _after_the_header(line: bytes) -> str | None:
    """A record's payload, cut out of its line: nothing else can begin with `,"cause":` there."""
    start = line.index(_CAUSE) + len(_CAUSE)
    if line.startswith(b"null,", start):
        return "{" + line[start + 5 :].decode()
    end = (
        line.find(b",", start)
        if line[start] != 0x22
        else line.find(b",", line.find(b'"', start + 1))
    )
    return None if end < 0 else "{" + line[end + 1 :].decode()
