"""One root under watch: what is known of it, what listens to it, and where that is kept."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.producers.listening import Ear, Listening
from eventbus.watching.lookout import Lookout
from eventbus.watching.manifest import Kept, Manifest, slug_of
from eventbus.watching.rules import Rules
from eventbus.watching.settings import WatchSettings
from eventbus.watching.tree import Found, Tree

__all__ = ["Root"]

SAVE_S = 30.0
"""Between times the manifest is written whole, if anything changed."""
CLAIM_S = 1.0
"""Between looks whether the process that has a root has let it go."""
TICK_NS = 10_000_000
"""How far a file's time may lag behind the clock."""


class Root:
    """Begins, looks, keeps; told what to do by the rounds."""

    def __init__(
        self,
        root: Path,
        *,
        state: Path | None,
        settings: WatchSettings,
        own: tuple[Path, ...],
        listen: Callable[[Ear], None],
        clock: Clock,
        disk: Disk,
        rest: Callable[[], None],
    ) -> None:
        hidden = own if state is None else (state.resolve(), *own)
        rules = Rules(settings.ignore, own=_patterns_of(hidden, root), gitignore=settings.gitignore)
        self.lookout = Lookout(root, rules, clock=clock, disk=disk, rest=rest)
        self.listening = Listening(self.lookout, listen=listen, clock=clock, poll=settings.poll)
        self.is_begun = False
        self.save_at_s = 0.0
        self.untold: set[str] = set()
        """What could not be emitted."""
        self._is_changed = True
        self._manifest = Manifest(state, root, disk=disk, rest=rest) if state is not None else None
        self._lock = state / "run" / f"watch-{slug_of(root)}.lock" if state is not None else None
        self._lock_fd: int | None = None
        self._claim_at_s = 0.0
        self._is_elsewhere = False
        self._opened_ns = int(clock.now().timestamp() * 1e9) - TICK_NS
        self._clock = clock
        self._disk = disk

    # --- life ----------------------------------------------------------------------------

    @property
    def is_to_begin(self) -> bool:
        return not self.is_begun and self._clock.monotonic() >= self._claim_at_s

    @property
    def is_ready(self) -> bool:
        """Whether all of it is watched, here or by another process."""
        return self._is_elsewhere or (self.is_begun and self.listening.is_settled)

    def claim(self) -> bool:
        """Take the root, unless another process has it."""
        self._claim_at_s = self._clock.monotonic() + CLAIM_S
        if self._lock is None or self._lock_fd is not None:
            return True
        self._disk.make_directory(self._lock.parent)
        fd = self._disk.open(self._lock, os.O_RDWR | os.O_CREAT)
        if not self._disk.lock(fd):
            self._disk.close(fd)
            self._is_elsewhere = True
            return False
        self._lock_fd = fd
        self._is_elsewhere = False
        return True

    def let_go(self) -> None:
        """Leave the root to others."""
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            self._disk.close(fd)

    def begin(self) -> tuple[Kept | None, list[Found]]:
        """Look at it for the first time; what was kept of it, and what differs from that."""
        kept = self._manifest.load() if self._manifest is not None else None
        tree = self.lookout.tree
        if kept is not None:
            for path, entry in kept.entries.items():
                if path.rpartition("/")[0] in tree.names:
                    tree.put(path, entry)
            tree.forget_hidden()
        found = self.lookout.begin()
        self.is_begun = True
        if kept is None:
            return None, [each for each in found if self._is_younger(each)]
        untold = [
            Found("mkdir", path, None, tree.entries.get(path)) for path in _untold(kept, tree)
        ]
        return kept, untold + [each for each in found if _is_news(each, kept)]

    def _is_younger(self, found: Found) -> bool:
        """Whether a file was written since this began, before it was seen for the first time."""
        now = found.now
        return found.op == "write" and now is not None and now.ctime_ns >= self._opened_ns

    def begin_anew(self, error: Exception) -> None:
        """After an error of our own: trust nothing, and look at everything."""
        self.listening.close()
        self.lookout.hears_none()
        self.lookout.doubt(f"watcher died: {type(error).__name__}: {error}")

    # --- looking ----------------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        if not self.is_begun:
            return self._claim_at_s
        due = [each for each in (self.lookout.due, self.listening.due) if each is not None]
        return min(due, default=None)

    def look(self, *, is_turn: bool) -> list[Found]:
        """Look at what is due, and in its turn at a part of the rest."""
        found = self.lookout.look()
        if is_turn:
            found += self.lookout.take_turn()
        return found + self.listening.tend()

    # --- keeping ----------------------------------------------------------------------------

    def note_before(self, paths: list[str]) -> None:
        """Keep that these are about to be told."""
        if paths and self._manifest is not None:
            with suppress(OSError):
                self._manifest.note_before(self.lookout.tree, paths)

    def note(self, paths: list[str]) -> None:
        """Keep that these were told; if that fails, they are told once more at the next start."""
        if paths and self._manifest is not None:
            self._is_changed = True
            with suppress(OSError):
                self._manifest.note(self.lookout.tree, paths)

    def save(self, held: set[str]) -> None:
        """Keep all that was told."""
        self.save_at_s = self._clock.monotonic() + SAVE_S
        if self._is_changed and self._manifest is not None:
            self._manifest.save(self.lookout.tree, now=self._clock.now(), untold=held | self.untold)
            self._is_changed = False


def _patterns_of(paths: Iterable[Path], root: Path) -> list[str]:
    """Patterns that hide paths, which may end in `*`, of those under a root."""
    real = [path.parent.resolve() / path.name for path in paths]
    inside = [path.relative_to(root) for path in real if root in path.parents]
    return [f"/{_escaped(path.as_posix())}" for path in inside]


def _escaped(path: str) -> str:
    return "".join(f"\\{each}" if each in "\\[]?!# " else each for each in path)


def _untold(kept: Kept, tree: Tree) -> list[str]:
    """Directories that are there and may not have been told."""
    return [path for path in kept.untold_directories if path in tree.names]


def _is_news(found: Found, kept: Kept) -> bool:
    """Whether it was not there, or different, when it was watched last; else it was hidden."""
    if found.before is not None or found.now is None:
        return True
    return kept.knew(found.path, is_directory=found.now.is_directory)
