"""What is not watched under a root: patterns as in `.gitignore`, ours and the user's."""

from collections.abc import Iterable, Sequence

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from eventbus.errors import SettingsError

__all__ = ["DEFAULTS", "GITIGNORE", "Rules"]

GITIGNORE = ".gitignore"

DEFAULTS = (
    # Repositories: what they hold was a file of the tree before.
    *(".git/", ".hg/", ".svn/", ".jj/"),
    # Installed packages, which a lock file names.
    *("node_modules/", "bower_components/", ".venv/", "venv/", ".tox/", ".nox/", ".yarn/cache/"),
    # Caches, which are made again from what is watched.
    *("__pycache__/", ".cache/", ".mypy_cache/", ".ruff_cache/", ".pytest_cache/"),
    *(".hypothesis/", ".import_linter_cache/", ".parcel-cache/", ".turbo/", ".gradle/"),
    # Other recorders' state: two that watch each other would never fall silent.
    ".state/",
)
"""Directories alone: a file that somebody edits is never hidden by these."""


class Rules:
    """Says which paths under a root are hidden; of two patterns that fit, the later."""

    def __init__(
        self,
        patterns: Sequence[str] = (),
        *,
        own: Iterable[str] = (),
        gitignore: bool = False,
        defaults: Iterable[str] = DEFAULTS,
    ) -> None:
        self.patterns = tuple(patterns)
        self.reads_gitignore = gitignore
        """Whether `.gitignore` files count."""
        self._own = _Patterns(own, of="the recorder's own files")
        self._asked = _Patterns(patterns, of="watch.ignore")
        self._defaults = _Patterns(defaults, of="the patterns that ship")
        self._found: dict[str, _Patterns] = {}
        """What `.gitignore` files say, by the directory they are in."""

    def hides(self, path: str, *, is_directory: bool) -> bool:
        """Whether a path is hidden, given that the directories above it are not."""
        if self._own.say(path, is_directory):
            return True
        said = self._asked.say(path, is_directory)
        if said is None and self._found:
            said = self._say_found(path, is_directory)
        if said is None:
            said = self._defaults.say(path, is_directory)
        return bool(said)

    def read(self, directory: str, text: str | None) -> bool:
        """Take up a `.gitignore`, or that there is none; True if that changes anything."""
        before = self._found.pop(directory, None)
        if text is None:
            return before is not None
        lines = tuple(text.split("\n"))
        if before is not None and before.lines == lines:
            self._found[directory] = before
            return False
        self._found[directory] = _Patterns(lines, of=GITIGNORE, is_strict=False)
        return True

    def _say_found(self, path: str, is_directory: bool) -> bool | None:
        """What the nearest `.gitignore` that knows the path says."""
        above = path
        while above:
            above = above.rpartition("/")[0]
            found = self._found.get(above)
            if found is None:
                continue
            said = found.say(path[len(above) + 1 :] if above else path, is_directory)
            if said is not None:
                return said
        return None


class _Patterns:
    """Lines as in one `.gitignore`."""

    def __init__(self, lines: Iterable[str], *, of: str, is_strict: bool = True) -> None:
        self.lines = tuple(lines)
        self._spec = GitIgnoreSpec.from_lines(_valid(self.lines, of=of, is_strict=is_strict))
        # Most patterns are of directories, and most paths are files.
        self._may_be_files = not all(line.rstrip().endswith("/") for line in self.lines)

    def say(self, path: str, is_directory: bool) -> bool | None:
        """True: hidden; False: taken back; None: nothing is said."""
        if is_directory:
            return self._spec.check_file(f"{path}/").include
        return self._spec.check_file(path).include if self._may_be_files else None


def _valid(lines: Iterable[str], *, of: str, is_strict: bool) -> list[str]:
    """The lines that are patterns; one that is none is refused, or passed over as git does."""
    valid = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except GitIgnorePatternError as error:
            if is_strict:
                raise SettingsError(
                    f"{of} cannot hold {line!r}; a pattern is a line as in .gitignore,"
                    " for example 'build/' or '!build/kept.txt'"
                ) from error
        else:
            valid.append(line)
    return valid
