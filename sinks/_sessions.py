"""Which file each session writes to, kept beside the files."""

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from eventbus.disk import Disk
from eventbus.event import UNREADABLE

__all__ = ["SessionIndex"]

ID_MOST = 200
"""Characters of a session's id that are kept; a longer one is known by its digest."""


class _Entry(msgspec.Struct, frozen=True):
    session: str
    file: str


class SessionIndex:
    """The names of session files; its lines are appended by whoever holds the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: dict[str, str] = {}
        self._new: list[str] = []

    def load(self, disk: Disk, present: set[str]) -> None:
        """Read what an earlier run left; sessions whose files are pruned are forgotten."""
        self._names.clear()
        with suppress(FileNotFoundError):
            for line in disk.read(self.path).split(b"\n"):
                with suppress(*UNREADABLE):
                    entry = msgspec.json.decode(line, type=_Entry)
                    if entry.file in present:
                        self._names[entry.session] = entry.file

    def name_of(self, session: str) -> str | None:
        return self._names.get(_known_as(session))

    def add(self, session: str, name: str) -> bytes:
        """Remember it; the line to append."""
        session = _known_as(session)
        self._names[session] = name
        self._new.append(session)
        return msgspec.json.encode(_Entry(session, name)) + b"\n"

    def keep_new(self) -> None:
        """What was added since the last time stays."""
        self._new.clear()

    def forget_new(self) -> list[str]:
        """What was added since the last time is taken back; the files' names."""
        return [self._names.pop(session) for session in self._take_new()]

    def _take_new(self) -> list[str]:
        new, self._new = self._new, []
        return new


def _known_as(session: str) -> str:
    if len(session) <= ID_MOST:
        return session
    return "sha256:" + hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
