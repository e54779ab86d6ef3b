"""The paths that a tool call names in its input: arguments, command lines, patches."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Named", "named_in"]

WORDS_MOST = 300
"""Words kept of one call."""
TEXTS_MOST = 1_000
"""Texts of an input that are looked at."""
TEXT_MOST = 16_384
"""Characters of a text that are looked at."""
QUOTED_MOST = 4_096
"""Characters of a command line that are read as a shell reads it, which is slow."""
WORD_MOST = 1_024
DEEPEST = 12

_PATHS = frozenset(
    {"path", "file_path", "filepath", "filename", "file_name", "file", "target_file", "notebook"}
)
_CONTENTS = frozenset(
    {"content", "contents", "file_text", "text", "data", "body", "new_string", "old_string"}
    | {"new_str", "old_str", "new_source", "insert_text"}
)
"""What is written into a file that is named beside it; paths in there are only written about."""
_PIECE = re.compile(r"[^\s\"'`;|&<>(){}$,=]+")
_PATCH = re.compile(
    r"^(?:\+\+\+ |--- |\*\*\* (?:Update|Add|Delete) File: |\*\*\* Move to: |rename (?:from|to) )"
    r"([^\t\n]+)",
    re.MULTILINE,
)
"""The lines of a patch that name a file."""
_GLOB = re.compile(r"[*?\[]")
_SAYS_NOTHING = frozenset({"", ".", "..", "/", "-", "--"})


class Named(msgspec.Struct, frozen=True):
    """What a call names, as far as it can be told from its input."""

    words: frozenset[str] = frozenset()
    """Paths, absolute or relative, without `.` and `..`; most words are none, and match nothing."""
    globs: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    """Absolute directories that relative paths may start from."""
    goes_up: bool = False
    """Whether a word begins with `..`."""

    def names(self, path: Path, root: Path) -> bool:
        """Whether it names this very path."""
        return any(word in self.words for word in self._spelled(str(path), str(root)))

    def names_around(self, path: Path, root: Path) -> bool:
        """Whether it names a directory the path is in, below the root, or a pattern it fits."""
        if not self.words:
            return False
        for above in path.parents:
            if len(above.parts) <= len(root.parts):
                break
            if self.names(above, root):
                return True
        spelled = self._spelled(str(path), str(root)) if self.globs else ()
        return any(fnmatchcase(word, glob) for word in spelled for glob in self.globs)

    def names_above(self, root: Path) -> bool:
        """Whether it names the root itself, or a directory that holds it, by its whole path."""
        return any(str(above) in self.words for above in (root, *root.parents))

    def _spelled(self, path: str, root: str) -> list[str]:
        """The ways in which a call may write the path."""
        spelled = [path]
        for base in {*self.bases, root}:
            if path.startswith(f"{base.rstrip('/')}/"):
                spelled.append(path[len(base.rstrip("/")) + 1 :])
            elif self.goes_up:
                spelled.append(os.path.relpath(path, base))
        return spelled


def named_in(input: Any, *, cwd: str | None = None) -> Named:
    """What an input names; relative paths start at `cwd`, or at the root that is watched."""
    words: dict[str, None] = {}
    globs: dict[str, None] = {}
    bases = [cwd] if cwd is not None else []
    for text, _ in zip(_texts(input, 0), range(TEXTS_MOST), strict=False):
        for word in _words(text, bases):
            if len(words) + len(globs) >= WORDS_MOST:
                break
            _keep(word, words, globs)
    return Named(
        words=frozenset(words),
        globs=tuple(globs),
        bases=tuple(dict.fromkeys(bases)),
        goes_up=any(word.startswith("..") for word in words),
    )


def _texts(value: Any, depth: int) -> Iterator[str]:
    """The strings of an input, but not what is written into a file named beside."""
    if isinstance(value, str):
        yield value[:TEXT_MOST]
    elif depth > DEEPEST:
        return
    elif isinstance(value, Mapping):
        has_path = not _PATHS.isdisjoint(value)
        for key, part in value.items():
            if not (has_path and key in _CONTENTS):
                yield from _texts(part, depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part, depth + 1)


def _words(text: str, bases: list[str]) -> Iterator[str]:
    """The words of a text; where a command line goes elsewhere, that is one of the bases."""
    in_patch = _PATCH.findall(text)
    if in_patch:
        for path in in_patch:
            yield path
            yield re.sub(r"^[ab]/", "", path)
        return
    if "\n" not in text:
        yield text
    pieces = _PIECE.findall(text)
    if len(pieces) < 2:
        yield from pieces
        return
    quoted = _as_a_shell_reads(text)
    _go_to([*quoted, *pieces], bases)
    yield from quoted
    yield from pieces


def _as_a_shell_reads(text: str) -> list[str]:
    """The words of a command line in which something is quoted."""
    if len(text) > QUOTED_MOST or not re.search(r"[\"'\\]", text):
        return []
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # a quote that does not end: no command line
        return []


def _go_to(words: list[str], bases: list[str]) -> None:
    """Note where `cd DIR`, or `git -C DIR`, goes."""
    for word, after in pairwise(words):
        if word in ("cd", "pushd", "-C") and len(bases) < DEEPEST:
            start = bases[0] if bases else None
            if os.path.isabs(after) or start is not None:
                bases.append(os.path.normpath(os.path.join(start or "/", after)))


def _keep(word: str, words: dict[str, None], globs: dict[str, None]) -> None:
    if len(word) > WORD_MOST or "\0" in word:
        return
    if word.startswith("~"):
        word = os.path.expanduser(word)
    path = os.path.normpath(word) if word else ""
    if path in _SAYS_NOTHING:
        return
    words[path] = None
    if _GLOB.search(path):
        globs[path] = None
