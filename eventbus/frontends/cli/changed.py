"""Changes to files as tables, and the path that is meant by one as it is typed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from eventbus.formats.visible import one_line
from eventbus.frontends.cli.tables import Cell, table
from eventbus.frontends.cli.wording import clock, short
from eventbus.producers.values import input_preview
from eventbus.settings import Settings
from eventbus.store.changes import ChangeTold, FileChange, file_changes, last_change
from eventbus.store.engine import Reader
from eventbus.units import size_text

__all__ = ["AMBIGUOUS", "as_recorded", "change_table", "root_of"]

AMBIGUOUS = "ambiguous"
UNKNOWN = "unknown"


# --- paths -----------------------------------------------------------------------------


def as_recorded(store: Reader, settings: Settings, written: str) -> str:
    """The recorded path that is meant: relative to a root, from wherever one asks."""
    ways = list(dict.fromkeys(_ways(settings, written)))
    for path in ways:
        if last_change(store, path) is not None or file_changes(store, below=path, limit=1).items:
            return path
    return ways[0]


def _ways(settings: Settings, written: str) -> Iterator[str]:
    """From the working directory, if that is in a root; then as it is."""
    here = os.path.abspath(written)
    for root in settings.watch.roots:
        if here.startswith(f"{root.rstrip('/')}/"):
            yield os.path.relpath(here, root)
    yield os.path.normpath(written)


def root_of(settings: Settings, path: str) -> Path:
    """The root that a recorded path is in: the one that has it, else the first."""
    roots = [Path(root) for root in settings.watch.roots]
    return next((root for root in roots if os.path.lexists(root / path)), roots[0])


# --- tables ----------------------------------------------------------------------------


def change_table(items: Sequence[ChangeTold], *, with_path: bool) -> str:
    """A table of changes, one at least."""
    head, moments = clock([each.ts for each in items])
    path_head = ("path",) if with_path else ()
    return table(
        (head, *path_head, "change", "before", "after", "by", "call", "session", "user"),
        [
            (
                Cell(moment, dim=True),
                *((each.path,) if with_path else ()),
                _change(each),
                _size(each.size_before),
                _size(None if each.op == "delete" else each.size_bytes),
                _by(each),
                _call(each),
                short(each.session_id),
                each.user_id,
            )
            for moment, each in zip(moments, items, strict=True)
        ],
        gives_way=(1, 5, 6) if with_path else (1, 5),
    )


def _change(each: FileChange) -> Cell:
    if each.moved_from is not None:
        return Cell(f"moved from {each.moved_from}")
    if each.moved_to is not None:
        return Cell(f"moved to {each.moved_to}", fg="red")
    return Cell(each.op, fg="red" if each.op == "delete" else None)


def _size(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else size_text(size_bytes)


def _by(each: FileChange) -> Cell:
    who = each.actor or UNKNOWN
    if each.agent_name is not None and each.agent_name != who:
        who = f"{who} of {each.agent_name}"
    if each.command is not None:
        who = f"{who}, {each.command}"
    return Cell(one_line(who), fg="yellow" if each.actor in (None, AMBIGUOUS) else "green")


def _call(each: ChangeTold) -> str:
    """What the tool call was given; where it may be one of several, which."""
    if each.candidates:
        return " or ".join(short(trace) or "" for trace in each.candidates)
    if each.tool_name is None:
        return short(each.trace) or ""
    return input_preview(each.tool_name, each.tool_input)
