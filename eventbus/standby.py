"""The recorder that starts by itself when something is logged and nobody has opened a bus."""

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress

from eventbus import outlet
from eventbus.bus import EventBus
from eventbus.errors import EventBusError, SettingsError
from eventbus.event import Event

__all__ = ["Standby", "check_storage", "standby"]

STORAGES = {
    "file": ("jsonl", "flat"),
    "sqlite": ("jsonl", "sqlite"),
    "both": ("jsonl", "flat", "sqlite"),
}
"""The lanes of a log, by where it is kept; `sqlite` is the store, whatever it is on."""
START_SECONDS = 1.0
"""How long a caller waits for it to start; later its events wait for it, not the caller."""
STARTED_SECONDS = 2.0
"""How long whoever reads the log waits for it to start."""
RETRY_SECONDS = 10.0
"""Between tries to start it, when the state directory cannot be used."""
EARLY_MOST = 10_000
"""Events that wait for it to start; past them the oldest are dropped."""


class Standby:
    """At most one a process; takes events at any time, and never raises for its own trouble."""

    def __init__(self) -> None:
        self.bus: EventBus | None = None
        self.forget()

    def forget(self) -> None:
        """Be as new, but for a bus that is open; a forked child must."""
        self._is_open = self.bus is not None
        self._early: deque[Event] = deque(maxlen=EARLY_MOST)
        self._order = threading.RLock()
        self._door = threading.Lock()  # shut while it starts; no Event: those hang in a signal
        self._wait_until = 0.0
        self._retry_at = 0.0
        self._has_complained = False

    def open_bus(self) -> EventBus | None:
        """The bus somebody else has opened, the one that keeps files before others."""
        return outlet.open_bus(besides=self.bus)

    def emit(self, event: Event) -> None:
        """Hand an event on; the first one starts the recorder."""
        if self._is_open and self.bus is not None:
            self.bus.emit_nowait(event)
            return
        if is_disabled():
            return
        self._early.append(event)
        self._start()
        if self._door.acquire(timeout=max(0.0, self._wait_until - time.monotonic())):
            self._door.release()
        self._hand_on()

    def _hand_on(self) -> None:
        """Emit what came early, in order."""
        if self.bus is None:
            return
        with self._order:
            while self._early:
                self.bus.emit_nowait(self._early.popleft())
            self._is_open = True

    def wait_until_started(self) -> None:
        """Wait, not for long, until what came early has been emitted."""
        if self._early and self._door.acquire(timeout=STARTED_SECONDS):
            self._door.release()

    def close(self) -> None:
        """Close its bus before the process ends; the next event starts another."""
        bus, self.bus = self.bus, None
        self.forget()
        if bus is not None:
            bus.close()

    # --- starting ------------------------------------------------------------------

    def _start(self) -> None:
        """Open the bus in a thread of its own: a disk that hangs must not hang the caller."""
        now = time.monotonic()
        if self.bus is not None or now < self._retry_at or not self._door.acquire(blocking=False):
            return
        self._retry_at, self._wait_until = now + RETRY_SECONDS, now + START_SECONDS
        try:
            threading.Thread(target=self._open, name="eventbus-standby", daemon=True).start()
        except RuntimeError as error:  # the interpreter is ending
            self._door.release()
            self._complain(error)

    def _open(self) -> None:
        door = self._door
        try:
            if self.bus is None:
                self.bus = _open_bus()
            self._hand_on()
        except (EventBusError, OSError) as error:
            self._complain(error)
        finally:
            door.release()

    def _complain(self, error: Exception) -> None:
        """Say once that nothing is recorded; whoever logs is not to be bothered."""
        if not self._has_complained and sys.stderr is not None:
            self._has_complained = True
            with suppress(OSError, ValueError):  # nobody reads it, or it is closed
                print(f"eventbus records nothing: {error}", file=sys.stderr)


def _open_bus() -> EventBus:
    """A bus with the lanes of a log, as the settings have them."""
    # Only whoever has no bus needs these.
    from eventbus.prices import use_prices
    from eventbus.settings import SHARED_LANE, load_settings

    settings = load_settings()
    if settings.prices:
        use_prices(settings.prices)
    wanted = STORAGES.get(wanted_storage(), STORAGES["file"])
    if settings.store is not None:
        wanted = tuple(SHARED_LANE if lane == "sqlite" else lane for lane in wanted)
    sinks = [sink for sink in settings.named_sinks if sink.lane in wanted]
    bus = EventBus(settings.state, sinks=sinks, journal=settings.journal)
    return bus.__enter__()  # closed at exit, as every bus that is forgotten


def is_disabled() -> bool:
    """True when `EVENTBUS_DISABLED` turns recording off."""
    return os.environ.get("EVENTBUS_DISABLED", "").lower() in ("1", "true", "yes", "on")


def check_storage() -> str:
    """Where the flat log is kept; a `LOG_STORAGE` that is not there is refused by name."""
    wanted = wanted_storage()
    if wanted not in STORAGES:
        raise SettingsError(f"LOG_STORAGE cannot be {wanted!r}; allowed: {', '.join(STORAGES)}")
    return wanted


def wanted_storage() -> str:
    """What `LOG_STORAGE` says, allowed or not."""
    return os.environ.get("LOG_STORAGE") or "file"


standby = Standby()
os.register_at_fork(after_in_child=standby.forget)
