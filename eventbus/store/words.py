"""The words of a question, and where they stand in a message."""

import re
from collections.abc import Sequence

import msgspec

__all__ = ["Word", "read_words", "snippet"]

WORDS_MOST = 64
"""Words of a question that are looked for."""
WORD_MOST = 200
AROUND = 60
"""Characters shown on either side of a word."""


class Word(msgspec.Struct, frozen=True):
    """A word or phrase that is looked for."""

    text: str
    is_beginning: bool = False


_WORD = re.compile(r'"([^"]*)"|(\S+)')
_LETTERS = re.compile(r"[^\W_]", re.UNICODE)


def read_words(text: str) -> list[Word]:
    """The words of a question; what holds no letter or digit is none."""
    words: list[Word] = []
    for phrase, bare in _WORD.findall(text.replace("\x00", " ")):
        written = (phrase or bare)[:WORD_MOST]
        is_beginning = not phrase and written.endswith("*")
        if _LETTERS.search(written):
            words.append(Word(written.rstrip("*").replace('"', " "), is_beginning))
    return words[:WORDS_MOST]


def snippet(message: str, words: Sequence[Word]) -> str:
    """The part of a message around the first word that stands in it."""
    for word in words:
        match = re.search(re.escape(word.text), message, re.IGNORECASE)
        if match is not None:
            start, end = max(0, match.start() - AROUND), match.end() + AROUND
            before = ("…" if start else "") + message[start : match.start()]
            after = message[match.end() : end] + ("…" if end < len(message) else "")
            return f"{before}«{match[0]}»{after}"
    short = message[: 2 * AROUND]
    return short if len(short) == len(message) else f"{short}…"
