"""Any value as it is recorded: whole up to a cap, and as a short line for people.

Nothing here raises for what a value's own code does.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from eventbus.cutting import cut_mark
from eventbus.event import encode_lines
from eventbus.formats.as_text import as_text
from eventbus.formats.visible import one_line
from eventbus.poison import cut_texts
from eventbus.units import size_text

__all__ = ["KEPT_BYTES", "PREVIEW_MOST", "input_preview", "kept", "preview"]

KEPT_BYTES = 64 * 1024
"""Bytes of JSON up to which a value is kept whole."""
PREVIEW_MOST = 120
"""Characters of a line for people."""

CUT_TEXT_MOST = 2_000
"""Characters kept of each long text in a value that is too long."""
PARTS_MOST = 2_000
"""Parts of a value that are looked at one by one, where it cannot be taken as a whole."""
DEEPEST = 50
"""Levels of such a value that are looked into."""


# --- whole, up to a cap ------------------------------------------------------------


def kept(value: Any, *, most: int = KEPT_BYTES) -> msgspec.Raw:
    """The value as JSON, cut where it is longer; what was cut keeps its length and digest."""
    line = _json(value)
    if len(line) <= most:
        return msgspec.Raw(line)
    cut = _json(_Parts().shorter(value, most // 2 if isinstance(value, str) else CUT_TEXT_MOST, 0))
    return msgspec.Raw(cut if len(cut) <= most else _start(line, most))


def _json(value: Any) -> bytes:
    try:
        return encode_lines([value])[:-1]
    except Exception:  # noqa: BLE001 - a value's own code may raise anything; its parts are tried
        return encode_lines([_Parts().tame(value, 0)])[:-1]


def _start(line: bytes, most: int) -> bytes:
    """The beginning, and a mark for the whole."""
    start = line[: most // 2].decode(errors="ignore")
    return msgspec.json.encode({"cut": cut_mark(line), "start": start})


class _Parts:
    """Looks at the parts of a value one by one, though not at endlessly many."""

    def __init__(self) -> None:
        self._left = PARTS_MOST
        self._inside: set[int] = set()
        """Identities of what is being taken apart: one met again goes in a circle."""

    def shorter(self, value: Any, most: int, depth: int) -> Any:
        """The value with its long texts cut, each with a mark."""
        if isinstance(value, str):
            return cut_texts(as_text(value), most)
        if depth > DEEPEST or type(value) not in (dict, list, tuple) or len(value) > self._left:
            return value
        self._left -= len(value)
        if isinstance(value, dict):
            return {key: self.shorter(part, most, depth + 1) for key, part in value.items()}
        return [self.shorter(part, most, depth + 1) for part in value]

    def tame(self, value: Any, depth: int) -> object:
        """The value with each part that JSON cannot hold as text."""
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            return "…"
        if isinstance(value, str):
            return as_text(value)
        if id(value) in self._inside:
            return f"<{type(value).__name__}: it holds itself>"
        if isinstance(value, Mapping | list | tuple | set | frozenset | msgspec.Struct):
            self._inside.add(id(value))
            try:
                return self._apart(value, depth + 1)
            finally:
                self._inside.discard(id(value))
        return self._alone(value)

    def _apart(self, value: Any, depth: int) -> object:
        try:
            if isinstance(value, msgspec.Struct):
                value = {name: getattr(value, name) for name in value.__struct_fields__}
            if isinstance(value, Mapping):
                pairs = [*zip(value.items(), range(self._left + 1), strict=False)]
                return {as_text(key): self.tame(part, depth) for (key, part), _ in pairs}
            return [self.tame(part, depth) for part, _ in zip(value, range(self._left + 1))]  # noqa: B905
        except Exception as error:  # noqa: BLE001 - a container's own code; the record says so
            return f"<{type(value).__name__}: it raises {type(error).__name__}>"

    def _alone(self, value: Any) -> object:
        try:
            return msgspec.Raw(encode_lines([value])[:-1])
        except Exception:  # noqa: BLE001 - a value's own code may raise anything; the text says so
            return as_text(value)[:CUT_TEXT_MOST]


# --- a short line for people ---------------------------------------------------------

_WRITES = frozenset(
    {"append", "create", "edit", "overwrite", "patch", "replace", "save", "update", "write"}
)
_WORD = re.compile(r"[A-Za-z][a-z]*")
_PATHS = ("path", "file_path", "filepath", "filename", "file_name", "file", "target_file")
_CONTENTS = ("content", "contents", "file_text", "text", "data", "body", "new_string", "new_str")
_COMMANDS = ("command", "cmd", "argv", "script")
_LOOKED_AT = 400
"""Characters of a text that are looked at for a line of 120."""
_PAIRS_MOST = 20


def input_preview(name: str, input: Any) -> str:
    """A tool's input in a line: verb, path and size of a write, a shell's command, else pairs."""
    try:
        return preview(_words(name, input))
    except Exception as error:  # noqa: BLE001 - a value's own code may raise anything; the line says so
        return f"<{type(input).__name__}: it raises {type(error).__name__}>"


def preview(text: str, *, most: int = PREVIEW_MOST) -> str:
    """The beginning of a text as one line, with what is hidden in it written out."""
    line = one_line(text[:_LOOKED_AT]).strip()
    if len(line) > most or len(text) > _LOOKED_AT:
        return f"{line[: most - 1].rstrip()}…"
    return line


def _words(name: str, input: Any) -> str:
    if not isinstance(input, Mapping):
        return "" if input is None else _value(input)
    verb = _verb_of(name)
    path = _first(input, _PATHS) if verb else None
    if isinstance(path, str):
        size = _size(_first(input, _CONTENTS))
        return f"{verb} {path} {size}" if size else f"{verb} {path}"
    command = _first(input, _COMMANDS)
    if isinstance(command, str):
        return command
    if isinstance(command, list | tuple):
        return shlex.join(as_text(word) for word in command[:_PAIRS_MOST])
    pairs = zip(input.items(), range(_PAIRS_MOST), strict=False)
    return " ".join(f"{as_text(key)}={_value(value)}" for (key, value), _ in pairs)


@lru_cache(maxsize=1_000)
def _verb_of(name: str) -> str:
    """The first word of a tool's name that says it writes; empty if none does."""
    return next((word for word in map(str.lower, _WORD.findall(name)) if word in _WRITES), "")


def _first(input: Mapping[Any, Any], keys: Iterable[str]) -> Any:
    return next((input[key] for key in keys if input.get(key) is not None), None)


def _size(content: Any) -> str:
    if isinstance(content, str):
        return size_text(len(content.encode("utf-8", "surrogatepass")))
    return size_text(len(content)) if isinstance(content, bytes | bytearray) else ""


def _value(value: Any) -> str:
    if type(value) is int or value is None:
        return "null" if value is None else str(value)
    if isinstance(value, str):
        text = as_text(value[:_LOOKED_AT])
        return text if text and " " not in text else f'"{text}"'
    if isinstance(value, bytes | bytearray):
        return f"<{size_text(len(value))}>"
    if isinstance(value, Mapping | list | tuple | set | frozenset) and len(value) > _PAIRS_MOST:
        return f"<{len(value)} of them>"
    return _json(value)[: _LOOKED_AT * 4].decode(errors="ignore")
