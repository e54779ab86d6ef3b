"""What watched files held: each content once, by its hash, compressed, capped by size and age."""

import os
import re
import stat
import zlib
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import ContentUnknown, SettingsError
from eventbus.segments import PruneGuard, load_zstd
from eventbus.watching.change import Change
from eventbus.watching.settings import WatchSettings

__all__ = ["DIRECTORY", "Contents", "Pruned", "hash_of", "is_text"]

DIRECTORY = "contents"
"""Where in the state directory."""
ALGORITHM = "sha256:"
FILE_MOST = 16 * 1024 * 1024
"""Bytes of a file that is kept; a larger one is not."""
READ_BYTES = 1024 * 1024
TRIES = 3
"""How often a file that changes while it is read is read."""
YOUNG_S = 60.0
"""What was written so lately is never pruned."""
LEVEL = 3
PLAIN, PACKED = ".z", ".zst"
"""Compressed by zlib, and by zstd where that is installed."""

OFF = WatchSettings()
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class Pruned(msgspec.Struct, frozen=True):
    """What a pruning did."""

    number: int
    bytes: int
    left_bytes: int

    def __str__(self) -> str:
        return f"{self.number} contents, {self.bytes} bytes; {self.left_bytes} bytes are left"


class Contents:
    """Contents of files in the state directory, and nobody else may read them."""

    def __init__(
        self,
        state: Path,
        settings: WatchSettings = OFF,
        *,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.directory = state / DIRECTORY
        self.settings = settings
        self._clock = clock
        self._disk = disk
        self._guard = PruneGuard()
        self._zstd = _zstd()

    # --- keeping -------------------------------------------------------------------

    def keep(self, change: Change) -> str | None:
        """Keep what a file holds now; its hash, or None where nothing is kept.

        A full disk, a file that is gone or one that changes on and on leave
        nothing behind; the next change to the file tries again.
        """
        if self.settings.keep == "off" or change.op != "write":
            return None
        try:
            content = self._read(change.where)
            if content is None or (self.settings.keep == "text" and not is_text(content)):
                return None
            return self.put(content)
        except OSError:
            return None

    def put(self, content: bytes) -> str:
        """Keep a content, unless it is there; its hash."""
        hash = hash_of(content)
        if self.refresh(hash):
            return hash
        path = self._path(hash)
        for directory in (self.directory, path.parent):  # each private, not the last alone
            self._disk.make_directory(directory)
        packed = self._zstd.compress(content) if self._zstd else zlib.compress(content, LEVEL)
        self._disk.replace(path.with_suffix(PACKED if self._zstd else PLAIN), packed)
        return hash

    def refresh(self, hash: str) -> bool:
        """Have a content count as new, for its age; False where it is not kept."""
        there = self._find(hash)
        if there is None:
            return False
        with suppress(OSError):  # it may go a little earlier than it might
            self._disk.touch(there)
        return True

    def _read(self, path: Path) -> bytes | None:
        """A file as it was at one moment; None where it is none, is too large, or never rests."""
        for _ in range(TRIES):
            fd = self._disk.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                before = self._disk.status(fd)
                if not stat.S_ISREG(before.st_mode) or before.st_size > FILE_MOST:
                    return None
                content = self._all_of(fd)
                after = self._disk.status(fd)
            finally:
                self._disk.close(fd)
            if len(content) == after.st_size and _stamp(before) == _stamp(after):
                return content
        return None

    def _all_of(self, fd: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while size <= FILE_MOST and (part := self._disk.pread(fd, READ_BYTES, size)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    # --- asking --------------------------------------------------------------------

    def read(self, hash: str) -> bytes:
        """A content by its hash; raises `ContentUnknown` where it is not kept, or is damaged."""
        path = self._find(hash)
        if path is None:
            raise ContentUnknown(f"the content {hash} is not kept, or no more")
        content = self._unpacked(path)
        if content is None or hash_of(content) != hash:
            raise ContentUnknown(f"the content {hash} is damaged: {path}")
        return content

    def has(self, hash: str) -> bool:
        """Whether a content is kept."""
        return self._find(hash) is not None

    def _unpacked(self, path: Path) -> bytes | None:
        packed = self._disk.read(path)
        if path.suffix == PLAIN:
            with suppress(zlib.error):
                return zlib.decompressobj().decompress(packed, FILE_MOST + 1)
            return None
        try:
            zstd = load_zstd()
        except SettingsError as error:
            raise ContentUnknown(f"cannot read {path}: {error}") from error
        with suppress(zstd.ZstdError):
            content: bytes = zstd.ZstdDecompressor().decompress(packed, FILE_MOST + 1)
            return content
        return None

    def _find(self, hash: str) -> Path | None:
        path = self._path(hash)
        for suffix in (PACKED, PLAIN):
            with suppress(OSError):
                there = self._disk.stat(path.with_suffix(suffix))
                if stat.S_ISREG(there.st_mode) and there.st_size:
                    return path.with_suffix(suffix)
        return None

    def _path(self, hash: str) -> Path:
        """Where a content stands, without the suffix; what is no hash of ours is nowhere."""
        if not _HASH.fullmatch(hash):
            raise ContentUnknown(f"no hash of a content: {hash!r}; it is sha256: and 64 digits")
        digits = hash.removeprefix(ALGORITHM)
        return self.directory / digits[:2] / digits[2:]

    # --- pruning -------------------------------------------------------------------

    def prune(self) -> Pruned | None:
        """Delete what is too old, and the oldest of what is too much; None: nothing was.

        What was written within the last minute stays, and after a jump of the
        clock everything does for a day.
        """
        if not self._guard.may_prune(self._clock.now(), self._clock.monotonic()):
            return None
        now = self._clock.now()
        kept = sorted(self._all(), key=lambda each: each[0])
        total = sum(size for _, size, _ in kept)
        oldest = self._oldest(now.timestamp())
        number, gone = 0, 0
        for written, size, path in kept:
            is_over = total - gone > self.settings.keep_bytes
            if written > now.timestamp() - YOUNG_S or not (written < oldest or is_over):
                break
            with suppress(OSError):  # another process was quicker
                self._disk.unlink(path)
            number, gone = number + 1, gone + size
        return Pruned(number, gone, total - gone) if number else None

    def _oldest(self, now: float) -> float:
        days = self.settings.keep_days
        return now - timedelta(days=days).total_seconds() if days else float("-inf")

    def _all(self) -> list[tuple[float, int, Path]]:
        """Each content and each left-over, when it was written, and its size."""
        found = []
        for name in self._disk.names(self.directory):
            if not re.fullmatch(r"[0-9a-f]{2}", name):
                continue  # none of ours
            for blob in self._disk.names(self.directory / name):
                with suppress(OSError):
                    path = self.directory / name / blob
                    there = self._disk.stat(path)
                    if _OURS.fullmatch(blob) and stat.S_ISREG(there.st_mode):
                        found.append((there.st_mtime, there.st_size, path))
        return found


_OURS = re.compile(r"[0-9a-f]{62}\.(?:z|zst)|\.[0-9a-f]{62}\.(?:z|zst)\.\d+\.tmp")


def hash_of(content: bytes) -> str:
    """`sha256:…` of a content."""
    return f"{ALGORITHM}{sha256(content).hexdigest()}"


def is_text(content: bytes) -> bool:
    """Whether people can read it: UTF-8 without a NUL."""
    if b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _zstd() -> Any:
    try:
        return load_zstd()
    except SettingsError:  # zlib is always there
        return None
