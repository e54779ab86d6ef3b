"""What one look has found, as changes: of each path how it ended, moves told as such."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from eventbus.watching.change import Change
from eventbus.watching.moves import moves_in
from eventbus.watching.pace import Rest, no_rest, paced
from eventbus.watching.tree import Entry, Found

__all__ = ["changes_in"]


def changes_in(
    found: Iterable[Found], *, root: Path, noticed: datetime, rest: Rest = no_rest
) -> list[Change]:
    """The changes, in the order in which they came to be what they are."""
    ended = _ends_of(paced(found, rest))
    moved_to = moves_in(ended, rest=rest)
    moved_from = {target: source for source, target in moved_to.items()}
    return [
        Change(
            op=each.op,
            path=each.path,
            root=root,
            noticed=noticed,
            changed=_changed(each.now),
            size_bytes=_size(each),
            moved_from=moved_from.get(each.path) if each.op != "delete" else None,
            moved_to=moved_to.get(each.path) if each.op == "delete" else None,
        )
        for each in paced(ended, rest)
    ]


def _ends_of(found: Iterable[Found]) -> list[Found]:
    """One for each path, from how it was before to how it is now; none for what came and went."""
    first: dict[tuple[str, bool], Found] = {}
    last: dict[tuple[str, bool], Found] = {}
    for each in found:
        entry = each.now or each.before
        # A path that was a directory and is a file by now is told as both.
        key = (each.path, entry is not None and entry.is_directory)
        first.setdefault(key, each)
        last.pop(key, None)
        last[key] = each
    ended = []
    for key, each in last.items():
        before = first[key].before
        if each.now is None and before is None:
            continue
        if each.now is not None and before is not None and before.is_directory:
            continue  # made anew in the same place: what was in it is told by itself
        ended.append(Found(each.op, each.path, before, each.now))
    return ended


def _size(found: Found) -> int | None:
    entry = found.now or found.before
    return None if entry is None or entry.is_directory else entry.size_bytes


def _changed(entry: Entry | None) -> datetime | None:
    if entry is not None:
        with suppress(OverflowError, ValueError, OSError):  # a clock may have said any time
            return datetime.fromtimestamp(entry.ctime_ns / 1e9, UTC)
    return None
