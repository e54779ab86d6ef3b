"""Log files: one sink whose shape says what is written and whose path says where.

`Jsonl`, `Flat`, `Audit` and the others are the same sink with other defaults.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from aiofiles.os import wrap

from eventbus.errors import SettingsError
from eventbus.event import Event
from eventbus.formats.shapes import SHAPES, Shape
from eventbus.segments import Series, load_zstd
from eventbus.sink import Batch, Cursor, Home, Sink, read_settings
from eventbus.sinkthread import SinkThread, in_parts
from sinks._shelf import Parcel, Rules, Shelf

__all__ = [
    "Audit",
    "Backup",
    "Errors",
    "FileSettings",
    "FileSink",
    "Flat",
    "Interactions",
    "Jsonl",
    "Sessions",
    "Storage",
    "Usage",
]

EVENTS_AT_ONCE = 16
"""Events made lines between two looks whether others want a turn; some 0.08 ms."""
LINES_AT_ONCE = 256
"""Lines whose day is seen between two such looks; the same."""

_T = TypeVar("_T")


class FileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is written, where, and for how long it is kept."""

    path: str = "events.jsonl"
    """In the logs directory, unless absolute; the name may hold `{date}` and `{number}`."""
    shape: str = "jsonl"
    """The form of a line."""
    kinds: tuple[str, ...] | None = None
    """Kinds to write; None: those the shape has lines for."""
    rotate_bytes: int = 0
    """A file is set aside before it grows past this; 0: by the day alone."""
    keep_days: float = 30
    """Files of older days are deleted; 0: never."""
    compress: Literal["off", "zstd"] = "off"
    """How files of past days are kept."""
    seal: bool = False
    """Whether lines are sealed against tampering."""


class FileSink(Sink):
    """Writes lines to files that rotate; after a crash none is missing, torn or there twice.

    `FileSink(path="tools.jsonl", kinds=("tool:*",))`
    """

    Settings = FileSettings
    linger = 0.05

    def __init__(self, settings: FileSettings | None = None, /, **named: Any) -> None:
        if settings is None:
            settings = read_settings(self.Settings, named, of=f"sink {type(self).__name__}")
        self.settings: FileSettings = settings
        self.shape = _shape_of(settings)
        self.kinds = settings.kinds if settings.kinds is not None else self.shape.kinds
        _check(settings)
        self._home = Home(None)
        self._thread: SinkThread | None = None
        self._shelf: Shelf | None = None

    @property
    def reopened(self) -> int:
        """How often somebody deleted, renamed, replaced or cut the file under us."""
        return self._shelf.reopened if self._shelf is not None else 0

    @property
    def rotated(self) -> int:
        """How often a file was set aside."""
        return self._shelf.rotated if self._shelf is not None else 0

    async def open(self, home: Home) -> None:
        """Take the files; refused while another sink writes them."""
        self._home = home
        rules = Rules(
            series=Series.of(_place_of(self.settings.path, home)),
            rotate_bytes=self.settings.rotate_bytes,
            keep_days=self.settings.keep_days,
            packs=self.settings.compress == "zstd",
            sealed_in=_sealed_in(self.settings, home),
        )
        thread, self._thread = self._thread, SinkThread(f"eventbus-{home.lane}")
        if thread is not None:  # of an opening that failed, or of the process we were forked from
            thread.shutdown(wait=False)
        make = wrap(lambda: Shelf(rules, clock=home.clock, disk=home.disk))
        opening = asyncio.ensure_future(make(executor=self._thread))
        try:
            self._shelf = await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(OSError):  # the files are taken all the same: let them go again
                self._shelf = await opening
                await self.close()
            raise

    async def cursor(self) -> Cursor | None:
        """Where the files stand; lines behind it are cut, to be handed over again."""
        return await self._on_shelf(Shelf.cursor)

    async def write(self, batch: Batch) -> None:
        """Append the lines, or raise with none of them left behind."""
        await self._on_shelf(lambda shelf: shelf.put(self._sort(batch), batch.cursor))

    async def tick(self, now: datetime) -> None:
        """Rotate, prune, pack; see whether somebody moved a file."""
        await self._on_shelf(Shelf.tick)

    async def sync(self) -> None:
        """Return when every line is on the disk."""
        if self._shelf is not None:
            await self._on_shelf(Shelf.sync)

    async def close(self) -> None:
        """Sync, and let the files and the thread go."""
        shelf, thread = self._shelf, self._thread
        if shelf is None or thread is None:
            return
        try:
            await self._in_thread(shelf.close)
        finally:
            self._shelf = self._thread = None
            thread.shutdown(wait=False)

    def __del__(self) -> None:
        """Let the files go when nobody closed the sink in time; the lock must not outlive it."""
        shelf, thread = getattr(self, "_shelf", None), getattr(self, "_thread", None)
        if thread is not None:
            if shelf is not None:
                thread.submit(shelf.close)
            thread.shutdown(wait=False)

    async def _on_shelf(self, call: Callable[[Shelf], _T]) -> _T:
        shelf = self._shelf
        if shelf is None:
            raise ValueError(f"the sink for {self.settings.path} is not open")
        try:
            return await self._in_thread(lambda: call(shelf))
        finally:
            while shelf.news:
                self._home.emit(shelf.news.pop(0))

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        """Run it to its end, even if whoever waits is cancelled.

        One hop a batch: each costs as much as writing a hundred lines.
        """
        result: _T = await asyncio.shield(asyncio.ensure_future(wrap(call)(executor=self._thread)))
        return result

    # --- which line goes where -------------------------------------------------

    def _sort(self, batch: Batch) -> list[Parcel]:
        today = self._home.clock.now().date()
        if "{number}" in self.settings.path:
            return self._by_session(batch, today)
        if self.shape.is_full:
            return _by_day(batch.lines, today)
        encode = self.shape.encode
        days: dict[date, list[bytes]] = {}
        for event in _in_turns(batch.events):
            line = encode(event)
            if line is not None:
                days.setdefault(_utc_day(event.ts, today), []).append(line)
        return [Parcel(day, lines) for day, lines in days.items()]

    def _by_session(self, batch: Batch, today: date) -> list[Parcel]:
        encode = self.shape.encode
        parcels: dict[str, Parcel] = {}
        for event in _in_turns(batch.events):
            session = getattr(event.scope, "session", None)
            line = encode(event) if session else None
            if line is not None:
                day = _utc_day(event.ts, today)
                parcel = parcels.setdefault(str(session), Parcel(day, [], str(session)))
                parcel.lines.append(line)
        return list(parcels.values())


def _in_turns(events: list[Event]) -> Iterable[Event]:
    return chain.from_iterable(in_parts(events, EVENTS_AT_ONCE))


def _utc_day(ts: datetime, today: date) -> date:
    """The day of a moment; what an app put there instead of one is of today."""
    if not isinstance(ts, datetime):
        return today
    if ts.tzinfo is UTC or ts.tzinfo is None:
        return ts.date()
    try:
        return ts.astimezone(UTC).date()
    except OverflowError:  # the first or last day there is
        return ts.date()


def _by_day(lines: list[bytes], today: date) -> list[Parcel]:
    """Records by their day, without decoding them; nearly always all are of today."""
    is_of_today = _head_of(today).match
    if all(all(map(is_of_today, part)) for part in in_parts(lines, LINES_AT_ONCE)):
        return [Parcel(today, lines)]
    days: dict[date, list[bytes]] = {}
    for line in lines:
        day = today if is_of_today(line) else _day_of_record(line, today)
        days.setdefault(day, []).append(line)
    return [Parcel(day, lines) for day, lines in days.items()]


@lru_cache(maxsize=2)
def _head_of(day: date) -> re.Pattern[bytes]:
    """The beginning of a record of that day."""
    return re.compile(rb'\{"kind":"[^"]*","id":"[^"]*","ts":"%sT[^"]*Z"' % day.isoformat().encode())


_TIME = re.compile(rb'"ts":"([^"]+)"')


def _day_of_record(line: bytes, today: date) -> date:
    found = _TIME.search(line)
    try:
        return _utc_day(datetime.fromisoformat(found[1].decode()), today) if found else today
    except ValueError:
        return today


# --- settings ----------------------------------------------------------------


def _check(settings: FileSettings) -> None:
    for name in ("rotate_bytes", "keep_days"):
        number = getattr(settings, name)
        if not 0 <= number < float("inf"):
            raise SettingsError(f"{name} cannot be {number!r}; it is a number from 0 on")
    Series.of(Path(settings.path))
    if settings.compress == "zstd":
        load_zstd()


def _shape_of(settings: FileSettings) -> Shape:
    shape = SHAPES.get(settings.shape)
    if shape is None:
        raise SettingsError(f"no shape named {settings.shape!r}; allowed: {', '.join(SHAPES)}")
    return shape


def _sealed_in(settings: FileSettings, home: Home) -> Path | None:
    """The state directory, for files in its logs, where verifying looks for them."""
    place = _place_of(settings.path, home).parent
    is_seen = home.logs is not None and home.logs in (place, place.parent)
    return home.state if settings.seal and is_seen else None


def _place_of(path: str, home: Home) -> Path:
    """Where the files are; in the logs directory unless the settings say otherwise."""
    place = Path(path).expanduser()
    if place.is_absolute():
        return place
    if home.logs is None:
        raise SettingsError(
            f"no directory for {path!r}: this bus keeps nothing on disk; give an absolute path"
        )
    return home.logs / place


# --- the files of the logs directory -------------------------------------------


class Jsonl(FileSink):
    """`events.jsonl`: every event, as it is in the journal."""


class Flat(FileSink):
    """`activity.log`: text, one line an event."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "activity.log"
        shape: str = "flat"
        rotate_bytes: int = 10 * 1024 * 1024


class Audit(FileSink):
    """`audit.jsonl`: file mutations."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "audit.jsonl"
        shape: str = "audit"
        seal: bool = True


class Interactions(FileSink):
    """`interactions-{date}.jsonl`: dispatches."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "interactions-{date}.jsonl"
        shape: str = "interactions"


class Usage(FileSink):
    """`usage.jsonl`: what model calls cost."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "usage.jsonl"
        shape: str = "usage"


class Errors(FileSink):
    """`errors.jsonl`: structured errors."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "errors.jsonl"
        shape: str = "errors"


class Storage(FileSink):
    """`storage.jsonl`: how much room each area takes."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "storage.jsonl"
        shape: str = "storage"


class Backup(FileSink):
    """`backup.jsonl`: how each backup went."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "backup.jsonl"
        shape: str = "backup"


class Sessions(FileSink):
    """`sessions/{date}_{number}.log`: the flat log, a file a session."""

    class Settings(FileSettings, frozen=True, kw_only=True):
        path: str = "sessions/{date}_{number}.log"
        shape: str = "flat"
