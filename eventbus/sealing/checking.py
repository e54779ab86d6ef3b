"""A file's lines held against its seals."""

from collections.abc import Sequence
from itertools import pairwise

from eventbus.sealing.erased import Erasures
from eventbus.sealing.findings import Checked, Span
from eventbus.sealing.lines import Lines
from eventbus.sealing.records import Begun, Block, Ended, Written

__all__ = ["FileCheck"]

TRIES_MOST = 5_000
"""Places at which a block is looked for once lines before it were put in or taken out."""
WINDOW = 1 << 20
"""Bytes in which such places are looked for."""
LAST = "turned"
"""Why a chain ended behind which nobody writes on."""


class FileCheck:
    """One file: walks its seals in order, and the lines along with them."""

    def __init__(
        self, name: str, checked: Checked, erasures: Erasures, *, is_live: bool = False
    ) -> None:
        self._name = name
        self._lines: Lines
        self._checked = checked
        self._erasures = erasures
        self._is_live = is_live
        self._end = self._line = 0
        """Bytes and lines that seals have accounted for."""
        self._shift = 0
        """Bytes by which what follows has moved."""
        self._is_every = False
        """True where every line is a critical one."""
        self._was_as_sealed = True
        """False when the block before is altered: then it is no news that lines moved."""
        self._is_closed = False
        """True when the last chain ended so that nothing may follow."""

    def run(self, records: Sequence[Written], lines: Lines) -> None:
        """Hold every block against the lines it covers, and say what none covers."""
        self._lines = lines
        read = [written.record for written in records]
        for record, after in pairwise([*read, None]):
            if isinstance(record, Begun):
                self._pass_to(record)
            elif isinstance(record, Block):
                self._check_block(record, after if isinstance(after, Block) else None)
            elif isinstance(record, Ended):
                self._is_closed = record.why == LAST
        self._check_rest()

    def say(self, kind: str, first: int, last: int, what: str) -> None:
        """Note what is with these lines."""
        spans: list[Span] = getattr(self._checked, kind)
        self._checked.add(spans, Span(self._name, first, last, what))

    def _pass_to(self, begun: Begun) -> None:
        """What stands before a chain and behind the one before it was never sealed."""
        if begun.start < self._end or begun.lines < self._line:
            self.say("altered", begun.lines, self._line, "is sealed twice")
        elif begun.start > self._end:
            stop = begun.start + self._shift
            count = self._lines.count(self._end + self._shift, stop)
            whole = stop <= self._lines.size and self._lines.read(stop - 1, stop) == b"\n"
            first = self._line + 1
            if count != begun.lines - self._line or not whole:
                self.say("altered", first, begun.lines, "is not as long as when sealing began")
            elif count:
                self.say("unsealed", first, begun.lines, "stood before sealing began")
        self._end, self._line, self._is_every = begun.start, begun.lines, begun.every
        self._is_closed = False

    def _check_block(self, block: Block, after: Block | None) -> None:
        if block.start != self._end or block.first != self._line + 1:
            what = "was sealed, and the seals are missing"
            self.say("incomplete", self._line + 1, block.first - 1, what)
        self._end, self._line = block.end, block.last
        self._checked.blocks += 1
        was_as_sealed, self._was_as_sealed = self._was_as_sealed, True
        if not self._is_as_sealed(block):
            shift = None
            if after is None or not self._stands_at(after, self._shift):
                shift = self._found_at(block)
            if shift is None:
                self._was_as_sealed = False
                self._say_altered(block)
                return
            if was_as_sealed:  # else that is said of the block before
                how = "put in" if shift > self._shift else "taken out"
                what = f"stands behind lines that were {how}"
                self.say("altered", block.first, block.first, what)
            self._shift = shift
        self._checked.lines += block.last - block.first + 1
        if block.late:
            what = f"was sealed late, as it was found at {block.at:%Y-%m-%d %H:%M:%S}Z"
            self.say("unsealed", block.first, block.last, what)

    def _is_as_sealed(self, block: Block) -> bool:
        return self._stands_at(block, self._shift) or self._erasures.explain(
            block, self._lines, self._shift, is_every=self._is_every
        )

    def _say_altered(self, block: Block) -> None:
        if block.start + self._shift >= self._lines.size:
            self.say("incomplete", block.first, block.last, "is missing")
        elif block.end + self._shift > self._lines.size:
            self.say("altered", block.first, block.last, "is cut off")
        else:
            self.say("altered", block.first, block.last, "is not as it was sealed")

    def _stands_at(self, block: Block, shift: int) -> bool:
        start, end = block.start + shift, block.end + shift
        if start < 0 or end > self._lines.size:
            return False
        return self._lines.digest(start, end) == block.digest

    def _found_at(self, block: Block) -> int | None:
        """By how much the block has moved, if it stands somewhere near."""
        size = block.end - block.start
        begin = max(0, block.start + self._shift - WINDOW)
        near = self._lines.read(begin, block.start + self._shift + WINDOW + size)
        tries, place = 0, 0
        while tries < TRIES_MOST:
            end = begin + place + size
            if end > self._lines.size:
                return None
            if near[place + size - 1 : place + size] == b"\n":
                tries += 1
                shift = begin + place - block.start
                if self._stands_at(block, shift):
                    return shift
            place = near.find(b"\n", place) + 1
            if not place:
                return None
        return None

    def _check_rest(self) -> None:
        """What stands behind the last seal."""
        start = self._end + self._shift
        count = self._lines.count(start, self._lines.size) if start < self._lines.size else 0
        if not count:
            return
        first, last = self._line + 1, self._line + count
        if self._is_closed:
            self.say("altered", first, last, "stands behind the end of what was sealed")
        else:
            what = "is not sealed yet" if self._is_live else "was left unsealed"
            self.say("unsealed", first, last, what)
