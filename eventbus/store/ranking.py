"""How much a text is about each of some texts: by its words, and by its meaning."""

import math
import sqlite3
import threading
import weakref
from array import array
from collections.abc import Callable, Iterator, Sequence
from operator import mul

from eventbus.errors import SettingsError
from eventbus.store.document_keys import words_of

__all__ = ["Embed", "Meaning", "Words"]

Embed = Callable[[list[str]], Sequence[Sequence[float]]]
"""A vector for each text; all of one length."""

WORDS_MOST = 4_000
"""Different words of a text that count; SQLite takes a second for these among 10,000 keys."""
HALF = 8.0
"""What BM25 gives for about two words that stand under one key alone; becomes 0.5."""
EMBED_AT_ONCE = 256
EMBED_MOST = 8_192
"""Characters of a text a model is given; larger models refuse much more."""
_FILLER = "\ue000"
"""A word SQLite takes for one, and `words_of` never finds."""


class Words:
    """BM25 over some texts, by SQLite's own full-text search; in memory."""

    def __init__(self, texts: Sequence[str], *, module: str = "fts5") -> None:
        self._lock = threading.Lock()
        self._rows = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._rows.close)
        try:
            self._rows.execute(
                f"CREATE VIRTUAL TABLE texts USING {module}"
                "(words, tokenize = 'porter unicode61 remove_diacritics 2')"
            )
        except sqlite3.OperationalError as error:
            raise SettingsError(
                f"cannot rank by words: this Python's SQLite {sqlite3.sqlite_version} is built"
                f" without FTS5 ({error}); use a Python whose SQLite has it"
            ) from error
        self._rows.execute("BEGIN")
        rows = ((row.casefold(),) for row in _with_fillers(texts))
        self._rows.executemany("INSERT INTO texts VALUES (?)", rows)
        self._rows.execute("COMMIT")

    def scores(self, text: str) -> dict[int, float]:
        """From 0 to 1, for each of the texts that has a word of it, by its number."""
        words = dict.fromkeys(word.casefold() for word in words_of(text))
        if not words:
            return {}
        asked = " OR ".join(f'"{word}"' for word in list(words)[:WORDS_MOST])
        with self._lock:
            found = self._rows.execute(
                "SELECT rowid, -bm25(texts) FROM texts WHERE texts MATCH ?", (asked,)
            ).fetchall()
        return {row - 1: score / (score + HALF) for row, score in found}


def _with_fillers(texts: Sequence[str]) -> Iterator[str]:
    """The texts, and more rows than that which nothing matches.

    FTS5 takes a word that stands in half of all rows for worthless. With the
    fillers a word of every text still counts, and a document of one key works.
    They are of average length, because BM25 compares with that.
    """
    yield from texts
    average = sum(text.count(" ") + 1 for text in texts) // max(1, len(texts))
    for _ in range(len(texts) + 1):
        yield " ".join([_FILLER] * average)


class Meaning:
    """Cosine similarity over some texts, by an embedding model."""

    __slots__ = ("_embed", "_vectors")

    def __init__(self, texts: Sequence[str], embed: Embed) -> None:
        self._embed = embed
        self._vectors: list[array[float]] = []
        for start in range(0, len(texts), EMBED_AT_ONCE):
            self._vectors += self._embedded(list(texts[start : start + EMBED_AT_ONCE]))

    def scores(self, text: str) -> dict[int, float]:
        """From 0 to 1, for each of the texts that points the same way, by its number."""
        words = words_of(text)
        if not words or not self._vectors:
            return {}
        vector = self._embedded([" ".join(words)])[0]
        cosines = (sum(map(mul, vector, known)) for known in self._vectors)
        return {number: cosine for number, cosine in enumerate(cosines) if cosine > 0}

    def mark(self) -> bytes:
        """What tells one model from another: the vectors, as exact as models repeat them."""
        rounded = (round(part, 3) + 0.0 for vector in self._vectors for part in vector)
        return array("d", rounded).tobytes()

    def _embedded(self, texts: list[str]) -> "list[array[float]]":
        vectors = [_unit(vector) for vector in self._embed([text[:EMBED_MOST] for text in texts])]
        if len(vectors) != len(texts):
            raise ValueError(f"embed gave {len(vectors)} vectors for {len(texts)} texts")
        length = len((self._vectors or vectors)[0])
        for vector in vectors:
            if len(vector) != length:
                raise ValueError(f"embed gave vectors of {length} and of {len(vector)} numbers")
        return vectors


def _unit(vector: Sequence[float]) -> "array[float]":
    """The vector at length 1, so that a product is a cosine; nothing stays nothing."""
    parts = array("d", map(float, vector))
    length = math.hypot(*parts)
    if not math.isfinite(length):
        raise ValueError("embed gave a vector with a number that is not finite")
    return array("d", (part / length for part in parts)) if length else parts
