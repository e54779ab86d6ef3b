"""Which process wrote a file, where the kernel says so: Linux's fanotify, with the privilege.

The kernel hands over each file that was written, open, with the writer's id.
The file is known again by its inode, so that one that is renamed right after
is still the one that was written.
"""

import ctypes
import os
import select
import struct
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock

__all__ = ["Writer", "Writers", "listen_for_writers"]

CLOEXEC, NONBLOCK = 0x1, 0x2
MARK_ADD, MARK_ONLYDIR = 0x1, 0x8
MODIFY, CLOSE_WRITE, EVENT_ON_CHILD = 0x2, 0x8, 0x0800_0000
AT_FDCWD = -100
"""The kernel's numbers, as linux/fanotify.h has them."""
_EVENT = struct.Struct("=IBBHQii")
"""Its length, version, a reserved byte, the head's length, the mask, descriptor, process."""

READ_BYTES = 24 * 256
"""At a time; each event in it is a descriptor that is open until it is looked at."""
KNOWN_MOST = 20_000
"""Files whose writers are remembered; the one that was written first is forgotten."""
COMMANDS_MOST = 1_000
COMMAND_MOST = 200
"""Characters of a command."""
STAMPS_APART = timedelta(seconds=1)
"""How much earlier than the file's own time the kernel may have told of its writer."""


class Writer(msgspec.Struct, frozen=True):
    """A process that wrote."""

    pid: int
    command: str | None
    """None: it had ended before it could be asked."""
    at: datetime


class Writers:
    """Listens in a thread of its own, and remembers who wrote which file last."""

    def __init__(self, fd: int, *, clock: Clock) -> None:
        self._fd = fd
        self._clock = clock
        self._wrote: OrderedDict[tuple[int, int], Writer] = OrderedDict()
        self._commands: OrderedDict[int, str] = OrderedDict()
        self._wake, self._end = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="eventbus writers", daemon=True)
        self._thread.start()

    def listen_to(self, directories: Iterable[Path]) -> None:
        """Hear of files in these as well; one that is gone, or one too many, is left out."""
        for directory in directories:
            _mark(self._fd, directory)

    def writer_of(self, path: Path, *, changed: datetime | None = None) -> Writer | None:
        """Who wrote the file that is there now; None where nobody was seen to, or long before."""
        try:
            status = os.stat(path, follow_symlinks=False)
        except OSError:
            return None
        writer = self._wrote.get((status.st_dev, status.st_ino))
        if writer is None or (changed is not None and writer.at < changed - STAMPS_APART):
            return None
        return writer

    def close(self) -> None:
        """End the thread; closing twice is harmless."""
        end, self._end = self._end, -1
        if end >= 0:
            os.close(end)
            self._thread.join()
            os.close(self._wake)
            os.close(self._fd)

    # --- listening -----------------------------------------------------------------

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not any(fd == self._wake for fd, _ in poll.poll()):
            self._read()

    def _read(self) -> None:
        try:
            told = os.read(self._fd, READ_BYTES)
        except OSError:  # nothing is there after all, or no descriptor is left for it
            return
        for fd, pid in _events_in(told):
            if fd < 0:  # the kernel's queue was full
                continue
            try:
                self._take(fd, pid)
            finally:
                os.close(fd)

    def _take(self, fd: int, pid: int) -> None:
        if pid <= 0:  # of another namespace
            return
        with suppress(OSError):
            status = os.fstat(fd)
            key = (status.st_dev, status.st_ino)
            self._wrote[key] = Writer(pid, self._command_of(pid), self._clock.now())
            self._wrote.move_to_end(key)
            if len(self._wrote) > KNOWN_MOST:
                self._wrote.popitem(last=False)

    def _command_of(self, pid: int) -> str | None:
        """What a process is called; of one that has just ended, what it was called before."""
        command = _command_now(pid)
        if command is None:
            return self._commands.get(pid)
        self._commands[pid] = command
        self._commands.move_to_end(pid)
        if len(self._commands) > COMMANDS_MOST:
            self._commands.popitem(last=False)
        return command


def _events_in(told: bytes) -> Iterator[tuple[int, int]]:
    """The descriptor and the process of each event."""
    start = 0
    while start + _EVENT.size <= len(told):
        length, _, _, _, _, fd, pid = _EVENT.unpack_from(told, start)
        yield fd, pid
        start += max(length, _EVENT.size)


def _command_now(pid: int) -> str | None:
    for name in ("cmdline", "comm"):
        with suppress(OSError):
            said = Path(f"/proc/{pid}/{name}").read_bytes()
            words = said.replace(b"\0", b" ").decode(errors="replace").strip()
            if words:
                return words[:COMMAND_MOST]
    return None


# --- the kernel's calls ------------------------------------------------------------------


def listen_for_writers(
    directories: Iterable[Path], *, clock: Clock = SYSTEM_CLOCK
) -> Writers | None:
    """Listen for who writes files in these; None where the kernel does not tell us."""
    fd = _new_group() if sys.platform == "linux" else -1
    if fd < 0:
        return None
    if not all(_mark(fd, each) for each in directories):
        os.close(fd)
        return None
    return Writers(fd, clock=clock)


def _new_group() -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_LARGEFILE", 0)
    with suppress(AttributeError, OSError):  # a library without it
        return int(_libc().fanotify_init(CLOEXEC | NONBLOCK, flags))
    return -1


def _mark(fd: int, directory: Path) -> bool:
    """Ask for what is written to the files in a directory."""
    mask = ctypes.c_uint64(MODIFY | CLOSE_WRITE | EVENT_ON_CHILD)
    path = os.fsencode(directory)
    marked: int = _libc().fanotify_mark(fd, MARK_ADD | MARK_ONLYDIR, mask, AT_FDCWD, path)
    return marked == 0


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
