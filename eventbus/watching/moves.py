"""A delete and a write of one file in one look: it was moved."""

import stat
from collections.abc import Iterable

from eventbus.watching.pace import Rest, no_rest, paced
from eventbus.watching.tree import Entry, Found

__all__ = ["moves_in"]


def moves_in(found: Iterable[Found], *, rest: Rest = no_rest) -> dict[str, str]:
    """The path each moved file or directory has now, by the path it had.

    One file is known by its inode; as an inode is soon given to another one,
    a file's size and time have to be the same as well, and a directory's time,
    or something in it has to have moved along.
    """
    found = list(found)
    left = {_number(each.before): each for each in found if each.op == "delete"}
    if not left:
        return {}
    come = [each for each in paced(found, rest) if each.op != "delete" and _has_come(each)]
    moved: dict[str, str] = {}
    # What is in a directory stands after it here; it is to be known before it.
    for each in paced(reversed(come), rest):
        source = left.get(_number(each.now))
        if source is not None and source.path not in moved and _is_one(source, each, moved):
            moved[source.path] = each.path
    return moved


def _number(entry: Entry | None) -> tuple[int, int]:
    assert entry is not None
    return entry.inode, stat.S_IFMT(entry.mode)


def _has_come(found: Found) -> bool:
    """Whether it was not this file that was here before."""
    assert found.now is not None
    return found.before is None or found.before.inode != found.now.inode


def _is_one(source: Found, target: Found, moved: dict[str, str]) -> bool:
    before, now = source.before, target.now
    assert before is not None
    assert now is not None
    if (before.size_bytes, before.mtime_ns) == (now.size_bytes, now.mtime_ns):
        return True
    if not now.is_directory:
        return False
    return any(
        path.rpartition("/")[0] == source.path and to.rpartition("/")[0] == target.path
        for path, to in moved.items()
    )
