"""What one sink will not take, kept beside the journal."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from eventbus.delivery import Poisoned
from eventbus.event import UNREADABLE
from eventbus.sink import Home

__all__ = ["DeadLetters"]


class DeadLetters:
    """One lane's; without a path there are none, and its count must do."""

    def __init__(self, path: Path | None, lane: str, home: Home) -> None:
        self._path = path
        self._lane = lane
        self._clock = home.clock
        self._disk = home.disk

    async def bury(self, poisoned: Poisoned) -> None:
        """Keep an event, and why it was refused."""
        if self._path is None:
            return
        letter = msgspec.json.encode(
            {
                "lane": self._lane,
                "at": self._clock.now(),
                "error": f"{type(poisoned.error).__name__}: {poisoned.error}"[:1000],
                "event": msgspec.Raw(_as_json(poisoned.batch.lines[0])),
            }
        )
        with suppress(OSError):  # the event itself is in the journal
            self._append(self._path, letter + b"\n")

    def _append(self, path: Path, line: bytes) -> None:
        self._disk.make_directory(path.parent)
        fd = self._disk.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            self._disk.write_all(fd, line)
        finally:
            self._disk.close(fd)


def _as_json(line: bytes) -> bytes:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except UNREADABLE:
        return msgspec.json.encode(line.decode("utf-8", "backslashreplace"))
    return line
