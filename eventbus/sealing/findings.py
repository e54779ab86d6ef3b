"""What checking seals finds, as structs."""

import msgspec

__all__ = ["Checked", "Span", "found_by_both"]

SPANS_MOST = 1_000
"""Spans of a kind that are listed."""


class Span(msgspec.Struct, frozen=True, order=True):
    """Lines of a file, and what is with them."""

    file: str
    first: int
    """Counted from 1; 0: the file as a whole."""
    last: int
    what: str

    @property
    def place(self) -> str:
        """`FILE:FIRST-LAST`."""
        if not self.first:
            return self.file
        return f"{self.file}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


class Checked(msgspec.Struct, kw_only=True):
    """What was held against its seals, and what was found."""

    files: int = 0
    chains: int = 0
    blocks: int = 0
    lines: int = 0
    """Lines that are as they were sealed."""
    authentic: int = 0
    """Blocks whose seal the verification key has proven."""
    altered: list[Span] = []
    incomplete: list[Span] = []
    """Lines, seals or files that are gone and were not declared."""
    unsealed: list[Span] = []
    """Lines nobody can vouch for: the end that no seal covers yet, or was sealed late."""
    declared: list[Span] = []
    """What was pruned or erased on purpose."""
    left_out: int = 0
    """Spans more than are listed."""

    @property
    def is_amiss(self) -> bool:
        return bool(self.altered or self.incomplete)

    def add(self, spans: list[Span], span: Span) -> None:
        if len(spans) < SPANS_MOST:
            spans.append(span)
        else:
            self.left_out += 1


def found_by_both(before: Checked, after: Checked) -> Checked:
    """The later look, without what was amiss only then or only before."""
    return msgspec.structs.replace(
        after,
        altered=[span for span in after.altered if span in before.altered],
        incomplete=[span for span in after.incomplete if span in before.incomplete],
    )
