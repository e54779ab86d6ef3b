"""Rotated log files: what they are called, which there are, reading across them, what to prune."""

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError

__all__ = [
    "LogSegment",
    "PruneGuard",
    "Series",
    "day_of_line",
    "load_zstd",
    "next_number",
    "prunable",
    "read_lines",
    "unpacked_parts",
]

PACKED = ".zst"
"""What is added to the name of a segment that is kept compressed."""
DATE = "{date}"
NUMBER = "{number}"

_LINE_DAY = re.compile(rb'(?:^|"(?:ts|timestamp)":")(\d{4}-\d\d-\d\d)T')
_HEAD_BYTES = 512
"""Where in a line of ours its time stands."""


class LogSegment(msgspec.Struct, frozen=True):
    """One file of a series."""

    name: str
    day: date | None
    """The UTC day its lines belong to; None for the file that bears no day."""
    number: int | None = None
    """The place among the segments of its day; None for the last."""
    is_packed: bool = False

    @property
    def plain_name(self) -> str:
        """What it is called while it is not packed."""
        return self.name.removesuffix(PACKED) if self.is_packed else self.name

    @property
    def order(self) -> tuple[date, float]:
        """Older lines sort first."""
        return self.day or date.max, float("inf") if self.number is None else self.number


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A log file and all the segments it is rotated into."""

    directory: Path
    live: str | None
    """The file that is written now; None where every file bears its day from the start."""
    before: str
    between: str = "."
    after: str
    is_numbered: bool = False
    """True where every segment has a number, of three digits at least."""

    @classmethod
    def of(cls, path: Path) -> "Series":
        """The series of `activity.log`, `interactions-{date}.jsonl` or `{date}_{number}.log`."""
        name, directory = path.name, path.parent
        _check_pattern(path)
        if DATE not in name:
            before, after = f"{path.stem}-", path.suffix
            return cls(directory=directory, live=name, before=before, after=after)
        before, _, rest = name.partition(DATE)
        if NUMBER not in rest:
            return cls(directory=directory, live=None, before=before, after=rest)
        between, _, after = rest.partition(NUMBER)
        return cls(
            directory=directory,
            live=None,
            before=before,
            between=between,
            after=after,
            is_numbered=True,
        )

    def name(self, day: date, number: int | None = None) -> str:
        """What a segment of that day is called."""
        digits = 3 if self.is_numbered else 1
        part = "" if number is None else f"{self.between}{number:0{digits}}"
        return f"{self.before}{day.isoformat()}{part}{self.after}"

    def parse(self, name: str) -> LogSegment | None:
        """The segment of that name; None when this series could not have made it."""
        if name == self.live:
            return LogSegment(name, None)
        match = _name_pattern(self.before, self.between, self.after).fullmatch(name)
        if match is None:
            return None
        try:
            day = date.fromisoformat(match["day"])
        except ValueError:
            return None
        number = None if match["number"] is None else int(match["number"])
        if number == 0 or (number is None and self.is_numbered):
            return None
        is_packed = match["packed"] is not None
        plain = name.removesuffix(PACKED) if is_packed else name
        return LogSegment(name, day, number, is_packed) if plain == self.name(day, number) else None

    def all_in(self, names: Iterable[str]) -> list[LogSegment]:
        """Every segment among `names`, oldest first, a packed one beside its plain one too."""
        ours = (self.parse(name) for name in names)
        return sorted((one for one in ours if one is not None), key=lambda one: one.order)

    def readable(self, names: Iterable[str]) -> list[LogSegment]:
        """Every segment to read, oldest first, each line in one of them only.

        Where a segment stands there plain and packed, packing it was
        interrupted, and the plain one is whole.
        """
        segments = self.all_in(names)
        plain = {one.name for one in segments if not one.is_packed}
        return [one for one in segments if not (one.is_packed and one.plain_name in plain)]

    def segments(self, disk: Disk = SYSTEM_DISK) -> list[LogSegment]:
        """Every segment on the disk that is to be read, oldest first."""
        return self.readable(disk.names(self.directory))


def _check_pattern(path: Path) -> None:
    name = path.name
    counts = name.count(DATE), name.count(NUMBER)
    rest = name.replace(DATE, "").replace(NUMBER, "")
    in_order = counts == (0, 0) or (counts[0] == 1 and counts[1] <= 1)
    if counts == (1, 1):
        in_order = re.search(r"\{date\}[^{}0-9]+\{number\}", name) is not None
    if (
        not in_order
        or not rest.strip(". ")
        or name.startswith(".")
        or any(mark in f"{path.parent}{rest}" for mark in "{}\0")
    ):
        raise SettingsError(
            f"not a path for log files: {str(path)!r}; the last part is a name"
            " such as 'activity.log', 'errors-{date}.jsonl' or '{date}_{number}.log'"
        )


@lru_cache(maxsize=64)
def _name_pattern(before: str, between: str, after: str) -> re.Pattern[str]:
    return re.compile(
        rf"{re.escape(before)}(?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})"
        rf"(?:{re.escape(between)}(?P<number>[0-9]{{1,9}}))?"
        rf"{re.escape(after)}(?P<packed>{re.escape(PACKED)})?"
    )


def next_number(segments: Iterable[LogSegment], day: date) -> int:
    """The first number behind all that are taken on that day."""
    taken = (one.number for one in segments if one.day == day and one.number is not None)
    return max(taken, default=0) + 1


def day_of_line(line: bytes) -> date | None:
    """The UTC day a log line says it belongs to, in any form we write."""
    match = _LINE_DAY.search(line[:_HEAD_BYTES])
    if match is None:
        return None
    try:
        return date.fromisoformat(match[1].decode())
    except ValueError:
        return None


def prunable(
    segments: Iterable[LogSegment], *, today: date, keep_days: float, days_most: int | None = None
) -> list[LogSegment]:
    """The segments older than `keep_days`, of the `days_most` oldest days only."""
    oldest_kept = today - timedelta(days=min(keep_days, (today - date.min).days))
    old = [one for one in segments if one.day is not None and one.day < oldest_kept]
    days = sorted({one.day for one in old if one.day is not None})[:days_most]
    return [one for one in old if one.day in days]


JUMP_SECONDS = 3_600.0
"""Between two ticks the wall clock may stray this far from the steady one."""
ABSENCE_SECONDS = 7 * 86_400.0
"""After a longer silence the clock is doubted as if it had jumped."""
HOLD_SECONDS = 86_400.0
"""How long a clock that jumped must run before files are pruned by it."""


class PruneGuard:
    """Says whether the clock can be believed enough to prune by it.

    A clock that jumps ten years ahead makes every file look too old. So after
    a jump nothing is pruned for a day of running, and then one day's files at
    a time.
    """

    def __init__(self, last_seen: datetime | None = None, hold_seconds: float = 0.0) -> None:
        self.hold_seconds = hold_seconds
        """How long to go on waiting; kept over a restart by whoever asks."""
        self.is_careful = hold_seconds > 0
        """True when only the oldest day's files may go at a time."""
        self._seen = last_seen
        self._monotonic: float | None = None

    def may_prune(self, now: datetime, monotonic: float) -> bool:
        """Look at both clocks; ask about once a second."""
        if self._seen is not None and self._has_jumped(now - self._seen, monotonic):
            self.hold_seconds = HOLD_SECONDS
            self.is_careful = True
        elif self._monotonic is not None:
            self.hold_seconds = max(0.0, self.hold_seconds - (monotonic - self._monotonic))
        self._seen, self._monotonic = now, monotonic
        return self.hold_seconds <= 0

    def _has_jumped(self, wall: timedelta, monotonic: float) -> bool:
        if self._monotonic is None:  # since another run of ours, perhaps long ago
            return not -JUMP_SECONDS <= wall.total_seconds() <= ABSENCE_SECONDS
        return abs(wall.total_seconds() - (monotonic - self._monotonic)) > JUMP_SECONDS


READ_BYTES = 256 * 1024
"""Bytes read at a time."""
LINE_MOST = 32 * 1024 * 1024
"""Bytes of a line that are read; what a longer one has more is left out."""


def read_lines(
    series: Series, *, since: date | None = None, disk: Disk = SYSTEM_DISK
) -> Iterator[bytes]:
    """Every whole line of a series, oldest segment first, without newlines.

    Segments of days before `since` are left out. One that is renamed or
    packed meanwhile is read all the same; one that is pruned is left out, and
    a damaged packed one is read as far as it goes.
    """
    for segment, inode in _regular_files(series, disk):
        if since is not None and segment.day is not None and segment.day < since:
            continue
        opened = _open_again(series, segment, inode, disk)
        if opened is not None:
            file, is_packed = opened
            with closing(file):
                parts = _parts_of(file, is_packed=is_packed)
                yield from _lines_of(parts, may_grow=segment.day is None)


def _regular_files(series: Series, disk: Disk) -> list[tuple[LogSegment, int]]:
    """The segments and their inodes; links, pipes and directories are not ours."""
    found = []
    for segment in series.segments(disk):
        with suppress(FileNotFoundError):
            status = disk.stat(series.directory / segment.name)
            if stat.S_ISREG(status.st_mode):
                found.append((segment, status.st_ino))
    return found


def _open_again(
    series: Series, segment: LogSegment, inode: int, disk: Disk
) -> tuple[IO[bytes], bool] | None:
    """The file that was seen under that name, wherever it is by now; is it packed."""
    file = _open_if(series.directory / segment.name, inode, disk)
    if file is None:
        moved = [other.name for other, now in _regular_files(series, disk) if now == inode]
        file = _open_if(series.directory / moved[0], inode, disk) if moved else None
    if file is not None:
        return file, segment.is_packed
    packed = _open_if(series.directory / f"{segment.plain_name}{PACKED}", None, disk)
    return None if packed is None else (packed, True)


def _open_if(path: Path, inode: int | None, disk: Disk) -> IO[bytes] | None:
    """The file of that name if it is the one expected."""
    try:
        fd = disk.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    file = os.fdopen(fd, "rb", buffering=0)
    if inode is not None and disk.status(fd).st_ino != inode:
        file.close()
        return None
    return file


def _parts_of(file: IO[bytes], *, is_packed: bool) -> Iterator[bytes]:
    packed = iter(lambda: file.read(READ_BYTES), b"")
    if not is_packed:
        yield from packed
        return
    zstd = load_zstd()
    with suppress(zstd.ZstdError):
        yield from _unpacked(packed, zstd.ZstdDecompressor)


def unpacked_parts(path: Path, disk: Disk = SYSTEM_DISK) -> Iterator[bytes]:
    """What a packed file holds; raises `OSError` where it is damaged."""
    zstd = load_zstd()
    with os.fdopen(disk.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
        frame = zstd.ZstdDecompressor
        try:
            yield from _unpacked(iter(lambda: file.read(READ_BYTES), b""), frame)
        except zstd.ZstdError as error:
            raise OSError(errno.EILSEQ, f"cannot be unpacked: {error}", str(path)) from error


def _unpacked(packed: Iterator[bytes], new_frame: Callable[[], Any]) -> Iterator[bytes]:
    """What the frames hold, no more at a time than is read of a plain file."""
    frame = new_frame()
    for part in packed:
        while part or not frame.needs_input:
            yield frame.decompress(part, READ_BYTES)
            part = b""
            if frame.eof:
                part, frame = frame.unused_data, new_frame()


def load_zstd() -> Any:
    """The module that packs and unpacks; an extra before Python 3.14."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise SettingsError(
            "cannot pack or unpack log files: zstd is not installed;"
            " install eventbus-recorder[zstd]"
        ) from error
    return zstd


def _lines_of(parts: Iterable[bytes], *, may_grow: bool) -> Iterator[bytes]:
    """Its lines; an end without a newline counts only where nothing will follow."""
    rest = b""
    is_cut = False
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if not is_cut:
                yield line
            is_cut = False
        if len(rest) > LINE_MOST and not is_cut:
            yield rest[:LINE_MOST]
            is_cut = True
        rest = b"" if is_cut else rest
    if rest and not may_grow:
        yield rest
