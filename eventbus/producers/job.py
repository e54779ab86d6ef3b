"""One job of the heartbeat: a function, when it is due, and running it apart from the rest."""

import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from importlib import import_module
from typing import Any, TypeVar

import anyio
import msgspec

from eventbus.apploop import app_loop
from eventbus.errors import SettingsError
from eventbus.producers.schedule import JobSettings, Schedule, read_schedule

__all__ = ["Due", "Job", "JobFunction", "find_function", "in_thread"]

T = TypeVar("T")
JobFunction = Callable[..., Any]
"""Sync or async; takes nothing, or the `Due` it runs for."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The moment a job runs for."""

    job: str
    at: datetime
    is_late: bool = False
    """True when it stands for an earlier moment that was missed."""

    @property
    def day(self) -> date:
        """The UTC day it stands for."""
        return self.at.date()


class Job:
    """A function and when it is due; one run of it at a time."""

    def __init__(self, name: str, function: JobFunction, settings: JobSettings) -> None:
        timing = read_schedule(settings, of=name)
        self.name = name
        self.function = function
        self.settings = settings
        self.every_s = timing if isinstance(timing, float) else 0.0
        """Seconds between runs; 0 for a job by the calendar."""
        self.schedule: Schedule | None = timing if not isinstance(timing, float) else None
        self.wake_s = 0.0
        """On the monotonic clock: not before then."""
        self.due_at: datetime | None = None
        """By the calendar; None: not known yet, or never."""
        self.checked = False
        """True once the ledger was asked what was missed before now."""
        self.in_thread = False
        """True while its function runs in a thread, even one left behind."""

    @property
    def catch_up(self) -> int:
        if self.settings.catch_up is not None:
            return self.settings.catch_up
        return self.schedule.catch_up if self.schedule is not None else 0

    @property
    def is_cron(self) -> bool:
        return self.settings.cron is not None

    async def call(self, due: Due) -> Any:
        """Run it once: a coroutine here, anything else in a thread of its own."""
        args = (due,) if _takes_due(self.function) else ()
        if inspect.iscoroutinefunction(self.function):
            return await self.function(*args)
        answer = await in_thread(lambda: self._call_here(args), name=f"job {self.name}")
        return await answer if isinstance(answer, Awaitable) else answer

    def _call_here(self, args: tuple[Due, ...]) -> Any:
        self.in_thread = True
        try:
            return self.function(*args)
        finally:
            self.in_thread = False


def _takes_due(function: JobFunction) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions do not say
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        parameter.kind in positional and parameter.default is inspect.Parameter.empty
        for parameter in parameters
    )


def find_function(written: str) -> JobFunction:
    """The function that `package.module:name` names."""
    module, _, path = written.partition(":")
    try:
        found: Any = import_module(module)
        for word in path.split("."):
            found = getattr(found, word)
    except Exception as error:  # a module may raise anything while it is imported
        raise SettingsError(
            f"cannot find the function {written!r}: {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise SettingsError(f"cannot run {written!r}: it is a {type(found).__name__}")
    return found  # type: ignore[no-any-return]  # whatever the settings named


async def in_thread(function: Callable[[], T], *, name: str) -> T:
    """Call it in a daemon thread; a hung one is left behind when we are cancelled.

    The pools of asyncio and anyio would keep the process from ending.
    """
    done, loop = anyio.Event(), app_loop()
    outcome: list[tuple[T | None, BaseException | None]] = []

    def work() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it was called
            outcome.append((None, error))
        if loop is not None:
            loop.soon(done.set)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    await done.wait()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # no error, so it is what was returned
