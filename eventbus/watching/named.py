"""The paths that a tool call names in its input: arguments, command lines, patches."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
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
LINKS_MOST = 50
"""Words of a call up to which links in whole paths are followed."""
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

    def names(self, path: str, root: str) -> bool:
        """Whether it names this very path; both are absolute."""
        return not self.words.isdisjoint(self._spelled(path, root))

    def names_around(self, path: str, root: str) -> bool:
        """Whether it names a directory the path is in, below the root, or a pattern it fits."""
        if not self.words:
            return False
        spelled = self._spelled(path, root)
        depth = path.count("/") - root.rstrip("/").count("/") - 1
        if any(not self.words.isdisjoint(_above(word, depth)) for word in spelled):
            return True
        return any(fnmatchcase(word, glob) for glob in self.globs for word in spelled)

    def names_above(self, root: str) -> bool:
        """Whether it names the root itself, or a directory that holds it, by its whole path."""
        return root in self.words or not self.words.isdisjoint(_above(root, root.count("/")))

    def _spelled(self, path: str, root: str) -> list[str]:
        """The ways in which a call may write the path."""
        spelled = [path]
        for base in {*self.bases, root}:
            if path.startswith(f"{base.rstrip('/')}/"):
                spelled.append(path[len(base.rstrip("/")) + 1 :])
            elif self.goes_up:
                spelled.append(os.path.relpath(path, base))
        return spelled


def _above(path: str, most: int) -> Iterator[str]:
    """The directories a path is in, the nearest first, so many at the most."""
    for _ in range(most):
        path = path.rpartition("/")[0]
        if not path:
            return
        yield path


def named_in(input: Any, *, cwd: str | None = None) -> Named:
    """What an input names; relative paths start at `cwd`, or at the root that is watched."""
    words: dict[str, None] = {}
    globs: dict[str, None] = {}
    bases = [os.path.realpath(cwd)] if cwd is not None else []
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
    if os.path.isabs(path) and len(words) < LINKS_MOST:
        words[_without_links(path)] = None
    if _GLOB.search(path):
        globs[path] = None


def _without_links(path: str) -> str:
    """The path by which a watcher knows the file: the last part may be a link, and is told."""
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)
