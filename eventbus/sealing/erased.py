"""What erasing declared: which blocks hold tombstones, and what they are with them."""

import hashlib
from collections.abc import Iterable

from eventbus.kinds import is_critical_line
from eventbus.sealing.lines import Lines
from eventbus.sealing.records import Block, Erased, leaf_of
from eventbus.sealing.tombstones import TOMBSTONE_HEAD, tombstone_leaf

__all__ = ["Erasures"]


class Erasures:
    """Every declared erasure of a state directory."""

    def __init__(self, declared: Iterable[Erased] = ()) -> None:
        self._digests: dict[tuple[int, int, int], set[str]] = {}
        self._leaves: set[str] = set()
        """Of the critical lines that were erased."""
        for one in declared:
            for block in one.blocks:
                place = (block.chain, block.start, block.end)
                self._digests.setdefault(place, set()).add(block.digest)
            self._leaves.update(line.leaf for line in one.lines if line.critical)

    def explain(self, block: Block, lines: Lines, shift: int, *, is_every: bool) -> bool:
        """True when the block is as an erasure left it, and no critical line else is changed."""
        start, end = block.start + shift, block.end + shift
        said = self._digests.get((block.chain, block.start, block.end), set())
        if not said or end > lines.size or lines.digest(start, end) not in said:
            return False
        blob = lines.read(start, end)
        return leaves_digest(blob, self._leaves, is_every=is_every) == block.leaves


def leaves_digest(blob: bytes, erased: set[str], *, is_every: bool) -> str:
    """SHA-256 over the leaves of the critical lines, a tombstone standing for its own."""
    digest = hashlib.sha256()
    for line in blob.split(b"\n")[:-1]:
        if line.startswith(TOMBSTONE_HEAD):
            stone = tombstone_leaf(line)
            if stone is not None and stone.hex() in erased:
                digest.update(stone)
        elif is_every or is_critical_line(line):
            digest.update(leaf_of(line))
    return digest.hexdigest()
