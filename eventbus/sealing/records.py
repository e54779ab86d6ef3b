"""What stands in a `.seals` file: one JSON line a record, each over the one before.

A chain is one run of seals over one file. It begins, seals block after block,
and ends; its records are counted by their epoch, and each is authenticated
with the key of that epoch. What was taken away on purpose is declared by a
record that is a chain of its own.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from eventbus.event import UNREADABLE
from eventbus.kinds import critical_lines

__all__ = [
    "DECLARED",
    "SEALS",
    "Begun",
    "Block",
    "Ended",
    "Erased",
    "ErasedBlock",
    "ErasedLine",
    "Pruned",
    "PrunedFile",
    "Record",
    "Renamed",
    "Written",
    "digest_of",
    "is_authentic",
    "leaf_of",
    "leaves_in",
    "read_records",
    "write_record",
]

SEALS = ".seals"
"""What is added to the name of a file for the one that holds its seals."""
DECLARED = "declared" + SEALS
"""The file of what was pruned and erased, in the state directory."""
_MAC_BYTES = len(',"mac":""}') + 64


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag_field="seal", tag="begin"):
    """A chain begins over a file."""

    chain: int
    """Its number; those of a state directory are consecutive."""
    epoch: int = 0
    of: str
    """The file's name."""
    start: int
    """Bytes that stand before what it seals."""
    lines: int
    """Lines that stand before it."""
    every: bool = False
    """True where every line is as good as critical."""
    at: datetime
    lost: tuple[int, ...] = ()
    """Chains whose run died before it had sealed anything."""
    before: str
    """The digest of the record before this one in its file."""


class Block(msgspec.Struct, frozen=True, kw_only=True, tag_field="seal", tag="block"):
    """A stretch of whole lines is as it was written."""

    chain: int
    epoch: int
    first: int
    """Its first line, counted from 1."""
    last: int
    start: int
    """Its first byte."""
    end: int
    digest: str
    """SHA-256 of its bytes."""
    leaves: str
    """SHA-256 over the leaves of its critical lines, one behind the other."""
    critical: int
    """How many those are."""
    at: datetime
    late: bool = False
    """True when it was sealed as it was found: it may have been altered before."""
    before: str

    @property
    def number(self) -> int:
        """Its place among the blocks of its chain, from 1."""
        return self.epoch


class Renamed(msgspec.Struct, frozen=True, kw_only=True, tag_field="seal", tag="rename"):
    """The file is about to be given another name; its chain may go on."""

    chain: int
    epoch: int
    named: str
    at: datetime
    before: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag_field="seal", tag="end"):
    """A chain seals nothing more."""

    chain: int
    epoch: int
    why: str
    """`closed`, `turned` to the next file, `renamed`, or `mended` for one who died."""
    named: str | None = None
    """What the file is called from then on."""
    at: datetime
    before: str


class PrunedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed file that was deleted for its age or size."""

    name: str
    chains: tuple[int, ...]
    last: str
    """The digest of the last record of its seals."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True, tag_field="seal", tag="pruned"):
    """Sealed files are deleted, because they were old or too many."""

    chain: int
    epoch: int = 0
    files: tuple[PrunedFile, ...]
    at: datetime
    lost: tuple[int, ...] = ()
    before: str


class ErasedLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line whose place a tombstone has."""

    line: int
    leaf: str
    critical: bool = False
    kind: str = ""
    id: str = ""


class ErasedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """What a block's bytes are with the tombstones in it."""

    chain: int
    start: int
    end: int
    digest: str


class Erased(msgspec.Struct, frozen=True, kw_only=True, tag_field="seal", tag="erased"):
    """Lines of a file were replaced by tombstones."""

    chain: int
    epoch: int = 0
    of: str
    """The file's name, without what packing adds to it."""
    lines: tuple[ErasedLine, ...]
    blocks: tuple[ErasedBlock, ...]
    where: str
    """What was asked for: `user=…`."""
    by: str
    why: str
    at: datetime
    lost: tuple[int, ...] = ()
    before: str


Record = Begun | Block | Renamed | Ended | Pruned | Erased

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class Written(msgspec.Struct, frozen=True):
    """A record as it stands in its file."""

    record: Record | None
    """None when the line cannot be read as one."""
    line: bytes
    number: int
    """Its line, counted from 1."""


def write_record(record: Record, key: bytes) -> bytes:
    """The line of a record, authenticated, with its newline."""
    content = _encode(record)
    mac = hmac.digest(key, content, "sha256").hex()
    return b'%s,"mac":"%s"}\n' % (content[:-1], mac.encode())


def is_authentic(line: bytes, key: bytes) -> bool:
    """True when the record was written by one who had the key of its epoch."""
    content, said = line[:-_MAC_BYTES] + b"}", line[-66:-2]
    mac = hmac.digest(key, content, "sha256").hex().encode()
    return line[-_MAC_BYTES:] == b',"mac":"%s"}' % said and hmac.compare_digest(mac, said)


def read_records(content: bytes) -> Iterator[Written]:
    """Every whole line of a `.seals` file."""
    *lines, _ = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield Written(_decode(line), line, number)
        except UNREADABLE:
            yield Written(None, line, number)


def digest_of(line: bytes) -> str:
    """What the next record calls the one before it."""
    return hashlib.sha256(line).hexdigest()


def leaf_of(line: bytes) -> bytes:
    """A line's leaf, without its newline."""
    return hashlib.sha256(line).digest()


def leaves_in(lines: Iterable[bytes], *, every: bool = False) -> list[bytes]:
    """The leaves of those that are critical."""
    sha256 = hashlib.sha256
    return [sha256(line).digest() for line in (lines if every else critical_lines(lines))]
