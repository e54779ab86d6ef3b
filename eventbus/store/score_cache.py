"""Scores found before, kept in `log_index.json` and dropped when what they rest on changes."""

import stat
import threading
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE

__all__ = ["CACHE_NAME", "ScoreCache"]

CACHE_NAME = "log_index.json"
TEXTS_MOST = 1_000
SCORES_MOST = 50_000
"""In all texts together: a few megabytes."""
FILE_MOST = 16 * 2**20
SAVE_EVERY = 50
"""New texts between two writes of the file."""

Scores = dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]]

_writing = threading.Lock()
"""Held by the thread that writes a cache. Nobody waits for it: what is not
written now is written with the next, and a fork or the collector cannot hang."""


class _File(msgspec.Struct, frozen=True):
    """The file's form; each text is there as its digest only."""

    of: str
    """Digest of all that scores rest on."""
    sum: str
    """Digest of `texts`, byte for byte."""
    texts: msgspec.Raw


class ScoreCache:
    """The latest texts and their scores; in a file too if it has a path.

    A file that is torn, foreign, too large or of another document counts as
    none. One that cannot be written is told in `trouble`.
    """

    def __init__(self, path: Path | None, *, of: str, disk: Disk = SYSTEM_DISK) -> None:
        self.trouble: OSError | None = None
        """Why the file could not be written the last time; None: it could."""
        self.of = of
        self._path = path
        self._disk = disk
        self._lock = threading.Lock()
        self._unsaved = 0
        self._texts = self._read()
        """Longest unused first."""
        self._scores = sum(map(len, self._texts.values()))

    def find(self, text: str) -> Scores | None:
        """The scores of a text, if it was scored before."""
        digest = digest_of(_bytes_of(text))
        with self._lock:
            scores = self._texts.pop(digest, None)
            if scores is not None:
                self._texts[digest] = scores
        return scores

    def keep(self, text: str, scores: Scores) -> None:
        """Keep the scores of a text; forget what was not used for longest."""
        with self._lock:
            self._keep(digest_of(_bytes_of(text)), scores)
            self._unsaved += 1
            is_due = self._unsaved % SAVE_EVERY == 0
        if is_due:
            self.save()

    def save(self) -> None:
        """Write what is new, beside what other processes have written."""
        if self._path is None or not self._unsaved or not _writing.acquire(blocking=False):
            return
        try:
            self._write(self._path)
        except OSError as error:
            self.trouble = error
        else:
            self.trouble = None
        finally:
            _writing.release()

    def _write(self, path: Path) -> None:
        unsaved = self._unsaved
        self._disk.replace(path, self._encoded(others=self._read()))
        with self._lock:
            self._unsaved -= unsaved

    def _encoded(self, *, others: dict[str, Scores]) -> bytes:
        with self._lock:
            ours = self._texts
            self._texts, self._scores = {}, 0
            for digest, scores in {**_without(others, ours), **ours}.items():
                self._keep(digest, scores)
            texts = msgspec.json.encode(self._texts)
        return msgspec.json.encode(_File(self.of, digest_of(texts), msgspec.Raw(texts))) + b"\n"

    def _keep(self, digest: str, scores: Scores) -> None:
        self._scores += len(scores) - len(self._texts.pop(digest, ()))
        self._texts[digest] = scores
        while len(self._texts) > TEXTS_MOST or self._scores > SCORES_MOST:
            oldest = next(iter(self._texts))
            self._scores -= len(self._texts.pop(oldest))

    def _read(self) -> dict[str, Scores]:
        try:
            return self._decoded(self._content())
        except (OSError, *UNREADABLE):
            return {}

    def _content(self) -> bytes:
        """The file's bytes; none of one that is no plain file or too large."""
        if self._path is None:
            return b""
        status = self._disk.stat(self._path)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_size <= FILE_MOST
        return self._disk.read(self._path) if is_ours else b""

    def _decoded(self, content: bytes) -> dict[str, Scores]:
        file = msgspec.json.decode(content, type=_File)
        if file.of != self.of or file.sum != digest_of(bytes(file.texts)):
            return {}
        return msgspec.json.decode(file.texts, type=dict[str, Scores])


def digest_of(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _without(others: dict[str, Scores], ours: dict[str, Scores]) -> dict[str, Scores]:
    return {digest: scores for digest, scores in others.items() if digest not in ours}
