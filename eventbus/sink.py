"""What a sink is, what it is given, and finding one by name.

`docs/sinks.md` is the contract, each sentence of it held by
`eventbus.testing`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError, SinkNotFound
from eventbus.event import Event, decode_batch, encode
from eventbus.kinds import Kinds

__all__ = [
    "LANE_NAME",
    "Batch",
    "Cursor",
    "Home",
    "Lost",
    "NamedSink",
    "Place",
    "Refused",
    "Sink",
    "Unavailable",
    "find_sink",
    "installed_sinks",
    "lane_name_of",
]

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "eventbus.sinks"


class Place(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A place in one writer's segments: all before it is done."""

    segment: str
    offset: int


Cursor = dict[str, Place]
"""A place in every writer's segments, by writer."""


class Refused(Exception):
    """Raised by a sink's `write` for a batch it will never take.

    The lane does not retry it: it halves the batch until the event that is
    refused stands alone, and keeps that one as a dead letter.
    """


class Unavailable(Exception):
    """Raised by a sink that can take nothing just now, whatever it is given.

    The lane tries the whole batch again, and holds no event to be the cause.
    """


class Lost(Exception):
    """Raised by a sink that has lost what it held, from any of its calls but `open`.

    The lane lets it go, opens it anew, and begins where it then says it stands.
    """


class Part(Protocol):
    """Records a batch is made of, as the lane has them."""

    @property
    def events(self) -> list[Event]: ...

    @property
    def lines(self) -> list[bytes]: ...


class Batch:
    """The events of one `write`, in order, never empty.

    `events` and `lines` say the same thing; each is made when first asked
    for, and shared by all lanes.
    """

    __slots__ = ("_count", "_events", "_lines", "_parts", "cursor")

    def __init__(
        self,
        *,
        events: list[Event] | None = None,
        lines: list[bytes] | None = None,
        parts: Sequence[tuple[Part, list[int] | None]] = (),
        count: int | None = None,
        cursor: Cursor | None = None,
    ) -> None:
        self._events = events
        self._lines = lines
        self._parts = parts
        self._count = len(events if events is not None else lines or ()) if count is None else count
        self.cursor: Cursor = cursor if cursor is not None else {}
        """Where the lane stands once this batch is written."""

    @property
    def events(self) -> list[Event]:
        """The events, typed."""
        if self._events is None:
            if self._parts:
                self._events = _gather((part.events, picked) for part, picked in self._parts)
            else:
                self._events = decode_batch(b"\n".join(self._lines or []) + b"\n")
        return self._events

    @property
    def lines(self) -> list[bytes]:
        """The same events as JSON lines, without newlines."""
        if self._lines is None:
            if self._parts:
                self._lines = _gather((part.lines, picked) for part, picked in self._parts)
            else:
                self._lines = [encode(event) for event in self._events or []]
        return self._lines

    def __len__(self) -> int:
        return self._count

    def halves(self) -> tuple["Batch", "Batch"]:
        """The first and the second half; the cursor goes with the second."""
        middle = self._count // 2
        first = Batch(events=self.events[:middle], lines=self.lines[:middle])
        second = Batch(events=self.events[middle:], lines=self.lines[middle:], cursor=self.cursor)
        return first, second

    def __repr__(self) -> str:
        return f"Batch({self._count} events)"


_T = TypeVar("_T")


def _gather(parts: Iterable[tuple[list[_T], list[int] | None]]) -> list[_T]:
    gathered: list[_T] = []
    for values, picked in parts:
        gathered += values if picked is None else [values[index] for index in picked]
    return gathered


def _drop(event: Event) -> None:
    """Nowhere to emit to."""


class Home:
    """What a sink is given when it opens: its place in the house."""

    __slots__ = ("clock", "disk", "emit", "lane", "logs", "state")

    def __init__(
        self,
        state: Path | None,
        *,
        lane: str = "sink",
        emit: Callable[[Event], None] = _drop,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.state = state
        """The state directory; None when the bus keeps nothing on disk."""
        self.logs = state / "logs" if state is not None else None
        """Where log files belong."""
        self.lane = lane
        """The lane's name."""
        self.emit = emit
        """Put an event of the sink's own on the bus; never waits, never raises."""
        self.clock = clock
        self.disk = disk


class Sink:
    """Writes batches somewhere. Only `write` is required.

    The lane calls one method at a time, so a sink needs no lock.
    """

    Settings: ClassVar[type[msgspec.Struct] | None] = None
    """The Struct of its settings, given to the constructor; None when it has none."""
    kinds: Kinds = None
    """The kinds it wants unless the one who attaches it says otherwise; None is `*`."""
    batch_most: int = 1_024
    """Events a batch at the most."""
    linger: float = 0.0
    """Seconds that events may gather between two batches, while nobody waits for them."""

    async def open(self, home: Home) -> None:
        """Get ready; called once, before anything else."""

    async def write(self, batch: Batch) -> None:
        """Take a batch. Returning means it is handed on; raising means try again."""
        raise NotImplementedError

    async def tick(self, now: datetime) -> None:
        """Tend yourself: rotate, prune; called about once a second, between batches."""

    async def sync(self) -> None:
        """Return when all that was written is safe from a power cut."""

    async def close(self) -> None:
        """Let go of everything; called once, after the last write."""

    async def cursor(self) -> Cursor | None:
        """Where this sink itself says it stands, asked after `open`; None: ask the lane."""
        return None


class NamedSink(msgspec.Struct, frozen=True, kw_only=True):
    """A sink asked for by name: one lane, shared by every process of the state directory."""

    use: str
    """The name it is installed under."""
    name: str | None = None
    """The lane's name; None: the same."""
    kinds: tuple[str, ...] | None = None
    """The kinds it gets; None: those it wants."""
    settings: dict[str, Any] = {}

    @property
    def lane(self) -> str:
        return self.name or self.use


LANE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a lane may be called; files are named after it."""


def lane_name_of(written: str) -> str:
    """A name of the program's own as the name of a lane."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", written).strip("-._")[:80] or "lane"


def installed_sinks() -> "dict[str, EntryPoint]":
    """Every sink that can be asked for by name."""
    from importlib.metadata import entry_points  # slow to import, and only names need it

    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def find_sink(name: str, settings: Mapping[str, Any] | None = None) -> Sink:
    """Make the sink of that name; a wrong setting is refused by name."""
    installed = installed_sinks()
    if name not in installed:
        raise SinkNotFound(f"no sink named {name!r}; installed: {', '.join(sorted(installed))}")
    make = installed[name].load()
    wanted = getattr(make, "Settings", None)
    if wanted is None:
        if settings:
            raise SettingsError(f"sink {name!r} has no settings: {', '.join(sorted(settings))}")
        made = make()
    else:
        made = make(read_settings(wanted, settings or {}, of=f"sink {name!r}"))
    if not isinstance(made, Sink):
        raise SettingsError(f"sink {name!r} makes a {type(made).__name__}, not a Sink")
    return made


def read_settings(wanted: type[Any], given: Mapping[str, Any], *, of: str) -> Any:
    """Settings as their Struct; what is wrong is named, with what is allowed."""
    allowed = {field.encode_name for field in msgspec.structs.fields(wanted)}
    for key in given:
        if key not in allowed:
            raise SettingsError(
                f"{of} has no setting {key!r}; allowed: {', '.join(sorted(allowed)) or 'none'}"
            )
    try:
        return msgspec.convert(dict(given), wanted)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{of}: {error}") from error
