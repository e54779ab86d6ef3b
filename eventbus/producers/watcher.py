"""The watcher: what changes in the files under its roots becomes events, without a gap untold."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import watchfiles

from eventbus.apploop import outlast
from eventbus.bus import EventBus
from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError
from eventbus.producers.attributing import QUICK_SETTLE_S, SETTLE_S, Attributor
from eventbus.producers.listening import Ear
from eventbus.producers.rounds import Rounds
from eventbus.watching.change import Attribution, Keep
from eventbus.watching.rules import Rules
from eventbus.watching.settings import WatchSettings, check_watch

__all__ = ["Watcher"]

STEP_MS, QUICK_STEP_MS = 45, 8
"""Between looks at what the kernel has told; a change is told after one or two of them."""
DEBOUNCE_MS = 100
"""A burst is told in parts of that length."""
AWAKE_MS = 60_000
END_SECONDS = 5.0
"""For a last look at everything; a disk that hangs is left behind after that."""
DEFAULT = WatchSettings()


class Watcher:
    """Tells `file:*` events of everything that changes under its roots, while a block lasts.

    `async with Watcher(bus, ["src"]):`, or `with` where there is no loop. On
    entering, what changed while nobody watched has been told, and whatever
    changes from then on will be; each with the tool call that made it, unless
    `attribution` says who else is asked. Works in a thread of its own. Of several
    watchers of one root on one state directory one is at work.
    """

    def __init__(
        self,
        bus: EventBus,
        roots: Iterable[str | os.PathLike[str]] = (),
        *,
        settings: WatchSettings = DEFAULT,
        attribution: Attribution | None = None,
        keep: Keep | None = None,
        own: Iterable[str | os.PathLike[str]] = (),
        when_listening: Callable[[Iterable[Path]], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.settings = check_watch(settings)
        self.roots = roots_of(roots or settings.roots, state=bus.state)
        """The directories that are watched, links resolved."""
        Rules(self.settings.ignore)  # says which pattern is none
        self._bus = bus
        self._calls = self._calls_on(bus, clock, disk) if attribution is None else None
        self._attribution = self._calls if attribution is None else attribution
        self._keep = keep
        self._own = tuple(map(Path, own))
        self._when_listening = when_listening
        self._clock = clock
        self._disk = disk
        self._news: SimpleQueue[Any] = SimpleQueue()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._rounds: Rounds | None = None

    def _calls_on(self, bus: EventBus, clock: Clock, disk: Disk) -> Attributor:
        settle = QUICK_SETTLE_S if self.settings.quick else SETTLE_S
        grace = self.settings.grace_ms / 1000
        return Attributor(bus, grace=grace, settle=settle, clock=clock, disk=disk)

    # --- life ----------------------------------------------------------------------

    def open(self) -> Self:
        """Begin to watch, without waiting; `with` and `async with` wait until it is so."""
        if self._thread is None and self._bus.is_open and not self.settings.off:
            if self._calls is not None:
                self._calls.open()
            self._rounds = Rounds(
                self._bus,
                self.roots,
                settings=self.settings,
                own=self._own,
                attribution=self._attribution,
                keep=self._keep,
                news=self._news,
                listen=self._listen,
                ready=self._ready.set,
                clock=self._clock,
                disk=self._disk,
            )
            self._thread = threading.Thread(
                target=self._rounds.run, name="eventbus-watcher", daemon=True
            )
            self._thread.start()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything is watched; False when the time ran out."""
        return self._thread is None or self._ready.wait(timeout)

    def close(self, timeout: float = END_SECONDS) -> bool:
        """Look at everything once more, tell it, and end; False when the time ran out."""
        thread = self._thread
        if thread is None:
            return True
        self._news.put(None)
        thread.join(timeout)
        if self._calls is not None:
            self._calls.close()
        return not thread.is_alive()

    @property
    def told(self) -> int:
        """Changes told so far."""
        return self._rounds.told if self._rounds is not None else 0

    def files(self) -> Iterator[tuple[Path, str, int]]:
        """The files that are watched now: their root, path, and when they were changed, in ns."""
        return self._rounds.files() if self._rounds is not None else iter(())

    def __enter__(self) -> Self:
        self.open().wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.open()
        await outlast(self.wait)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> bool:
        """The same as `close`, for code in a loop; shielded from cancellation."""
        return await outlast(self.close)

    # --- the kernel's word -----------------------------------------------------------

    def _listen(self, ear: Ear) -> None:
        """Start a thread that puts what the kernel tells an ear among the news."""
        if self._when_listening is not None:
            self._when_listening(map(Path, ear.paths))
        ear.when_established = lambda: self._news.put((ear, True))
        threading.Thread(
            target=_hear,
            args=(ear, self._news.put, QUICK_STEP_MS if self.settings.quick else STEP_MS),
            name="eventbus-ear",
            daemon=True,
        ).start()


def _hear(ear: Ear, put: Callable[[Any], None], step_ms: int) -> None:
    try:
        for changes in watchfiles.watch(
            *ear.paths,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=step_ms,
            stop_event=ear,
            rust_timeout=AWAKE_MS,
            raise_interrupt=False,
            recursive=False,
        ):
            put((ear, [path for _, path in changes]))
        if not ear.is_stopped:
            put((ear, RuntimeError("the kernel's word has ended")))
    except Exception as error:  # noqa: BLE001 - looked into in the watcher's thread, and told
        put((ear, error))


def roots_of(roots: Iterable[str | os.PathLike[str]], *, state: Path | None) -> tuple[Path, ...]:
    """Absolute directories; raises `SettingsError` for those that cannot be watched together."""
    resolved = tuple(dict.fromkeys(Path(root).resolve() for root in roots)) or (Path.cwd(),)
    for root in resolved:
        for other in resolved:
            if other in root.parents:
                raise SettingsError(
                    f"watch.roots cannot hold {str(root)!r}: it is in {str(other)!r};"
                    " give directories that are not inside each other"
                )
        if state is not None and (root == state.resolve() or state.resolve() in root.parents):
            raise SettingsError(
                f"watch.roots cannot hold {str(root)!r}: it is in the state directory;"
                " give a directory outside of it"
            )
    return resolved
