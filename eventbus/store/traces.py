"""Tool traces: each tool call a row, from its start to its finish."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from eventbus.errors import TraceUnknown
from eventbus.event import Event, new_id
from eventbus.events.traces import ToolFinished, ToolStarted, ToolUpdated
from eventbus.formats.record import read_back, to_json
from eventbus.store.engine import Reader, Row, Writer
from eventbus.store.folding import Folded, alone, faintly, folded_rows, keep_folded
from eventbus.store.openings import OPENS, first_opening_after, sessions_opened
from eventbus.store.pages import Page
from eventbus.store.topic import NO_SESSION, Topic, in_text, order_key, real, stamp, whole
from eventbus.store.walking import BY_NAME, Walk, as_struct, walk

__all__ = [
    "TOPIC",
    "ToolTrace",
    "open_traces",
    "start_trace",
    "trace",
    "traces",
    "update_trace",
]


class ToolTrace(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call; None where nothing is known yet."""

    id: str
    session_id: str
    chat_id: str
    message_id: str | None
    turn_number: int
    tool_name: str
    tool_input: Any
    tool_output: str | None
    """Text as it is, anything else as JSON."""
    started_at: str
    finished_at: str | None
    latency_ms: float | None
    tokens_used: int | None
    cache_tokens: int | None
    reasoning_tokens: int | None
    error: str | None
    outcome: str | None
    """`success`, `error`, `cancelled` or `abandoned`; None: unfinished."""
    created_at: str


UNKNOWN = "unknown"
_COLUMNS = ToolTrace.__struct_fields__
_KEPT = (*_COLUMNS, "is_open")

TABLES = (
    """CREATE TABLE tool_traces (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL, chat_id TEXT NOT NULL, message_id TEXT,
        turn_number {integer} NOT NULL,
        tool_name TEXT NOT NULL, tool_input TEXT NOT NULL, tool_output TEXT,
        started_at TEXT NOT NULL, finished_at TEXT, latency_ms {real},
        tokens_used {integer}, cache_tokens {integer}, reasoning_tokens {integer},
        error TEXT, outcome TEXT, created_at TEXT NOT NULL,
        is_open {integer} NOT NULL, as_of TEXT NOT NULL){strict}""",
    "CREATE INDEX idx_tool_traces_started ON tool_traces (started_at, id)",
    "CREATE INDEX idx_tool_traces_chat ON tool_traces (chat_id, started_at, id)",
    "CREATE INDEX idx_tool_traces_session ON tool_traces (session_id, started_at, id)",
    """CREATE INDEX idx_tool_traces_open ON tool_traces (session_id, started_at, id)
        WHERE is_open = 1""",
)

# --- landing -----------------------------------------------------------------------


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Start, update and finish traces; close what a session's earlier life left open."""
    told = [event for event in events if isinstance(event, _TELLS)]
    opened = sessions_opened(events)
    if not told and not opened:
        return
    alone(writer, "tool_traces")
    left_open = _open_ids(writer, opened)
    rows = folded_rows(
        writer, "tool_traces", _KEPT, [*(in_text(event.trace) for event in told), *left_open]
    )
    for event in told:
        _take(rows[in_text(event.trace)], event)
    for row in rows.values():
        _settle(writer, row)
    keep_folded(writer, "tool_traces", _KEPT, rows)


_TELLS = (ToolStarted, ToolUpdated, ToolFinished)


def _open_ids(reader: Reader, session_ids: Iterable[str]) -> list[str]:
    return [
        row[0]
        for id in session_ids
        for row in reader.rows(
            "SELECT id FROM tool_traces WHERE session_id = ? AND is_open = 1", (id,)
        )
    ]


def _take(row: Folded, event: ToolStarted | ToolUpdated | ToolFinished) -> None:
    """Take what an event says; who acted, and when it began, is the start's to say."""
    key = order_key(event)
    is_start = isinstance(event, ToolStarted)
    row.say_as_one(key if is_start else faintly(key), "begun", **_begun(event))
    row.say(key, **_named(event))


def _begun(event: ToolStarted | ToolUpdated | ToolFinished) -> dict[str, Any]:
    scope, ts = event.scope, stamp(event.ts)
    session = in_text(scope.session or NO_SESSION)
    turn, input = (
        (event.turn, event.input) if isinstance(event, ToolStarted) else (scope.turn, None)
    )
    name = None if isinstance(event, ToolUpdated) else event.name
    return {
        "session_id": session,
        "chat_id": scope.chat or session,
        "turn_number": whole(scope.turn if turn is None else turn) or 0,
        "tool_name": name or UNKNOWN,
        "tool_input": to_json(input).decode(),
        "started_at": ts,
        "created_at": ts,
    }


def _named(event: ToolStarted | ToolUpdated | ToolFinished) -> dict[str, Any]:
    """The fields that an event changes, as their columns hold them."""
    if isinstance(event, ToolUpdated):
        named = {
            name: getattr(event, name)
            for name in _FORMS
            if getattr(event, name, msgspec.UNSET) is not msgspec.UNSET
        }
    else:
        named = {
            name: getattr(event, name) for name in _FORMS if getattr(event, name, None) is not None
        }
    if isinstance(event, ToolFinished):
        named["finished_at"] = event.ts
    return {
        _COLUMN_OF.get(name, name): None if value is None else _FORMS[name](value)
        for name, value in named.items()
    }


def _output(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "message_id": str,
    "output": _output,
    "finished_at": stamp,
    "latency_ms": real,
    "tokens_used": whole,
    "cache_tokens": whole,
    "reasoning_tokens": whole,
    "error": str,
    "outcome": str,
}
"""What an update may name, and how its column has it."""
_COLUMN_OF = {"output": "tool_output"}


def _settle(reader: Reader, row: Folded) -> None:
    """Say whether it is still open, and close it if its session was opened again since."""
    unsaid = [name for name in _ENDS if not row.is_said(name)]
    is_open = all(row.fields.get(name) is None for name in _ENDS if name not in unsaid)
    opened = None
    if is_open and row.is_said("begun"):
        opened = first_opening_after(reader, row.fields["session_id"], row.as_of["begun"])
    closed = {"outcome": "abandoned" if opened is not None else None, "finished_at": opened}
    row.fields |= {name: closed[name] for name in unsaid} | {"is_open": int(is_open)}


_ENDS = ("outcome", "finished_at")


TOPIC = Topic(
    name="traces",
    tables=TABLES,
    events=(*_TELLS, *OPENS),
    land=land,
)

# --- questions ---------------------------------------------------------------------

_TRACES = Walk(
    columns=", ".join(_COLUMNS),
    source="tool_traces",
    key=("started_at", "id"),
    form=BY_NAME,
)


def traces(
    store: Reader,
    *,
    chat_id: str | None = None,
    session_id: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[ToolTrace]:
    """Tool calls in the order they began, oldest first: of a chat, a session, or all."""
    way = _TRACES.where(chat_id=chat_id, session_id=session_id)
    return walk(store, way, limit=limit, cursor=cursor, read=_trace)


def open_traces(
    store: Reader, *, session_id: str | None = None, limit: int = 100, cursor: str | None = None
) -> Page[ToolTrace]:
    """Tool calls that nobody has finished, the abandoned ones among them, oldest first."""
    way = _TRACES.given("is_open = 1").where(session_id=session_id)
    return walk(store, way, limit=limit, cursor=cursor, read=_trace)


def trace(store: Reader, id: str) -> ToolTrace | None:
    """One tool call; None where there is none of that id."""
    row = store.row(f"SELECT {_TRACES.columns} FROM tool_traces WHERE id = ?", (id,))
    return None if row is None else _trace(row)


_as_trace = as_struct(ToolTrace)


def _trace(row: Row) -> ToolTrace:
    found = _as_trace(row)
    return msgspec.structs.replace(found, tool_input=msgspec.json.decode(found.tool_input))


# --- asking for a change -------------------------------------------------------------


def start_trace(
    emit: Callable[[Event], object],
    name: str,
    input: Any = None,
    *,
    id: str | None = None,
    message_id: str | None = None,
    turn: int | None = None,
) -> ToolTrace:
    """Emit that a tool call begins; the row it will be."""
    event = ToolStarted(
        trace=id or new_id(), name=name, input=input, message_id=message_id, turn=turn
    )
    emit(event)
    fields = dict.fromkeys(_COLUMNS) | {"id": event.trace} | _begun(event) | _named(event)
    return _trace(tuple(fields.values()))


def update_trace(
    store: Reader, emit: Callable[[Event], object], trace_or_id: ToolTrace | str, **fields: Any
) -> ToolTrace:
    """Emit a change of the fields named, and of no others; the row it will be.

    With no field named nothing is emitted. Raises `TraceUnknown` for an id that
    is not in the store: one just started may not have landed, so hand in its row.
    """
    row = trace(store, trace_or_id) if isinstance(trace_or_id, str) else trace_or_id
    if row is None:
        raise TraceUnknown(f"no tool trace {trace_or_id!r} in the store; nothing was changed")
    if not fields:
        return row
    event = _update(row.id, fields)
    emit(event)
    return msgspec.structs.replace(row, **_named(event))


def _update(id: str, fields: dict[str, Any]) -> ToolUpdated:
    allowed = {_COLUMN_OF.get(name, name): name for name in _FORMS}
    for name in fields:
        if name not in allowed:
            raise TypeError(f"no update changes {name!r}; one may name {', '.join(allowed)}")
    event = ToolUpdated(trace=id, **{allowed[name]: value for name, value in fields.items()})
    again = read_back(event)
    if not isinstance(again, ToolUpdated):
        raise TypeError(f"no trace can be as {fields!r} says; see the fields of ToolUpdated")
    return again
