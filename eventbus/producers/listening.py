"""Which directories of a root the kernel tells of: begun, renewed, given up, begun again."""

import errno
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Event as Flag

from eventbus.clock import Clock
from eventbus.watching.lookout import Gap, Lookout
from eventbus.watching.tree import Found

__all__ = ["Ear", "Listening"]

QUEUE_FILE = Path("/proc/sys/fs/inotify/max_queued_events")
QUEUE = 16_384
"""Notices the kernel keeps for us, where it does not say."""
DOUBTFUL_PART = 8
"""A burst of an eighth as many may have overflowed: each change makes several notices."""
QUIET_S = 0.3
DOUBT_MOST_S = 3.0
"""A burst that does not end is looked at anew after that long."""
AT_ONCE = 250
"""Directories a new ear is given: each takes 10 µs in which no other thread runs."""
EARS_MOST = 8
"""A root of more directories than that many ears would listen to has larger ones."""
SMALL = 64
"""An ear of fewer is replaced whenever there are others to be listened to."""
DIRECTORIES_A_SECOND = 5_000
"""That are given to new ears at the most."""
GROWING_S = 0.1
"""Between looks whether a tree still grows."""
MERGE_S, MERGE_MOST = 10.0, 1_500
"""Seconds without a new directory after which one ear listens for all, unless for so many."""
RETIRE_S = 0.5
"""What an ear has heard comes within that."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between tries to listen, while they fail."""
MORE_AGAIN_S = 60.0
"""Until it is tried again whether the kernel lets us listen to more."""


class Ear:
    """One listener of the kernel's, and the directories it was given."""

    def __init__(self, lookout: Lookout, directories: dict[str, int]) -> None:
        self.root = lookout.root
        self.paths = [lookout.tree.where(each) for each in directories]
        self.directories = directories
        """By path relative to the root, with their inodes."""
        self.when_established: Callable[[], None] = lambda: None
        self._stopped = Flag()
        self._established = Flag()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def is_set(self) -> bool:
        """Whether it is to end; it is first asked once the kernel has begun to tell."""
        if not self._established.is_set():
            self._established.set()
            self.when_established()
        return self._stopped.is_set()

    def stop(self) -> None:
        self._stopped.set()


class Listening:
    """The ears of one root: for directories that come another one, and few in all."""

    def __init__(
        self, lookout: Lookout, *, listen: Callable[[Ear], None], clock: Clock, poll: bool
    ) -> None:
        self.is_settled = poll
        """True once all that can be listened to is."""
        self._lookout = lookout
        self._listen = listen
        self._clock = clock
        self._polls = poll
        self._ears: list[Ear] = []
        self._pending: Ear | None = None
        self._replaced: list[Ear] = []
        """Whose directories the pending one will listen to."""
        self._retired: list[tuple[float, Ear]] = []
        self._most: int | None = None
        """Directories the kernel lets us listen to; None: all so far."""
        self._limited_since: datetime | None = None
        self._pause_s = FIRST_PAUSE_S
        self._not_before_s = 0.0
        self._more_again_s = 0.0
        self._renewed_s = 0.0
        self._alive = clock.now()
        self._burst = _Burst(_queue())

    # --- in each round -----------------------------------------------------------------

    def tend(self) -> list[Found]:
        """Begin to listen where it is wanted; what a doubt that is over has found."""
        now_s = self._clock.monotonic()
        while self._retired and self._retired[0][0] <= now_s:
            self._retired.pop(0)[1].stop()
        if self._pending is None:
            self._lookout.unheard.clear()
            if not self._polls and now_s >= self._not_before_s:
                self._begin_what_is_wanted(now_s)
        if self._burst.is_over(now_s):
            return self._look_after_burst()
        self._alive = self._clock.now()
        return []

    @property
    def due(self) -> float | None:
        """When a round is wanted, on the monotonic clock."""
        due = [at for at, _ in self._retired]
        due += [self._burst.due] if self._burst.is_doubtful else []
        if not self._lookout.hears_all and not self._polls and self._pending is None:
            due.append(self._not_before_s)
        return min(due, default=None)

    def heard(self, ear: Ear, paths: list[str]) -> None:
        """The kernel has told of paths."""
        if not ear.is_stopped:
            self._burst.count(len(paths), self._clock.monotonic(), self._alive)
            self._lookout.hear(paths)

    def close(self) -> None:
        """Stop listening."""
        retired = [each for _, each in self._retired]
        pending = [self._pending] if self._pending is not None else []
        for ear in (*self._ears, *retired, *pending):
            ear.stop()
        self._pending = None
        self._ears, self._retired = [], []

    # --- beginning ---------------------------------------------------------------------

    def _begin_what_is_wanted(self, now_s: float) -> None:
        lookout = self._lookout
        wants_more = self._most is not None and now_s >= self._more_again_s
        wants_one = len(self._ears) > 1 and now_s - self._renewed_s >= MERGE_S
        if lookout.hears_all and not wants_more and not wants_one:
            return
        if self._ears and lookout.growth.goes_on(now_s):
            # An ear takes tens of milliseconds to make while the kernel is busy with files,
            # and no other thread runs meanwhile; what is new is looked at instead.
            self._not_before_s = now_s + GROWING_S
            return
        wanted = self._wanted(now_s)
        unheard = {each: wanted[each] for each in wanted if each not in lookout.heard}
        self._renewed_s = now_s
        if unheard or (wants_one and len(wanted) <= MERGE_MOST):
            self._begin(unheard, of=len(wanted))
        else:
            lookout.hears_all = self.is_settled = True
            self._tell_end_of_limit()

    def _tell_end_of_limit(self) -> None:
        """All can be listened to again; what could not be was looked at all the while."""
        if self._limited_since is not None and self._most is None:
            since, self._limited_since = self._limited_since, None
            self._gap("watch limit", since, 0)

    def _wanted(self, now_s: float) -> dict[str, int]:
        """What can be listened to, as far as the kernel lets us."""
        wanted = self._lookout.hearable()
        if self._most is not None and now_s >= self._more_again_s:
            self._more_again_s, self._most = now_s + MORE_AGAIN_S, None
        if self._most is None:
            return wanted
        heard_first = sorted(wanted, key=lambda each: each not in self._lookout.heard)
        return {each: wanted[each] for each in heard_first[: self._most]}

    def _begin(self, unheard: dict[str, int], *, of: int) -> None:
        """Listen to some that are new, and to those of ears that are not much larger."""
        most = max(AT_ONCE if self._ears else MERGE_MOST, of // EARS_MOST)
        directories = dict([*unheard.items()][:most])
        self._replaced = []
        for ear in sorted(self._ears, key=lambda ear: len(ear.directories)):
            mine = self._still_heard(ear)
            if len(mine) > max(SMALL, 2 * len(directories)) and unheard:
                break
            self._replaced.append(ear)
            directories.update(mine)
        self._not_before_s = self._renewed_s + len(directories) / DIRECTORIES_A_SECOND
        self._pending = Ear(self._lookout, directories)
        self._listen(self._pending)

    def _still_heard(self, ear: Ear) -> dict[str, int]:
        heard = self._lookout.heard
        return {d: inode for d, inode in ear.directories.items() if heard.get(d) == inode}

    def established(self, ear: Ear) -> None:
        """The kernel tells of an ear's directories from now on."""
        if ear is not self._pending:
            ear.stop()
            return
        lookout, self._pending = self._lookout, None
        lost = lookout.unheard
        fresh = {each: inode for each, inode in ear.directories.items() if each not in lost}
        lookout.hears({**lookout.heard, **fresh})
        self._pause_s = FIRST_PAUSE_S
        retire_at = self._clock.monotonic() + RETIRE_S
        self._retired += [(retire_at, each) for each in self._replaced]
        self._ears = [each for each in self._ears if each not in self._replaced] + [ear]
        self._replaced = []

    # --- when it fails ------------------------------------------------------------------

    def ended(self, ear: Ear, error: BaseException | None) -> list[Found]:
        """An ear has ended; what looking again finds, if it was one that counts."""
        if ear is self._pending:
            self._pending, self._replaced = None, []
            self._could_not_begin(ear, error)
            return []
        if ear not in self._ears:
            return []
        self.close()
        self._lookout.hears_none()
        since = self._alive
        found = self._lookout.look_everywhere()
        self._gap(f"watcher died: {_told(error)}", since, len(found))
        return found

    def _could_not_begin(self, ear: Ear, error: BaseException | None) -> None:
        now_s, lookout = self._clock.monotonic(), self._lookout
        self._not_before_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        lookout.hears_all = False
        if _is_limit(error):
            heard = len(lookout.heard)
            self._most = heard or len(ear.directories) // 2
            self._more_again_s = now_s + MORE_AGAIN_S
            if self._limited_since is None:
                self._limited_since = self._clock.now()
                self._gap(f"watch limit: {_told(error)}", self._limited_since, None)
        else:  # a directory is gone, or may not be read by now
            gone = [each for each in ear.directories if not _is_there(lookout, each)]
            lookout.hear(map(lookout.tree.where, gone))

    def _gap(self, reason: str, since: datetime | None, found: int | None) -> None:
        until = self._clock.now() if found is not None else None
        self._lookout.gaps.append(Gap(reason, since=since, until=until, found=found))

    # --- bursts that may have overflowed --------------------------------------------------

    def _look_after_burst(self) -> list[Found]:
        since = self._burst.end()
        found = self._lookout.look_everywhere()
        if found:
            # A directory made again unheard may have the inode of one that was listened to.
            self._lookout.hears_none()
            self._gap("overflow", since, len(found))
        return found


class _Burst:
    """Counts notices, to know when the kernel's queue may have overflowed."""

    def __init__(self, queue: int) -> None:
        self.is_doubtful = False
        self._doubtful_from = max(1, queue // DOUBTFUL_PART)
        self._number = 0
        self._latest_s = self._began_s = 0.0
        self._since: datetime | None = None

    def count(self, number: int, now_s: float, alive: datetime) -> None:
        if now_s - self._latest_s > QUIET_S and not self.is_doubtful:
            self._number, self._began_s, self._since = 0, now_s, alive
        self._number += number
        self._latest_s = now_s
        self.is_doubtful = self.is_doubtful or self._number >= self._doubtful_from

    @property
    def due(self) -> float:
        return min(self._latest_s + QUIET_S, self._began_s + DOUBT_MOST_S)

    def is_over(self, now_s: float) -> bool:
        return self.is_doubtful and now_s >= self.due

    def end(self) -> datetime | None:
        self.is_doubtful = False
        self._number, self._began_s = 0, self._latest_s
        return self._since


def _queue() -> int:
    with suppress(OSError, ValueError):
        return int(QUEUE_FILE.read_text())
    return QUEUE


def _is_limit(error: BaseException | None) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EMFILE, errno.ENFILE):
        return True
    return any(word in str(error) for word in ("limit reached", "Too many open files"))


def _is_there(lookout: Lookout, directory: str) -> bool:
    try:
        lookout.tree.scan(directory)
    except OSError:
        return False
    return True


def _told(error: BaseException | None) -> str:
    return str(error).partition(" about [")[0][:200] if error is not None else "it ended"
