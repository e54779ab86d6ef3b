"""The keys of a JSON document as dotted paths, and the words that stand for each."""

import re
from collections.abc import Iterator

from eventbus.errors import SettingsError

__all__ = ["KEYS_MOST", "key_texts", "words_of"]

KEYS_MOST = 10_000
VALUE_MOST = 8_192
"""Characters of a key's values that count."""

_UPPER = "".join(letter for letter in map(chr, range(0x590)) if letter.isupper())
_HUMP = re.compile(
    rf"(?<=[^\W_{_UPPER}])(?=[{_UPPER}])|(?<=[{_UPPER}])(?=[{_UPPER}][^\W\d_{_UPPER}])"
)
"""Between `max` and `Tokens`, and between `HTTP` and `Server`."""
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Kana and Han: written without spaces, so each letter is a word."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def words_of(text: str) -> list[str]:
    """Its words, with `maxTokens`, `max_tokens` and `max-tokens` taken apart."""
    return _WORD.findall(_HUMP.sub(" ", text))


def key_texts(document: object) -> dict[str, str]:
    """What stands for each key: the words of its path, then those of its values.

    A key leads through objects to a value; the items of a list are values of
    one key, so that keys do not change as lists grow.
    """
    if not isinstance(document, dict):
        raise SettingsError(f"a document of {type(document).__name__} has no keys; give an object")
    values: dict[str, _Values] = {}
    for key, value in _leaves(document):
        if key not in values and len(values) == KEYS_MOST:
            raise SettingsError(
                f"the document has too many keys; at most {KEYS_MOST:,} are allowed"
            )
        values.setdefault(key, _Values()).add(value)
    return {key: " ".join(words_of(f"{key} {held}")) for key, held in values.items()}


class _Values:
    """The text of a key's values, up to a bound."""

    __slots__ = ("_room", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._room = VALUE_MOST

    def add(self, text: str) -> None:
        self._texts.append(text[: self._room])
        self._room -= len(self._texts[-1])

    def __str__(self) -> str:
        return " ".join(self._texts)


def _leaves(document: object) -> Iterator[tuple[str, str]]:
    """Each value with its key, in order; a stack, because foreign JSON may be deep."""
    waiting: list[tuple[str | None, object]] = [(None, document)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict) and value:
            inner = [(_joined(key, name), inside) for name, inside in value.items()]
            waiting.extend(reversed(inner))
        elif isinstance(value, list) and value:
            waiting.extend((key, item) for item in reversed(value))
        elif key is not None:
            yield key, _text_of(value)


def _joined(key: str | None, name: object) -> str:
    return str(name) if key is None else f"{key}.{name}"


def _text_of(value: object) -> str:
    if value is None or isinstance(value, dict | list):  # what is left of these is empty
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
