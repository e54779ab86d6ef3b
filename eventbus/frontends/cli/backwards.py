"""The last lines of a file, read from its end."""

import os
from collections.abc import Iterator

__all__ = ["lines_backwards"]

PART_BYTES = 64 * 1024
LINE_MOST = 32 * 1024 * 1024
"""Nothing before a line longer than this is read."""


def lines_backwards(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines before `end`, the last first, each with the place behind it.

    What stands behind the last newline is on its way, and left out.
    """
    place, rest, is_whole = end, b"", False
    while place > 0 and len(rest) < LINE_MOST:
        size = min(place, max(PART_BYTES, len(rest)))
        place -= size
        part = os.pread(fd, size, place) + rest
        if not is_whole:
            part = part[: part.rfind(b"\n") + 1]
            is_whole = bool(part)
        head, *lines = part.split(b"\n")
        if place == 0 and lines:
            lines.insert(0, head)
        behind = place + len(part)
        for line in reversed(lines[:-1]):
            yield behind, line
            behind -= len(line) + 1
        rest = head + b"\n" if is_whole else b""
