"""A lane somebody asks for: what it is to serve, whether it can be, and what it is called."""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from eventbus.errors import BusClosed
from eventbus.kinds import Kinds
from eventbus.sink import LANE_NAME, NamedSink, Sink, lane_name_of

__all__ = ["LaneWish", "OnFull", "check_sink", "free_name", "lane_name"]

OnFull = Literal["wait", "drop_oldest", "drop_newest"]


class LaneWish(msgspec.Struct, frozen=True, kw_only=True):
    """A lane somebody asked for."""

    name: str
    sink: Sink | NamedSink
    kinds: Kinds = None
    follows_all: bool = False
    capacity: int = 10_000
    on_full: OnFull = "wait"
    skip_before: int = 0

    @property
    def is_shared(self) -> bool:
        return isinstance(self.sink, NamedSink)

    @property
    def follows_others(self) -> bool:
        """Whether it sees what other processes emit."""
        return self.is_shared or self.follows_all


def check_sink(
    sink: Sink | NamedSink, wishes: Mapping[str, LaneWish], *, is_in_memory: bool
) -> None:
    """Raise if that can be no lane's sink."""
    if not isinstance(sink, Sink | NamedSink):
        raise TypeError(
            f"cannot attach {sink!r}; give a sink, the name of an installed one or a NamedSink"
        )
    if isinstance(sink, NamedSink) and is_in_memory:
        raise BusClosed(
            f"cannot attach {sink.use!r} by name: a bus in memory shares no lanes;"
            " give the sink itself"
        )
    if any(wish.sink is sink for wish in wishes.values()):
        raise ValueError(f"{sink!r} is attached already; a sink serves one lane")


def lane_name(sink: Sink | NamedSink, given: str | None, taken: Collection[str]) -> str:
    """What its lane is called; raises where a name that was asked for cannot be had."""
    name = sink.lane if given is None and isinstance(sink, NamedSink) else given
    if name is None:
        return free_name(lane_name_of(type(sink).__name__.lower()), taken)
    if not LANE_NAME.fullmatch(name):  # files are named after it
        raise ValueError(
            f"cannot name a lane {name!r}; a name is letters, digits, '.', '_' and '-'"
        )
    if name in taken:
        raise ValueError(f"a lane named {name!r} is there already; detach it or name another")
    return name


def free_name(name: str, taken: Collection[str]) -> str:
    """That name, or the next with a number."""
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
