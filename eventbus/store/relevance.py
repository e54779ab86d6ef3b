"""Which keys of a JSON document a text is about."""

import os
import sqlite3
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError
from eventbus.event import UNREADABLE, Event
from eventbus.events import RelevanceCacheHit, RelevanceScored
from eventbus.store.document_keys import key_texts
from eventbus.store.ranking import Embed, Meaning, Words
from eventbus.store.score_cache import CACHE_NAME, ScoreCache, digest_of

__all__ = ["RelevanceIndex"]

FORM = 1
"""Raised when the same document and text come to other scores, or the file has another form."""
DOCUMENT_MOST = 16 * 2**20
TEXT_MOST = 256 * 2**10
"""Characters of a text that count."""
TOP = 5
"""Keys an event names."""
DIGITS = 6
_BOM = b"\xef\xbb\xbf"

Emit = Callable[[Event], object]


class RelevanceIndex:
    """The keys of one JSON document, and how much a text is about each.

    Threads may share it. `embed` gives a vector for each of some texts; with
    it a score is half words, half meaning. `emit` is handed an event a text.
    """

    def __init__(
        self, document: object, *, embed: Embed | None = None, emit: Emit | None = None
    ) -> None:
        texts = key_texts(document)
        self._keys = list(texts)
        self._words = Words(list(texts.values()))
        self._meaning = Meaning(list(texts.values()), embed) if embed is not None else None
        self._emit = emit
        self._cache = ScoreCache(None, of=self._digest(texts))

    @classmethod
    def from_json_file(
        cls,
        path: str | Path,
        *,
        cache: str | Path | None = None,
        embed: Embed | None = None,
        emit: Emit | None = None,
        disk: Disk = SYSTEM_DISK,
    ) -> Self:
        """Read a document, and the scores found before.

        They are in `log_index.json` in the directory `cache`, which is the
        document's own when none is given.
        """
        index = cls(_document(Path(path)), embed=embed, emit=emit)
        home = Path(path).parent if cache is None else Path(cache)
        if cache is not None:
            with suppress(OSError):  # told by the first write
                disk.make_directory(home)
        index._cache = ScoreCache(home / CACHE_NAME, of=index._cache.of, disk=disk)
        weakref.finalize(index, _save_at_the_end, index._cache, os.getpid())
        return index

    @property
    def keys(self) -> tuple[str, ...]:
        """The document's keys, in its order."""
        return tuple(self._keys)

    @property
    def cache_trouble(self) -> OSError | None:
        """Why `log_index.json` could not be written the last time; None: it could."""
        return self._cache.trouble

    def score_text(self, text: str) -> dict[str, float]:
        """How much a text is about each key, from 0 to 1, highest first; zeros left out."""
        started = time.perf_counter()
        heard = text[:TEXT_MOST]
        scores = self._cache.find(heard)
        event_class = RelevanceScored if scores is None else RelevanceCacheHit
        if scores is None:
            scores = self._scored(heard)
            self._cache.keep(heard, scores)
        self._tell(event_class, scores, (time.perf_counter() - started) * 1_000)
        return dict(scores)

    def save(self) -> None:
        """Write `log_index.json` now rather than by and by."""
        self._cache.save()

    def _scored(self, text: str) -> dict[str, float]:
        scores = self._words.scores(text)
        if self._meaning is not None:
            scores = _mixed(scores, self._meaning.scores(text))
        rounded = [(round(score, DIGITS), -number) for number, score in scores.items()]
        best_first = sorted(rounded, reverse=True)  # of equals, the document's first
        return {self._keys[-number]: score for score, number in best_first if score > 0}

    def _tell(
        self,
        event_class: type[RelevanceScored] | type[RelevanceCacheHit],
        scores: dict[str, float],
        duration_ms: float,
    ) -> None:
        if self._emit is not None:
            top = tuple(list(scores)[:TOP])
            duration_ms = round(duration_ms, 3)
            self._emit(event_class(keys=len(self._keys), top=top, duration_ms=duration_ms))

    def _digest(self, texts: dict[str, str]) -> str:
        """Of all a score rests on: the keys, the form, SQLite's ranking, the model."""
        mark = self._meaning.mark() if self._meaning is not None else b""
        return digest_of(repr((FORM, sqlite3.sqlite_version, texts)).encode() + mark)


def _save_at_the_end(cache: ScoreCache, pid: int) -> None:
    """When nobody holds the index any more, or the process ends.

    Not in a forked child: a lock that another thread held there is never let go.
    """
    if os.getpid() == pid:
        cache.save()


def _mixed(words: dict[int, float], meaning: dict[int, float]) -> dict[int, float]:
    """Half words, half meaning."""
    numbers = words.keys() | meaning.keys()
    return {number: (words.get(number, 0) + meaning.get(number, 0)) / 2 for number in numbers}


def _document(path: Path) -> Any:
    with path.open("rb") as file:
        content = file.read(DOCUMENT_MOST + 1)
    if len(content) > DOCUMENT_MOST:
        raise SettingsError(f"{path} is too large: at most {DOCUMENT_MOST:,} bytes are allowed")
    try:
        return msgspec.json.decode(content.removeprefix(_BOM))
    except UNREADABLE as error:
        raise SettingsError(f"{path} is no JSON document: {error}") from error
