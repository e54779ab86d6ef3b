"""The watcher's thread: round after round it looks, tells, and listens for more."""

import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from eventbus.bus import EventBus
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.events.watch import WatchGap
from eventbus.producers.listening import Ear
from eventbus.producers.root import Root
from eventbus.producers.telling import Teller
from eventbus.scope import Scope
from eventbus.sinkthread import LONGEST_TURN, PAUSE, TURN
from eventbus.watching.calm import Calm
from eventbus.watching.change import Attribution, Change, Keep
from eventbus.watching.finding import changes_in
from eventbus.watching.lookout import Gap
from eventbus.watching.names import told_path
from eventbus.watching.settings import WatchSettings
from eventbus.watching.tree import Found

__all__ = ["Rounds"]

TURN_S = 1.0
"""Between turns of looking at what the kernel did not name."""
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
        self._teller = Teller(bus, attribution=attribution, keep=keep, clock=clock, disk=disk)
        self._teller.hash_bytes = settings.hash_bytes if settings.hash else None
        self._next_turn_s = 0.0
        self._rest = _Rest()
        self._calm = Calm(self._rest)
        self._roots = [
            Root(
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

    def files(self) -> Iterator[tuple[Path, str, int]]:
        """The regular files that are known now; from any thread."""
        for root in self._roots:
            entries = list(root.lookout.tree.entries.items())  # one C call: nothing comes between
            for path, entry in entries:
                if stat.S_ISREG(entry.mode):
                    yield root.lookout.root, path, entry.ctime_ns

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

    def _begin(self, root: Root) -> None:
        if not root.claim():
            return
        kept, found = root.begin()
        self._tell(root, found)
        if kept is not None and found:
            gap = Gap("not running", kept.saved, self._clock.now(), len(found))
            self._tell_gap(root, gap)
        self._save(root)

    def _tell(self, root: Root, found: list[Found]) -> None:
        if found:
            where, noticed = root.lookout.root, self._clock.now()
            changes = changes_in(found, root=where, noticed=noticed, rest=self._rest)
            self._tell_changes(self._calm.sift(changes, now_s=self._clock.monotonic()))
        root.lookout.tree.untold.clear()
        while root.lookout.gaps:
            self._tell_gap(root, root.lookout.gaps.pop(0))

    def _tell_held(self) -> None:
        due = self._calm.due
        if due is not None and due <= self._clock.monotonic():
            self._tell_changes(self._calm.sift((), now_s=self._clock.monotonic()))

    def _tell_changes(self, changes: list[Change]) -> None:
        if not changes:
            return
        by_root = {root: _paths_of(changes, root.lookout.root) for root in self._roots}
        for root, paths in by_root.items():
            root.note_before(paths)
        is_kept = self._teller.tell(changes)
        for root, paths in by_root.items():
            root.note(paths) if is_kept else root.untold.update(paths)

    def _tell_gap(self, root: Root, gap: Gap) -> None:
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

    def _save(self, root: Root) -> None:
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


class _Rest:
    """Lets other threads run, after each turn's time of computing."""

    def __init__(self) -> None:
        self._began = 0.0
        self._calls = 0
        self._turn = TURN

    def __call__(self) -> None:
        self._calls += 1
        if self._calls & 7:
            return
        now = time.perf_counter()
        if now - self._began > self._turn:
            time.sleep(PAUSE)
            self._began = time.perf_counter()
            # Where others take long turns, so does this one, within bounds: else it would starve.
            self._turn = min(max(TURN, self._began - now), LONGEST_TURN)


def _paths_of(changes: list[Change], root: Path) -> list[str]:
    return [each.path for each in changes if each.root == root]
