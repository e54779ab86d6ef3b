"""An ingested file out of its lines again, each where it stood and each checked.

Files that begin alike have one fingerprint and share the lines they share.
Where they part, a branch begins; which lines are a file's is known from its
last one, so the lines are gone through twice: to find the way, and to go it.
"""

from collections.abc import Iterator

import msgspec

from eventbus.errors import ExportRefused
from eventbus.store.engine import Reader
from eventbus.store.lineage import FIRST, PLACE_LETTERS, Origin, id_at, next_digest, origin_of

__all__ = ["last_of_file", "retrace"]

PLACE_MOST = 16**PLACE_LETTERS - 1
READ_BYTES = 1024 * 1024
"""Bytes of the file a read; more than the longest piece, so that it finds the next."""
ROWS_A_READ = 1_000

# The plus keeps SQLite from going through all newer rows by their number.
_QUESTION = (
    "SELECT e.event_id, e.raw_line, e.raw_bytes, u.raw FROM events e"
    " LEFT JOIN unparsed_lines u ON u.event_id = e.event_id"
    " WHERE e.event_id > ? AND e.event_id < ? AND +e.id <= ?"
    f" ORDER BY e.event_id LIMIT {ROWS_A_READ}"
)


class _Line(msgspec.Struct, frozen=True):
    """An ingested line, and the branch it is on."""

    place: int
    digest: bytes
    raw: bytes
    branch: int

    @property
    def end(self) -> int:
        return self.place + len(self.raw)


class _Branches:
    """Follows the lines of a fingerprint, in order of place, from one to the next."""

    def __init__(self) -> None:
        self.parents: dict[int, tuple[int, int]] = {}
        """The branch each one left, and where; the first branch left none."""
        self._ends: dict[int, dict[bytes, int]] = {0: {FIRST: 0}}
        """Where a line may follow: the place, the chain up to there, the branch."""
        self._has_gone_on: set[tuple[int, bytes]] = set()
        self._place = 0

    def line(self, origin: Origin, raw: bytes) -> _Line | None:
        """The line with its branch; None when what it follows is not there."""
        if origin.place > self._place:
            self._forget_before(origin.place)
        for digest, branch in self._ends.get(origin.place, {}).items():
            if next_digest(digest, raw) == origin.digest:
                return self._follow(origin, raw, (origin.place, digest), branch)
        return None

    def _follow(self, origin: Origin, raw: bytes, after: tuple[int, bytes], branch: int) -> _Line:
        if after in self._has_gone_on:  # another line follows there already
            parent, branch = branch, len(self.parents) + 1
            self.parents[branch] = (parent, origin.place)
        self._has_gone_on.add(after)
        line = _Line(origin.place, origin.digest, raw, branch)
        self._ends.setdefault(line.end, {})[line.digest] = branch
        return line

    def _forget_before(self, place: int) -> None:
        self._place = place
        self._ends = {there: ends for there, ends in self._ends.items() if there >= place}
        self._has_gone_on = {after for after in self._has_gone_on if after[0] >= place}

    def way_to(self, line: _Line) -> dict[int, int]:
        """The branches that lead to a line, and where each is left."""
        way, branch, upto = {}, line.branch, line.end
        while True:
            way[branch] = upto
            if branch not in self.parents:
                return way
            branch, upto = self.parents[branch]


def retrace(store: Reader, last: str) -> Iterator[bytes]:
    """The bytes of the ingested file that ends with the line of this id, in parts.

    Raises `ExportRefused`, before anything is given, when a line is missing.
    """
    target = origin_of(last)
    if target is None:
        raise ExportRefused(f"no ingested line has the id {last!r}; ids begin with 'in-'")
    newest = store.row("SELECT max(id) FROM events")
    upto = newest[0] or 0 if newest is not None else 0
    branches = _Branches()
    for line in _lines(store, target.file, branches, upto):
        if (line.place, line.digest) == (target.place, target.digest):
            return _along(store, target, branches.way_to(line), upto)
    raise ExportRefused(
        f"the lines of the file {target.file} up to byte {target.place} are not all in the store;"
        " they may not have landed yet"
    )


def last_of_file(store: Reader, file: str) -> str | None:
    """The last line of the longest file of a fingerprint; None when there is none."""
    row = store.row(
        "SELECT max(event_id) FROM events WHERE event_id >= ? AND event_id < ?",
        (id_at(file, 0), id_at(file, PLACE_MOST)),
    )
    return row[0] if row is not None else None


def _along(store: Reader, target: Origin, way: dict[int, int], upto: int) -> Iterator[bytes]:
    digest = FIRST
    for line in _lines(store, target.file, _Branches(), upto):
        if line.place < way.get(line.branch, 0):
            digest = next_digest(digest, line.raw)
            yield line.raw
        if (line.place, line.digest) == (target.place, target.digest):
            break
    if digest != target.digest:
        raise ExportRefused(f"the lines of the file {target.file} changed meanwhile; try again")


def _lines(store: Reader, file: str, branches: _Branches, upto: int) -> Iterator[_Line]:
    """The lines that follow each other from the first on, in order of place; none behind a hole."""
    after, place = id_at(file, 0), 0
    while rows := store.rows(_QUESTION, (after, id_at(file, place + READ_BYTES), upto)):
        for id, text, raw_bytes, unparsed in rows:
            kept = raw_bytes if unparsed is None else unparsed
            raw = text.encode() + b"\n" if kept is None else bytes(kept)
            origin = origin_of(id)
            if origin is not None:
                place = origin.place
                if (line := branches.line(origin, raw)) is not None:
                    yield line
        after = rows[-1][0]
