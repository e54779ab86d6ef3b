"""What a recorder watches by its settings: the watcher, who it asks, and what is kept."""

import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from eventbus.apploop import outlast
from eventbus.bus import EventBus
from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.producers.attributing import QUICK_SETTLE_S, SETTLE_S, Attributor
from eventbus.producers.watcher import Watcher
from eventbus.sink import NamedSink
from eventbus.sinkthread import in_parts
from eventbus.watching.baseline import Baseline
from eventbus.watching.contents import Contents
from eventbus.watching.settings import WatchSettings
from eventbus.watching.writers import Writers, listen_for_writers

if TYPE_CHECKING:
    from eventbus.producers.heartbeat import Heartbeat

__all__ = ["Watched", "own_files"]

PRUNE_EVERY_S = 600.0
READY_S = 1.0
"""A tree that takes longer to look at is watched from then on, while recording has begun."""
PRUNE_JOB = "contents"
DAY_S = 86_400.0
END_S = 5.0
"""For the file that is being read; what is not taken by then is taken next time."""
AT_ONCE = 16
"""Files that are taken between two looks whether other threads want a turn."""
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


class Watched:
    """Watches by the settings in force; other settings end it and begin it anew."""

    def __init__(self, bus: EventBus, heartbeat: "Heartbeat", *, clock: Clock, disk: Disk) -> None:
        self._bus = bus
        self._heartbeat = heartbeat
        self._clock = clock
        self._disk = disk
        self._settings: tuple[WatchSettings, tuple[Path, ...]] | None = None
        self._watcher: Watcher | None = None
        self._attributor: Attributor | None = None
        self._writers: Writers | None = None
        self._baseline: _Taking | None = None

    async def use(self, settings: WatchSettings, sinks: Iterable[NamedSink]) -> None:
        """Watch by these from now on; raises `SettingsError` before anything has changed."""
        settings = msgspec.structs.replace(settings, roots=self._outside(settings.roots))
        wanted = (settings, tuple(own_files(sinks, self._bus.state)))
        if wanted == self._settings:
            return
        Watcher(self._bus, settings=settings)  # says what is wrong with them
        await self.aclose()
        if settings.roots and not settings.off and self._bus.is_open:
            await outlast(lambda: self._begin(*wanted))
        self._settings = wanted

    def _outside(self, roots: tuple[str, ...]) -> tuple[str, ...]:
        """The roots that are not the state directory itself: in it there is nothing to tell."""
        state = self._bus.state
        resolved = [Path(root).resolve() for root in roots or (".",)]
        if state is None:
            return tuple(map(str, resolved))
        return tuple(str(each) for each in resolved if not each.is_relative_to(state.resolve()))

    async def aclose(self) -> None:
        """Tell what has changed until now, and end."""
        await outlast(self._end)

    def _begin(self, settings: WatchSettings, own: tuple[Path, ...]) -> None:
        given: dict[str, Any] = {"clock": self._clock, "disk": self._disk}
        state = self._bus.state
        roots = [*map(Path, settings.roots)]
        if settings.writers:
            self._writers = listen_for_writers(roots, clock=self._clock)
        self._attributor = Attributor(
            self._bus,
            grace=settings.grace_ms / 1000,
            settle=QUICK_SETTLE_S if settings.quick else SETTLE_S,
            writers=self._writers,
            **given,
        ).open()
        contents = None
        if settings.keep != "off" and state is not None:
            contents = Contents(state, settings, **given)
            self._heartbeat.add(PRUNE_JOB, contents.prune, every=PRUNE_EVERY_S)
        self._watcher = Watcher(
            self._bus,
            settings=settings,
            attribution=self._attributor,
            keep=contents.keep if contents is not None else None,
            own=own,
            when_listening=self._writers.listen_to if self._writers is not None else None,
            **given,
        ).open()
        self._watcher.wait(READY_S)
        if contents is not None:
            self._baseline = _Taking(self._watcher, contents, **given)

    def _end(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        if self._baseline is not None:
            self._baseline.end()
        if self._attributor is not None:
            self._attributor.close()
        if self._writers is not None:
            self._writers.close()
        self._heartbeat.remove(PRUNE_JOB)
        self._watcher = self._attributor = self._writers = self._settings = None
        self._baseline = None


class _Taking:
    """Keeps what all the files hold: at first, and every day for those that stay as they are."""

    def __init__(self, watcher: Watcher, contents: Contents, *, clock: Clock, disk: Disk) -> None:
        self._watcher = watcher
        self._baselines = {
            root: Baseline(root, contents, clock=clock, disk=disk) for root in watcher.roots
        }
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eventbus-baseline", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        self._watcher.wait()
        while not self._is_over.is_set():
            for root, baseline in self._baselines.items():
                with suppress(OSError):  # a full disk, say: what is kept already stays
                    baseline.take(self._files_of(root), is_over=self._is_over.is_set)
            self._is_over.wait(DAY_S)

    def _files_of(self, root: Path) -> Iterator[tuple[str, int]]:
        """With pauses, in which other threads run."""
        files = [(path, changed_ns) for at, path, changed_ns in self._watcher.files() if at == root]
        for part in in_parts(files, AT_ONCE):
            yield from part


def own_files(sinks: Iterable[NamedSink], state: Path | None) -> Iterator[Path]:
    """What the recorder writes outside of the state directory, as patterns: it is never told.

    That is what sinks write elsewhere, and the files its own output goes to:
    an event told there would be a change again.
    """
    yield from _outputs()
    for sink in sinks:
        written = sink.settings.get("path")
        if not isinstance(written, str) or state is None:
            continue
        path = state / "logs" / Path(_PLACEHOLDER.sub("*", written)).expanduser()
        if not path.is_relative_to(state):
            yield path.with_name(f"{path.stem}*{path.suffix}*")
            yield path.with_name(f".{path.stem}*{path.suffix}*")


def _outputs() -> Iterator[Path]:
    """The files that standard output and error are directed to."""
    for fd in (1, 2):
        with suppress(OSError, ValueError):  # closed, or no such system
            if stat.S_ISREG(os.fstat(fd).st_mode):
                yield Path(os.readlink(f"/proc/self/fd/{fd}"))
