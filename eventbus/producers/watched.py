"""What a recorder watches by its settings: the watcher, who it asks, and what is kept."""

import re
from collections.abc import Iterable, Iterator
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
            self._writers = listen_for_writers(roots, ignoring=state, clock=self._clock)
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
            **given,
        ).open()
        self._watcher.wait(READY_S)

    def _end(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        if self._attributor is not None:
            self._attributor.close()
        if self._writers is not None:
            self._writers.close()
        self._heartbeat.remove(PRUNE_JOB)
        self._watcher = self._attributor = self._writers = self._settings = None


def own_files(sinks: Iterable[NamedSink], state: Path | None) -> Iterator[Path]:
    """What sinks write outside of the state directory, as patterns: it is never told."""
    for sink in sinks:
        written = sink.settings.get("path")
        if not isinstance(written, str) or state is None:
            continue
        path = state / "logs" / Path(_PLACEHOLDER.sub("*", written)).expanduser()
        if not path.is_relative_to(state):
            yield path.with_name(f"{path.stem}*{path.suffix}*")
            yield path.with_name(f".{path.stem}*{path.suffix}*")
