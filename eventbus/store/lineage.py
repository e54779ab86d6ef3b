"""The id of an ingested line: which file, where in it, and all that stands before.

`in-{file}-{place}-{chain}`: the chain is a digest of the line and of the chain
before it. So a line has one id whoever ingests it and how often, in a file
that grew or was rotated away too, and two files that begin alike part where
they differ. Ids of a file sort as its lines stand.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

import msgspec

__all__ = [
    "FINGERPRINT",
    "FIRST",
    "PLACE_LETTERS",
    "Chain",
    "Origin",
    "file_of",
    "id_at",
    "next_digest",
    "origin_of",
]

IDS_OF_LINES = "in-"
FIRST = b""
"""The chain before the first line."""
DIGEST_BYTES = 16
FILE_LETTERS = 12
PLACE_LETTERS = 12
FINGERPRINT = re.compile(f"[0-9a-f]{{{FILE_LETTERS}}}")
"""What the fingerprint of a file looks like."""
_PLACE_AT = len(IDS_OF_LINES) + FILE_LETTERS + 1
_CHAIN_AT = _PLACE_AT + PLACE_LETTERS + 1
_ID_LETTERS = _CHAIN_AT + 2 * DIGEST_BYTES


class Chain(msgspec.Struct):
    """Gives the pieces of one file their ids, in order."""

    file: str = ""
    """The file's fingerprint, that of its first line; empty before that."""
    place: int = 0
    """Where the next piece begins."""
    digest: bytes = FIRST
    last: str = ""
    """The id of the last piece."""

    def ids(self, pieces: list[bytes]) -> list[str]:
        """The ids of the pieces that follow."""
        if not self.file:
            self.file = file_of(pieces[0])
        digest, place, front = self.digest, self.place, f"{IDS_OF_LINES}{self.file}-"
        ids = []
        for piece in pieces:
            digest = blake2b(digest + piece, digest_size=DIGEST_BYTES).digest()
            ids.append(f"{front}{place:012x}-{digest.hex()}")
            place += len(piece)
        self.digest, self.place, self.last = digest, place, ids[-1]
        return ids


def next_digest(digest: bytes, piece: bytes) -> bytes:
    """The chain once a piece has been added to it."""
    return blake2b(digest + piece, digest_size=DIGEST_BYTES).digest()


def file_of(first: bytes) -> str:
    """The fingerprint of a file that begins with this piece."""
    return next_digest(FIRST, first).hex()[:FILE_LETTERS]


def id_at(file: str, place: int) -> str:
    """What sorts before the ids of a file's lines from a place on, and behind those before it."""
    return f"{IDS_OF_LINES}{file}-{place:012x}-{'0' * 2 * DIGEST_BYTES}"


class Origin(NamedTuple):
    """What the id of an ingested line says."""

    file: str
    place: int
    digest: bytes


def origin_of(id: str) -> Origin | None:
    """Where an ingested line stood; None for the id of any other event."""
    if len(id) != _ID_LETTERS or not id.startswith(IDS_OF_LINES):
        return None
    try:
        place = int(id[_PLACE_AT : _CHAIN_AT - 1], 16)
        return Origin(id[len(IDS_OF_LINES) : _PLACE_AT - 1], place, bytes.fromhex(id[_CHAIN_AT:]))
    except ValueError:
        return None
