"""A session's timeline: what happened in it, one entry an event, in order."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from eventbus.store.engine import Reader, Row
from eventbus.store.pages import Page, clamped, write_page_cursor
from eventbus.store.walking import BY_MOMENT, Walk, walk

__all__ = ["SHOWN", "Entry", "entry", "timeline", "timeline_around"]

SHOWN = (
    "session:*",
    "conversation:*",
    "channel:*",
    "dispatch:*",
    "tool:*",
    "llm:response",
    "llm:error",
    "task:*",
    "routing:*",
    "agent:*",
    "file:*",
    "command:finish",
    "build:finish",
    "worker:*",
    "error:*",
)
"""The kinds a timeline has unless others are asked for."""

DETAILS_MOST = 65_536
"""Characters of an entry's details in a page; larger ones are asked for by `entry`."""
TITLE_MOST = 160


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a timeline."""

    id: str
    """The event's."""
    ts: str
    kind: str
    title: str
    """A short line for people."""
    component: str | None
    details: Any
    """What the event says, as JSON has it; None where that is nothing, or too much for a page."""
    is_whole: bool
    """False: its details are too much for a page."""


_DETAILS = f"CASE WHEN length(kv_json) > {DETAILS_MOST} THEN NULL ELSE kv_json END"
_IS_WHOLE = f"CASE WHEN length(kv_json) > {DETAILS_MOST} THEN 0 ELSE 1 END"
_MESSAGE = f"substr(message, 1, {2 * TITLE_MOST})"
_EVENTS = Walk(
    columns=f"event_id, ts, event_type, {_MESSAGE}, component, {_DETAILS}, {_IS_WHOLE}",
    source="events",
    key=("ts", "id"),
    form=BY_MOMENT,
    along="idx_events_session_ts",
)


def timeline(
    store: Reader,
    session_id: str,
    *,
    kinds: Iterable[str] = SHOWN,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[Entry]:
    """What happened in a session, oldest first; `kinds` are exact, `topic:*` or `*`."""
    return walk(store, _way(session_id, kinds), limit=limit, cursor=cursor, read=_entry)


def timeline_around(
    store: Reader, event_id: str, *, kinds: Iterable[str] = SHOWN, limit: int = 100
) -> Page[Entry] | None:
    """The page with an event in its middle; None where no session has that event."""
    place = store.row("SELECT session_id, ts, id FROM events WHERE event_id = ?", (event_id,))
    if place is None or place[0] is None:
        return None
    session_id, ts, id = place
    way, half = _way(session_id, kinds), max(1, clamped(limit) // 2)
    before = walk(store, way, limit=half, cursor=write_page_cursor("previous", ts, id), read=_entry)
    after = walk(store, way, limit=half, cursor=write_page_cursor("next", ts, id - 1), read=_entry)
    return Page(before.items + after.items, next=after.next, previous=before.previous)


def entry(store: Reader, event_id: str) -> Entry | None:
    """One event as an entry with all its details; None where it has not landed."""
    row = store.row(
        f"SELECT event_id, ts, event_type, {_MESSAGE}, component, kv_json, 1"
        " FROM events WHERE event_id = ?",
        (event_id,),
    )
    return None if row is None else _entry(row)


def _way(session_id: str, kinds: Iterable[str]) -> Walk:
    way = _EVENTS.where(session_id=session_id)
    wanted = list(dict.fromkeys(kinds))
    if "*" in wanted:
        return way
    topics = [kind[:-1] for kind in wanted if kind.endswith(":*")]
    exact = [kind for kind in wanted if not kind.endswith(":*")]
    either = [f"substr(event_type, 1, {len(topic)}) = ?" for topic in topics]
    either += ["event_type = ?"] * len(exact)
    return way.given(f"({' OR '.join(either) or '1 = 0'})", *topics, *exact)


def _entry(row: Row) -> Entry:
    id, ts, kind, message, component, payload, is_whole = row
    details = None if payload is None else msgspec.json.decode(payload)
    return Entry(
        id=id,
        ts=ts,
        kind=kind,
        title=_title(kind, message, details),
        component=component,
        details=details,
        is_whole=bool(is_whole),
    )


# --- titles ------------------------------------------------------------------------


def _title(kind: str, message: str, details: Any) -> str:
    words = _WORDS.get(kind)
    told = words(details) if words is not None and isinstance(details, dict) else None
    title = " ".join((told or f"{kind} {message}").split())
    return title if len(title) <= TITLE_MOST else f"{title[: TITLE_MOST - 1]}…"


def _in_words(*words: object) -> str:
    return " ".join(str(word) for word in words if word not in (None, ""))


def _took(details: Mapping[str, Any], field: str = "duration_ms") -> str | None:
    """How long it took, if that is known."""
    ms = details.get(field)
    return None if ms is None else f"in {round(ms)} ms"


def _tool_finished(details: Mapping[str, Any]) -> str:
    name = details.get("name") or "tool call"
    return _in_words(name, details.get("outcome"), _took(details, "latency_ms"), _why(details))


def _why(details: Mapping[str, Any]) -> str | None:
    error = details.get("error")
    if isinstance(error, dict):
        error = error.get("message") or error.get("name")
    return f"- {error}" if error else None


def _answered(details: Mapping[str, Any]) -> str:
    used = details.get("usage") or {}
    read = sum(used.get(name, 0) for name in _INPUT)
    written = used.get("output_visible", 0) + used.get("reasoning", 0)
    tokens = f"{read} tokens in, {written} out" if used else None
    return _in_words(details.get("model"), "answered", _took(details, "latency_ms"), tokens)


_INPUT = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")


def _message(details: Mapping[str, Any]) -> str:
    who = _in_words(details.get("channel"), details.get("user"))
    return f"{details.get('direction')} {who}: {details.get('preview') or ''}".rstrip(": ")


def _ran(details: Mapping[str, Any]) -> str:
    ended = "timed out" if details.get("timed_out") else f"exit {details.get('exit')}"
    return _in_words(*details.get("argv", ()), "-", ended, _took(details))


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "conversation:turn": lambda it: _in_words("turn", it.get("turns"), _took(it)),
    "channel:message": _message,
    "dispatch:finish": lambda it: _in_words(
        "dispatch", it.get("status"), it.get("model"), _took(it), _why(it)
    ),
    "tool:start": lambda it: _in_words(it.get("name"), "began"),
    "tool:finish": _tool_finished,
    "llm:response": _answered,
    "llm:error": lambda it: _in_words(it.get("model"), "failed", _why(it)),
    "task:finish": lambda it: _in_words(
        "task by", it.get("model"), f"({it.get('routing')})", _took(it, "latency_ms")
    ),
    "task:rate": lambda it: _in_words("task", it.get("task"), "rated", it.get("quality_rating")),
    "agent:spawn": lambda it: _in_words(it.get("agent"), "started", it.get("reason")),
    "file:write": lambda it: _in_words("wrote", it.get("path")),
    "file:delete": lambda it: _in_words("deleted", it.get("path")),
    "file:mkdir": lambda it: _in_words("made", it.get("path")),
    "command:finish": _ran,
    "build:finish": _ran,
    "error:runtime": lambda it: f"{it.get('type')}: {it.get('message')}",
    "error:validation": lambda it: f"{it.get('type')}: {it.get('message')}",
    "error:io": lambda it: f"{it.get('type')}: {it.get('message')}",
    "error:tool": lambda it: _in_words(
        it.get("tool"), f"raised {it.get('type')}: {it.get('message')}"
    ),
    "error:reload": lambda it: f"reload failed, {it.get('type')}: {it.get('message')}",
    "session:snapshot": lambda it: _in_words("saved at turn", it.get("turn_number")),
    "session:resume": lambda it: _in_words("went on from turn", it.get("turn_number")),
}
"""What to call an event of that kind, from its payload."""
