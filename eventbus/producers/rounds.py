"""The watcher's thread: round after round it looks, tells, and listens for more."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from eventbus.bus import EventBus
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.events.watch import WatchGap
from eventbus.producers.listening import Ear, Listening
from eventbus.producers.telling import Teller
from eventbus.scope import Scope
from eventbus.sinkthread import PAUSE, TURN
from eventbus.watching.calm import Calm
from eventbus.watching.change import Attribution, Change, Keep
from eventbus.watching.finding import changes_in
from eventbus.watching.lookout import Gap, Lookout
from eventbus.watching.manifest import Kept, Manifest, slug_of
from eventbus.watching.names import told_path
from eventbus.watching.rules import Rules
from eventbus.watching.settings import WatchSettings
from eventbus.watching.tree import Found

__all__ = ["Rounds"]

TURN_S = 1.0
"""Between turns of looking at what the kernel did not name."""
SAVE_S = 30.0
"""Between times the manifest is written whole, if anything changed."""
TICK_NS = 10_000_000
"""How far a file's time may lag behind the clock."""
AGAIN_S = 1.0
"""Until the watcher begins anew after an error of its own."""


class Rounds:
    """Watches some roots until it is told to end; everything here runs in one thread."""

    def __init__(
        self,
        bus: EventBus,
        roots: Sequence[Path],
        *,
        settings: WatchSettings,
        own: Iterable[Path],
        attribution: Attribution | None,
        keep: Keep | None,
        news: "SimpleQueue[Any]",
        listen: Callable[[Ear], None],
        ready: Callable[[], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._news = news
        self._ready = ready
        self._clock = clock
        self._calm = Calm()
        self._teller = Teller(bus, attribution=attribution, keep=keep, clock=clock, disk=disk)
        self._teller.hash_bytes = settings.hash_bytes if settings.hash else None
        self._next_turn_s = 0.0
        self._rest = _Rest()
        self._roots = [
            _Root(
                root,
                state=bus.state,
                settings=settings,
                own=tuple(own),
                listen=listen,
                clock=clock,
                disk=disk,
                rest=self._rest,
            )
            for root in roots
        ]

    @property
    def told(self) -> int:
        """Changes told so far."""
        return self._teller.told

    def run(self) -> None:
        """Watch until None is among the news."""
        try:
            while not self._runs_to_its_end():
                pass
        finally:
            self._ready()
            for root in self._roots:
                root.listening.close()
                root.let_go()
            self._teller.close()

    def _runs_to_its_end(self) -> bool:
        """Watch until told to end; False when something went wrong that should not."""
        try:
            while self._round():
                pass
            self._end()
        except Exception as error:  # noqa: BLE001 - recorded, and everything is looked at anew
            self._teller.record(error, "watching files")
            for root in self._roots:
                root.begin_anew(error)
            time.sleep(AGAIN_S)
            return False
        return True

    # --- one round -------------------------------------------------------------------

    def _round(self) -> bool:
        """Wait for news, look, tell; False when it is to end."""
        for root in self._roots:
            if root.is_to_begin:
                self._begin(root)
        if all(root.is_ready for root in self._roots):
            self._ready()
        goes_on = self._take_news()
        is_turn = self._clock.monotonic() >= self._next_turn_s
        if is_turn:
            self._next_turn_s = self._clock.monotonic() + TURN_S
        for root in self._roots:
            if root.is_begun:
                self._tell(root, root.look(is_turn=is_turn))
        self._tell_held()
        if is_turn:
            self._tend()
        return goes_on

    def _take_news(self) -> bool:
        """Wait until something is due; hand over all there is."""
        now = self._clock.monotonic()
        due = [root.due for root in self._roots] + [self._calm.due, self._next_turn_s]
        wait = max(0.0, min(each for each in due if each is not None) - now)
        with suppress(Empty):
            while True:
                news = self._news.get(timeout=wait) if wait > 0 else self._news.get_nowait()
                if news is None:
                    return False
                self._hand_over(*news)
                wait = 0.0
        return True

    def _hand_over(self, ear: Ear, said: Any) -> None:
        root = next(each for each in self._roots if each.lookout.root == ear.root)
        if said is True:
            root.listening.established(ear)
        elif isinstance(said, list):
            root.listening.heard(ear, said)
        else:
            self._tell(root, root.listening.ended(ear, said))

    def _tend(self) -> None:
        self._teller.tend()
        for root in self._roots:
            if root.is_begun and self._clock.monotonic() >= root.save_at_s:
                self._save(root)

    # --- telling ------------------------------------------------------------------------

    def _begin(self, root: "_Root") -> None:
        if not root.claim():
            return
        kept, found = root.begin()
        self._tell(root, found)
        if kept is not None and found:
            gap = Gap("not running", kept.saved, self._clock.now(), len(found))
            self._tell_gap(root, gap)
        self._save(root)

    def _tell(self, root: "_Root", found: list[Found]) -> None:
        if found:
            changes = changes_in(found, root=root.lookout.root, noticed=self._clock.now())
            self._tell_changes(self._calm.sift(changes, now_s=self._clock.monotonic()))
        while root.lookout.gaps:
            self._tell_gap(root, root.lookout.gaps.pop(0))

    def _tell_held(self) -> None:
        due = self._calm.due
        if due is not None and due <= self._clock.monotonic():
            self._tell_changes(self._calm.sift((), now_s=self._clock.monotonic()))

    def _tell_changes(self, changes: list[Change]) -> None:
        if not changes:
            return
        is_kept = self._teller.tell(changes)
        for root in self._roots:
            paths = [each.path for each in changes if each.root == root.lookout.root]
            root.note(paths) if is_kept else root.untold.update(paths)

    def _tell_gap(self, root: "_Root", gap: Gap) -> None:
        where = f"{root.lookout.root}: " if len(self._roots) > 1 else ""
        self._teller.tell_event(
            WatchGap(
                scope=Scope(),
                reason=told_path(where + gap.reason),
                from_=gap.since,
                to=gap.until,
                found=gap.found,
            )
        )

    def _save(self, root: "_Root") -> None:
        try:
            root.save(self._calm.held_under(root.lookout.root))
        except OSError as error:
            self._teller.record(error, "keeping the manifest of watched files")

    def _end(self) -> None:
        """Tell what has changed until now, and what was held back."""
        for root in self._roots:
            if root.is_begun:
                self._tell(root, root.lookout.look_everywhere())
        self._tell_changes(self._calm.all_held())
        for root in self._roots:
            if root.is_begun:
                self._save(root)


class _Root:
    """One root: what is known of it, what listens to it, and where that is kept."""

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
        self._claim_at_s = self._clock.monotonic() + TURN_S
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
        return kept, [each for each in found if _is_news(each, kept)]

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


class _Rest:
    """Lets other threads run, after each turn's time of computing."""

    def __init__(self) -> None:
        self._began = 0.0
        self._calls = 0

    def __call__(self) -> None:
        self._calls += 1
        if self._calls & 7:
            return
        now = time.perf_counter()
        if now - self._began > TURN:
            time.sleep(PAUSE)
            self._began = time.perf_counter()


def _patterns_of(paths: Iterable[Path], root: Path) -> list[str]:
    """Patterns that hide paths, which may end in `*`, of those under a root."""
    inside = [path.relative_to(root) for path in paths if root in path.parents]
    return [f"/{_escaped(path.as_posix())}" for path in inside]


def _escaped(path: str) -> str:
    return "".join(f"\\{each}" if each in "\\[]?!# " else each for each in path)


def _is_news(found: Found, kept: Kept) -> bool:
    """Whether it was not there, or different, when it was watched last; else it was hidden."""
    if found.before is not None or found.now is None:
        return True
    return kept.knew(found.path, is_directory=found.now.is_directory)
