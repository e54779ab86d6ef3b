"""Tombstones: what stands in the place of a line that was erased, and is as long as it was.

So every place in the file stays what it was: cursors, seals and what the next
segment says of this one.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from eventbus.event import UNREADABLE
from eventbus.sealing.records import leaf_of

__all__ = ["TOMBSTONE_HEAD", "blank", "head_of", "tombstone", "tombstone_leaf"]

TOMBSTONE_HEAD = b'{"kind":"bus:erased"'
_FRONT = re.compile(rb'\{"kind":"([^"\\]*)","id":"([^"\\]*)","ts":"([^"\\]*)"')
_FLAT_STONES = (b"|erased:line|eventbus|erased", b"|e|e|", b"")


class _Stone(msgspec.Struct, frozen=True):
    leaf: str


_read = msgspec.json.Decoder(_Stone).decode


def head_of(line: bytes) -> tuple[str, str, str]:
    """A record's kind, id and time, as far as its front says them."""
    found = _FRONT.match(line)
    kind, id, ts = found.groups() if found is not None else (b"", b"", b"")
    return kind.decode(errors="replace"), id.decode(errors="replace"), ts.decode(errors="replace")


def tombstone(line: bytes, *, leaf: bytes | None = None) -> bytes:
    """What takes the place of a line of JSON, without its newline.

    It keeps the leaf, and of the id, the time and the kind what has room.
    """
    kind, id, ts = head_of(line)
    kept = urlsafe_b64encode(leaf or leaf_of(line)).rstrip(b"=")
    fields = [b',"leaf":"%s"' % kept]
    fields += [b',"%s":"%s"' % (word, text.encode()) for word, text in _words(kind, id, ts) if text]
    stone = TOMBSTONE_HEAD
    for field in fields:
        if len(stone) + len(field) + 1 <= len(line):
            stone += field
    if len(stone) + 1 > len(line):
        return b" " * len(line)
    return stone.ljust(len(line) - 1) + b"}"


def _words(kind: str, id: str, ts: str) -> tuple[tuple[bytes, str], ...]:
    return (b"id", id), (b"ts", ts), (b"was", kind)


def blank(line: bytes) -> bytes:
    """What takes the place of a line of text: its time, and nothing else."""
    ts = line[: line.find(b"|")] if b"|" in line else b""
    fitting = (ts + stone for stone in _FLAT_STONES if len(ts + stone) <= len(line))
    return next(fitting, b"").ljust(len(line))


def tombstone_leaf(line: bytes) -> bytes | None:
    """The leaf of the line that a tombstone stands for."""
    try:
        return urlsafe_b64decode(_read(line).leaf + "=")
    except (ValueError, *UNREADABLE):
        return None
