"""Settings in, the running whole out; the one module that knows every part."""

import os
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio

from eventbus.apploop import app_loop
from eventbus.bus import EventBus, Report
from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError, StateUnusable
from eventbus.events.app import AppStarted, AppStopped
from eventbus.events.error import ErrorRaised
from eventbus.prices import use_prices
from eventbus.producers.heartbeat import Heartbeat
from eventbus.producers.reload import reloading
from eventbus.residence import resident_of, say_resident
from eventbus.settings import Settings, check_sinks, load_settings
from eventbus.sink import NamedSink, Sink

if TYPE_CHECKING:
    from eventbus.producers.spending import SpendingLimits
    from eventbus.producers.watched import Watched
    from eventbus.store.whereabouts import StoreAt

__all__ = ["Recorder", "package_version", "spending_limits"]

DISTRIBUTION = "eventbus-recorder"
COMPONENT = "recorder"
DETACH_SECONDS = 6.0
"""A lane that is detached gets five seconds to finish; then its sink is closed."""
ATTACH_SECONDS = 2.0
"""A lane whose sink does not open is tried on and on; a reload does not wait for it."""
LOOK_EVERY_S = 0.02
BEAT_END_SECONDS = 2.0
"""A job that will not be cancelled is left behind after that."""


def package_version() -> str:
    """The installed version; `0` when the package is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0"


class Recorder:
    """A bus with the lanes of the settings, and a heartbeat, for as long as a block lasts.

    Everything but the state directory can be changed while it runs, by
    `reload`. A resident recorder serves the lanes for every process on its
    state directory; there is one at a time.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        resident: bool = False,
        read_again: Callable[[], Settings] = load_settings,
        sinks: Iterable[Sink] = (),
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.settings = settings if settings is not None else read_again()
        """The settings in force."""
        self.report: Report | None = None
        """How it ended, once it has."""
        self._read_again = read_again
        self._is_resident = resident
        self._reloading: anyio.Lock | None = None
        serve: Literal["resident", "auto"] = "resident" if resident else "auto"
        self.bus = EventBus(
            self.settings.state,
            sinks=(*self.settings.named_sinks, *sinks),
            serve=serve,
            journal=self.settings.journal,
            clock=clock,
            disk=disk,
        )
        self.heartbeat = Heartbeat(
            self.bus, self.settings.heartbeat, stores=self._stores, clock=clock, disk=disk
        )
        self._beating: _Beating | None = None
        self._watched: Watched | None = None
        self._given: dict[str, Any] = {"clock": clock, "disk": disk}

    # --- life --------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        check_sinks(self.settings)
        if self.settings.prices:
            use_prices(self.settings.prices)
        if self._is_resident:
            self._refuse_a_second()
        self.bus.open()
        try:
            self._begin()
            await self._watch()
        except BaseException:
            await self._end_watching()
            await self.bus.aclose()
            raise
        return self

    def _begin(self) -> None:
        if not self.bus.is_open:  # recording is disabled
            return
        if self._is_resident and not self.bus.is_resident:
            self._refuse_a_second()
        if self.bus.is_resident:
            with suppress(OSError):  # a full disk, say; the lock is what counts
                say_resident(self.settings.state)
        self.bus.emit_nowait(AppStarted(version=package_version(), pid=os.getpid()))
        loop = app_loop()
        if loop is not None:
            self._beating = _Beating()
            loop.start(self._beat, self._beating)

    async def _watch(self) -> None:
        """Watch files by the settings, for as long as this is the resident."""
        if not self.bus.is_resident:
            return
        from eventbus.producers.watched import Watched  # watchfiles and pathspec

        self._watched = Watched(self.bus, self.heartbeat, **self._given)
        await self._watched.use(self.settings.watch, self.settings.named_sinks)

    async def _end_watching(self) -> None:
        if self._watched is not None:
            await self._watched.aclose()

    def _refuse_a_second(self) -> None:
        resident = resident_of(self.settings.state)
        if resident is not None:
            raise StateUnusable(
                f"cannot serve {self.settings.state}: {resident} does already;"
                " stop it, or give another state directory"
            )

    def _stores(self) -> "list[StoreAt]":
        """What the backup job is to back up, as the settings have it by then."""
        from eventbus.store.whereabouts import stores_of  # once a day

        return stores_of(self.settings.named_sinks, self.settings.state)

    async def _beat(self, beating: "_Beating") -> None:
        """The heartbeat, in a task of its own that never harms the app.

        A task group around the block would wrap the block's own exceptions.
        """
        try:
            with beating.scope:
                await self.heartbeat.run()
        except Exception as error:  # noqa: BLE001 - recorded; the app goes on without a heartbeat
            self._record_end_of_beats(error)
        finally:
            beating.ended.set()

    def _record_end_of_beats(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.bus.emit_nowait(
            ErrorRaised(
                type=type(error).__name__,
                message=str(error),
                stack="".join(traceback.format_exception(error)),
                component=COMPONENT,
                context="the heartbeat has ended",
            )
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            if self._beating is not None:
                await self._beating.end()
            await self._end_watching()
            reason = kind.__name__ if kind is not None else None
            self.bus.emit_nowait(
                AppStopped(version=package_version(), pid=os.getpid(), reason=reason)
            )
            self.report = await self.bus.aclose()

    # --- other settings while it runs --------------------------------------------

    async def reload(self, settings: Settings | None = None) -> str | None:
        """Take up other settings, by default those read again; what stood in the way, or None.

        With something in the way the old settings stay in force, and an
        `error:reload` event says so.
        """
        self._reloading = self._reloading or anyio.Lock()
        async with self._reloading:
            try:
                async with reloading(COMPONENT, rolled_back=True, bus=self.bus):
                    wanted = settings if settings is not None else self._read_again()
                    await self._take_up(wanted)
            except Exception as error:  # noqa: BLE001 - a sink's own code may raise anything; told
                return str(error) or type(error).__name__
        return None

    async def _take_up(self, wanted: Settings) -> None:
        """Change to other settings, or change nothing and raise."""
        before = self.settings
        if wanted.state != before.state:
            raise SettingsError(
                f"state cannot become {str(wanted.state)!r} while recording to"
                f" {str(before.state)!r}; end the recorder and start it again"
            )
        check_sinks(wanted)
        self.heartbeat.use(wanted.heartbeat)
        try:
            await self._change_lanes(before, wanted)
            await self._change_watching(before, wanted)
        except BaseException:
            self.heartbeat.use(before.heartbeat)
            raise
        self.bus.use_journal_settings(wanted.journal)
        if wanted.prices != before.prices:
            use_prices(wanted.prices)
        self.settings = wanted

    async def _change_watching(self, before: Settings, wanted: Settings) -> None:
        if self._watched is None:
            return
        try:
            await self._watched.use(wanted.watch, wanted.named_sinks)
        except BaseException:
            await self._change_lanes(wanted, before)
            raise

    async def _change_lanes(self, before: Settings, wanted: Settings) -> None:
        running = {sink.lane: sink for sink in before.named_sinks}
        target = {sink.lane: sink for sink in wanted.named_sinks}
        leaving = [sink for name, sink in running.items() if target.get(name) != sink]
        joining = [sink for name, sink in target.items() if running.get(name) != sink]
        with anyio.CancelScope(shield=True):  # half of a change is no state to be left in
            await self._detach(leaving)
            joined: list[NamedSink] = []
            try:
                for sink in joining:
                    self.bus.attach(sink)
                    joined.append(sink)
            except BaseException:
                await self._detach(joined)
                for sink in leaving:
                    self.bus.attach(sink)
                raise
            await self._until_served(joined)

    async def _until_served(self, sinks: list[NamedSink]) -> None:
        """Wait, not for long, until lanes are at work; elsewhere another process may serve them."""
        names = {sink.lane for sink in sinks} if self.bus.is_resident else set()
        with anyio.move_on_after(ATTACH_SECONDS):
            while names - self._served():  # noqa: ASYNC110 - no event tells
                await anyio.sleep(LOOK_EVERY_S)

    def _served(self) -> set[str]:
        lanes = self.bus.statistics().lanes
        return {name for name, lane in lanes.items() if lane.is_served}

    async def _detach(self, sinks: list[NamedSink]) -> None:
        """Detach lanes, and wait until they have gone: the next may bear the same name."""
        for sink in sinks:
            self.bus.detach(sink.lane)
        names = {sink.lane for sink in sinks}
        with anyio.move_on_after(DETACH_SECONDS):
            while names & self.bus.statistics().lanes.keys():  # noqa: ASYNC110 - no event tells
                await anyio.sleep(LOOK_EVERY_S)


class _Beating:
    """How a heartbeat is ended, and that it has."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()

    async def end(self) -> None:
        self.scope.cancel()
        with anyio.move_on_after(BEAT_END_SECONDS):
            await self.ended.wait()


def spending_limits(
    settings: Settings | None = None, *, bus: EventBus | None = None
) -> "SpendingLimits":
    """The cost limits of the settings, to be used as a block; `bus` is by default the open one."""
    from eventbus.producers.spending import SpendingLimits  # it reads the store

    settings = settings if settings is not None else load_settings()
    return SpendingLimits(settings.cost_limits, bus=bus, where=settings.where_store)
