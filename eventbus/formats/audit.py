"""Changes to files as lines of `audit.jsonl`."""

from eventbus.event import Event
from eventbus.events.file import DirectoryMade, FileDeleted, FileWritten
from eventbus.formats.moment import stamp
from eventbus.formats.record import Record, to_json

__all__ = ["KINDS", "encode"]

KINDS = ("file:write", "file:delete", "file:mkdir")
UNKNOWN = "unknown"


class Mutation(Record, frozen=True, kw_only=True):
    """One change to a file."""

    timestamp: str
    op: str
    path: str
    size_bytes: int
    actor: str
    agent_name: str


def encode(event: Event) -> bytes | None:
    """The line of a change to a file."""
    if isinstance(event, FileWritten):
        return _line(event, "write", size_bytes=event.size_bytes or 0)
    if isinstance(event, FileDeleted):
        return _line(event, "delete", size_bytes=0)
    if isinstance(event, DirectoryMade):
        return _line(event, "mkdir", size_bytes=0)
    return None


def _line(event: FileWritten | FileDeleted | DirectoryMade, op: str, *, size_bytes: int) -> bytes:
    return to_json(
        Mutation(
            timestamp=stamp(event.ts),
            op=op,
            path=event.path,
            size_bytes=size_bytes,
            actor=event.actor or UNKNOWN,
            agent_name=event.agent_name or UNKNOWN,
        )
    )
