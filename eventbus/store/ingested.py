"""Foreign logs in the store: which were ingested, and their lines that are none of a flat log.

Every ingested line has its row in `events`. One that cannot be taken apart is
there as `log:unparsed`, with the reason; its bytes are in `unparsed_lines`.
"""

import os
from pathlib import Path

import msgspec

from eventbus.event import Event
from eventbus.events.log import LogIngested, LogLine
from eventbus.store.conditions import Conditions
from eventbus.store.engine import Reader, Writer
from eventbus.store.lineage import origin_of
from eventbus.store.topic import PATH_BYTES_MOST, Topic, in_text, stamp, whole

__all__ = [
    "TOPIC",
    "UNPARSED",
    "IngestedFile",
    "ingested_files",
    "is_recorded",
    "path_text",
    "unparsed_between",
]

UNPARSED = "log:unparsed"
"""The event type of a line that is kept as it is."""
FILES_MOST = 10_000
ONCE = "ON CONFLICT (event_id) DO NOTHING"


class IngestedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign log as it was when it had been ingested."""

    ts: str
    path: str
    file: str
    """Its fingerprint."""
    bytes: int
    last: str
    """The id of its last line."""
    lines: int
    unparsed: int


def ingested_files(
    store: Reader, *, path: str | None = None, file: str | None = None
) -> list[IngestedFile]:
    """What was ingested, the latest first: of one path, of one fingerprint, or all."""
    wishes = Conditions()
    wishes.add("path = ?", path)
    wishes.add("file = ?", file)
    rows = store.rows(
        "SELECT ts, path, file, bytes, last, lines, unparsed FROM ingested_files"
        f"{wishes.where} ORDER BY ts DESC, id DESC LIMIT {FILES_MOST}",
        wishes.values,
    )
    names = IngestedFile.__struct_fields__
    return [IngestedFile(**dict(zip(names, row, strict=True))) for row in rows]


def path_text(path: str | os.PathLike[str]) -> str:
    """An absolute path as text that any column holds."""
    text = os.fsencode(Path(path).absolute()).decode(errors="backslashreplace")
    return in_text(text, PATH_BYTES_MOST)


def is_recorded(store: Reader, path: str, last: str) -> bool:
    """Whether it is known that the file of that path goes up to that line now."""
    latest = store.row(
        "SELECT last FROM ingested_files WHERE path = ? ORDER BY ts DESC, id DESC LIMIT 1", (path,)
    )
    return latest is not None and latest[0] == last


def unparsed_between(store: Reader, first: str, last: str) -> set[str]:
    """Lines with ids from one to another that are kept as they are."""
    rows = store.rows(
        "SELECT event_id FROM unparsed_lines WHERE event_id >= ? AND event_id <= ? AND part = 0",
        (first, last),
    )
    return {row[0] for row in rows}


# --- landing -------------------------------------------------------------------------


def _land(writer: Writer, events: list[Event]) -> None:
    unparsed = [row for event in events if (row := _unparsed_row(event)) is not None]
    if unparsed:
        writer.insert(
            "unparsed_lines (event_id, file, place, part, reason, raw)", unparsed, then=ONCE
        )
    files = [_file_row(event) for event in events if isinstance(event, LogIngested)]
    if files:
        writer.insert(
            "ingested_files (event_id, ts, path, file, bytes, last, lines, unparsed)",
            files,
            then=ONCE,
        )


def _unparsed_row(event: Event) -> tuple[object, ...] | None:
    if not isinstance(event, LogLine) or event.event_type != UNPARSED:
        return None
    origin = origin_of(event.id)
    if origin is None or not isinstance(event.raw, bytes):  # somebody else's line of that name
        return None
    part = event.kv.get("part")
    return (
        event.id,
        origin.file,
        origin.place,
        whole(part) if isinstance(part, int) else 0,
        event.message,
        event.raw,
    )


def _file_row(event: LogIngested) -> tuple[object, ...]:
    return (
        event.id,
        stamp(event.ts),
        event.path,
        event.file,
        whole(event.bytes),
        event.last,
        whole(event.lines),
        whole(event.unparsed),
    )


TOPIC = Topic(
    name="ingested",
    tables=(
        """CREATE TABLE unparsed_lines (
            id {serial}, event_id TEXT NOT NULL UNIQUE,
            file TEXT NOT NULL, place {integer} NOT NULL, part {integer} NOT NULL,
            reason TEXT NOT NULL, raw {blob} NOT NULL){strict}""",
        "CREATE INDEX idx_unparsed_file ON unparsed_lines (file, place)",
        """CREATE TABLE ingested_files (
            id {serial}, event_id TEXT NOT NULL UNIQUE, ts TEXT NOT NULL,
            path TEXT NOT NULL, file TEXT NOT NULL, bytes {integer} NOT NULL,
            last TEXT NOT NULL, lines {integer} NOT NULL,
            unparsed {integer} NOT NULL){strict}""",
        "CREATE INDEX idx_ingested_path ON ingested_files (path, ts)",
        "CREATE INDEX idx_ingested_file ON ingested_files (file, ts)",
    ),
    events=(LogLine, LogIngested),
    land=_land,
)
