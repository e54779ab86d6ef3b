"""A foreign file in pieces: its lines as they are, a line that is too long in parts.

Pieces depend on nothing but what the file holds, so that whoever reads it, and
whenever, cuts it alike.
"""

import os
import stat
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import IngestRefused
from eventbus.segment import segments_in
from eventbus.segments import load_zstd

__all__ = ["EXPANSION_MOST", "PIECE_BYTES", "ForeignFile"]

PIECE_BYTES = 256 * 1024
"""A line of so many bytes, its newline not counted, is cut into parts of them."""
READ_BYTES = 64 * 1024
EXPANSION_MOST = 250
"""How many times its size a packed file may unpack to; logs come to 5 to 50."""
EXPANSION_FREE = 64 * 1024 * 1024
"""Bytes that may come out of the smallest packed file."""
HEAD_BYTES = 9
"""Bytes of the shortest packed file; what is shorter only looks like one."""
TRIED_BYTES = 1_024
"""Bytes by which is told whether a file that looks packed is."""
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


class ForeignFile:
    """A file that is not ours, read once from its start in bounded memory; a block.

    Raises `IngestRefused` for what is no plain file, and for what a recorder
    keeps itself.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        expansion_most: int = EXPANSION_MOST,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.path = Path(path)
        self.done_bytes = 0
        """Bytes of the file read so far; packed ones, where it is packed."""
        self._disk = disk
        self._expansion_most = expansion_most
        self._rest = b""
        """What has been read of a line that goes on."""
        self._fd = _open(self.path, disk)
        self._unpack: _Unpacked | None = None
        try:
            self._unpack = _unpacked_if_packed(disk.pread(self._fd, TRIED_BYTES, 0))
        except BaseException:
            self.close()
            raise

    @property
    def size_bytes(self) -> int:
        """How long it is now."""
        return self._disk.size(self._fd)

    @property
    def is_torn(self) -> bool:
        """Whether what was read so far ends in the middle of a line."""
        return bool(self._rest)

    def is_at_rest(self, seconds: float) -> bool:
        """Whether nobody has written to it for so long; a packed one is never added to."""
        if self._unpack is not None:
            return True
        return time.time() - self._disk.status(self._fd).st_mtime >= seconds

    def pieces(self) -> list[bytes]:
        """The next whole lines, or parts of a long one; empty at the end, for now."""
        while block := self._read():
            pieces = BytesIO(self._rest + block).readlines()
            self._rest = b"" if pieces[-1].endswith(b"\n") else pieces.pop()
            whole = len(self._rest) // PIECE_BYTES * PIECE_BYTES
            if whole:
                pieces += _cut(self._rest[:whole])
                self._rest = self._rest[whole:]
            if max(map(len, pieces), default=0) > PIECE_BYTES:
                pieces = [part for piece in pieces for part in _cut(piece)]
            if pieces:
                return pieces
        return []

    def last_piece(self) -> list[bytes]:
        """What stands at the end without a newline."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []

    def _read(self) -> bytes:
        unpack = self._unpack
        if unpack is None:
            return self._read_raw(READ_BYTES)
        while not (block := self._unpacked(unpack)):
            if unpack.is_hungry and not unpack.feed(self._read_raw(READ_BYTES)):
                self._check_whole(unpack)
                return b""
        most = max(EXPANSION_FREE, self._expansion_most * self.done_bytes)
        if unpack.given_bytes > most:
            raise IngestRefused(
                f"{self.path} unpacks to more than {self._expansion_most} times its size;"
                " what was read before is kept; raise the bound if you trust the file"
            )
        return block

    def _read_raw(self, size: int) -> bytes:
        try:
            block = self._disk.pread(self._fd, size, self.done_bytes)
        except OSError as error:
            raise IngestRefused(
                f"cannot read {self.path} beyond byte {self.done_bytes}: {error.strerror};"
                " what was read before is kept"
            ) from error
        self.done_bytes += len(block)
        return block

    def _unpacked(self, unpack: "_Unpacked") -> bytes:
        try:
            return unpack.take(READ_BYTES)
        except unpack.error as error:
            raise self._broken(str(error)) from error

    def _check_whole(self, unpack: "_Unpacked") -> None:
        if not unpack.is_whole:
            raise self._broken("it ends too soon")

    def _broken(self, why: str) -> IngestRefused:
        return IngestRefused(
            f"cannot unpack {self.path} beyond byte {self.done_bytes}: {why};"
            " what was read before is kept"
        )

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)

    def __enter__(self) -> "ForeignFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut(piece: bytes) -> list[bytes]:
    """A line that is too long as its parts, all but the last of the full size."""
    if len(piece) - piece.endswith(b"\n") < PIECE_BYTES:
        return [piece]
    return [piece[start : start + PIECE_BYTES] for start in range(0, len(piece), PIECE_BYTES)]


# --- packed files ----------------------------------------------------------------------


def _unpacked_if_packed(head: bytes) -> "_Unpacked | None":
    """What unpacks a file that begins so; None where it only looks packed, or does not."""
    if head.startswith(_GZIP) and len(head) >= HEAD_BYTES and head[3] < 0x20:
        unpack = _Unpacked(_new_gzip, zlib.error)
    elif head.startswith(_ZSTD) and len(head) >= HEAD_BYTES:
        zstd = load_zstd()
        unpack = _Unpacked(zstd.ZstdDecompressor, zstd.ZstdError)
    else:
        return None
    return unpack if unpack.takes(head) else None


def _new_gzip() -> Any:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


class _Unpacked:
    """What packed frames hold, one after the other, a bounded part at a time."""

    def __init__(self, new_frame: Any, error: type[Exception]) -> None:
        self.error = error
        self.given_bytes = 0
        self._new_frame = new_frame
        self._frame = new_frame()
        self._waiting = b""

    def takes(self, head: bytes) -> bool:
        """Whether a file that begins so may be one of its kind."""
        try:
            self._new_frame().decompress(head, 1)
        except self.error:
            return False
        return True

    @property
    def is_whole(self) -> bool:
        """Whether it ends where a frame ends."""
        return bool(self._frame.eof)

    @property
    def is_hungry(self) -> bool:
        return not self._waiting

    def feed(self, packed: bytes) -> bool:
        self._waiting = packed
        return bool(packed)

    def take(self, most: int) -> bytes:
        if self._frame.eof:
            if not self._waiting.strip(b"\0"):  # what tape and block devices leave behind
                self._waiting = b""
                return b""
            self._frame = self._new_frame()
        packed, self._waiting = self._waiting, b""
        given: bytes = self._frame.decompress(packed, most)
        self._waiting = (
            self._frame.unused_data
            if self._frame.eof
            else getattr(self._frame, "unconsumed_tail", b"")
        )
        self.given_bytes += len(given)
        return given


# --- what is not read ------------------------------------------------------------------


def _open(path: Path, disk: Disk) -> int:
    _refuse_ours(path, disk)
    try:
        status = disk.stat(path)
        if stat.S_ISREG(status.st_mode):
            # Should a pipe take its place in between, opening does not wait for it.
            fd = disk.open(path, os.O_RDONLY | os.O_NONBLOCK)
            if stat.S_ISREG(disk.status(fd).st_mode):
                return fd
            disk.close(fd)
    except OSError as error:
        raise IngestRefused(f"cannot read {path}: {error.strerror}") from error
    raise IngestRefused(
        f"cannot ingest {path}: it is {_what(status.st_mode)}; only plain files are read"
    )


def _what(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return name
    return "a device"


def _refuse_ours(path: Path, disk: Disk) -> None:
    where = Path(os.path.realpath(path.parent))
    for directory in (where, *where.parents):
        if _is_state(directory, disk):
            raise IngestRefused(
                f"cannot ingest {path}: it belongs to the recorder of {directory}, and its"
                " events are in the journal there; 'eventbus rebuild' lands them anew"
            )


def _is_state(directory: Path, disk: Disk) -> bool:
    journal = directory / "journal"
    try:
        return stat.S_ISDIR(disk.stat(journal).st_mode) and bool(segments_in(journal, disk))
    except OSError:  # not there, or not to be read by us
        return False
