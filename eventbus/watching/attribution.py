"""Who is held to have made a change: rules over phases and moments, and nothing else.

A phase that names the path wins over one that names a directory above it or a
pattern it fits, and that over one that merely works in a directory above. Of
two that are one inside the other the inner wins. With none the change is
nobody's; with two that nothing tells apart it is ambiguous, and both are named.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from eventbus.clock import file_tick
from eventbus.watching.change import NOBODY, Actor, Change
from eventbus.watching.phases import Phase, Phases

__all__ = ["AMBIGUOUS", "Span", "actor_of", "is_clear", "span_of"]

AMBIGUOUS = "ambiguous"
"""The actor where it may have been one of several."""
TICK = file_tick()
"""How far the time of a file may lag."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_READS = frozenset({"cat", "find", "get", "glob", "grep", "list", "ls", "read", "search", "view"})


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """When a change was made, as closely as can be told."""

    earliest: datetime
    latest: datetime
    named_from: datetime
    """From when on a phase that names the path may have made it: where the time is that of
    another file, it is no more than likely, and a name says more."""


def span_of(change: Change, *, grace: timedelta, stamped: datetime | None = None) -> Span:
    """When a change was made.

    For what was written that is when the file was changed last. For what is
    gone, or was made a directory, `stamped` says it: when the directory around
    it changed last, which may have been for another file's sake.
    """
    late, soon = change.noticed - grace, change.noticed + TICK
    if change.op == "write" and change.changed is not None and change.changed <= soon:
        return _at(change.changed, named_from=change.changed)
    if stamped is None or stamped > soon:
        return Span(earliest=late, latest=change.noticed, named_from=late)
    return _at(stamped, named_from=min(late, stamped))


def _at(moment: datetime, *, named_from: datetime) -> Span:
    return Span(earliest=moment, latest=moment + TICK, named_from=named_from)


def actor_of(change: Change, phases: Phases, span: Span) -> Actor:
    """Who made a change, of the phases that were open then."""
    likely = _closest(change, phases, span)[1]
    if not likely:
        return NOBODY
    if len({phase.trace or phase.id for phase in likely}) > 1:
        return _one_of(likely)
    return _this(likely[0])


def is_clear(change: Change, phases: Phases, span: Span) -> bool:
    """Whether a phase that was open then names the change: none told of later will be closer."""
    rank = _closest(change, phases, span)[0]
    return rank is not None and rank[0] is THEN


def _closest(change: Change, phases: Phases, span: Span) -> "tuple[Rank | None, list[Phase]]":
    """The phases that are bound to a change most closely, the inner ones, and how closely."""
    ends = _ends(change)
    ranked = [
        (rank, phase)
        for phase in phases.between(min(span.named_from, span.earliest), span.latest)
        if (rank := _rank(ends, str(change.root), phase, span)) is not None
    ]
    group = max((rank[0] for rank, _ in ranked), default=None)
    ranked = [each for each in ranked if each[0][0] == group]
    if change.op == "delete":
        ranked = _latest(ranked)
    best = max((rank for rank, _ in ranked), default=None)
    return best, _innermost([phase for rank, phase in ranked if rank == best], phases)


def _latest(ranked: "list[tuple[Rank, Phase]]") -> "list[tuple[Rank, Phase]]":
    """Without those that were over before another began: they made what the other deleted."""
    latest = max((phase.began for _, phase in ranked), default=None)
    return [
        (rank, phase)
        for rank, phase in ranked
        if phase.ended is None or latest is None or phase.ended >= latest
    ]


# --- how closely a phase is bound to a change ------------------------------------------

Rank = tuple[int, int, bool]
"""Whether it names the change and was open then, how closely it does, whether it may write."""
THEN, AROUND_THEN, WORKED = 3, 2, 1
PATH, AROUND, ABOVE = 3, 2, 1


def _rank(ends: Sequence[str], root: str, phase: Phase, span: Span) -> Rank | None:
    """How closely a phase is bound to a change; None: not at all."""
    is_then = phase.overlaps(span.earliest, span.latest)
    group, named = (THEN if is_then else AROUND_THEN), phase.named
    if any(named.names(end, root) for end in ends):
        return (group, PATH, _may_write(phase))
    if any(named.names_around(end, root) for end in ends):
        return (group, AROUND, _may_write(phase))
    works = is_then and (_works_above(ends[0], phase) or named.names_above(root))
    return (WORKED, ABOVE, _may_write(phase)) if works else None


def _ends(change: Change) -> list[str]:
    """The path, and where a file that was moved came from, or went to."""
    paths = (change.path, change.moved_from, change.moved_to)
    root = str(change.root).rstrip("/")
    return [f"{root}/{path}" for path in paths if path is not None]


def _works_above(path: str, phase: Phase) -> bool:
    return phase.cwd is not None and path.startswith(f"{phase.cwd.rstrip('/')}/")


def _may_write(phase: Phase) -> bool:
    words = _WORD.findall(phase.name)
    return not words or words[0].lower() not in _READS


def _innermost(likely: list[Phase], phases: Phases) -> list[Phase]:
    """Without those that others of them came of."""
    outer = {around.id for phase in likely for around in phases.around(phase)}
    return [phase for phase in likely if phase.id not in outer]


# --- as an actor -----------------------------------------------------------------------


def _this(phase: Phase) -> Actor:
    return Actor(
        actor=phase.name,
        agent_name=_agent(phase),
        trace=phase.trace,
        scope=phase.scope,
        cause=phase.id,
    )


def _one_of(likely: Sequence[Phase]) -> Actor:
    """What they share is known all the same."""
    agents = {_agent(phase) for phase in likely}
    scopes = {phase.scope for phase in likely}
    return Actor(
        actor=AMBIGUOUS,
        agent_name=agents.pop() if len(agents) == 1 else AMBIGUOUS,
        candidates=tuple(dict.fromkeys(phase.trace or phase.id for phase in likely)),
        scope=scopes.pop() if len(scopes) == 1 else NOBODY.scope,
    )


def _agent(phase: Phase) -> str | None:
    return phase.scope.agent or phase.scope.component
