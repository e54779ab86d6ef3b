"""Work in the background around the agent's own code: `worker_task(...)`, block or decorator."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.events.worker import WorkerFailed, WorkerFinished
from eventbus.formats.as_text import as_text, stack_of, text_if_said
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.around import called_in, is_function, name_of

__all__ = ["WorkerTask", "worker_task"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def worker_task(name: F, /) -> F: ...


@overload
def worker_task(
    name: str | None = None, *, bus: Bus | None = None, clock: Clock = SYSTEM_CLOCK
) -> "WorkerTask": ...


def worker_task(name: Any = None, *, bus: Bus | None = None, clock: Clock = SYSTEM_CLOCK) -> Any:
    """Record how a worker's task ended: a block, async or not, or a decorator.

    One that is cancelled did not finish: it is recorded as failed.
    """
    if is_function(name):
        return WorkerTask(None, bus=bus, clock=clock)(name)
    return WorkerTask(text_if_said(name), bus=bus, clock=clock)


class WorkerTask:
    """One task of a worker: a block to be entered once, or a decorator of a function."""

    def __init__(self, name: str | None, *, bus: Bus | None, clock: Clock) -> None:
        self.name = name
        self._bus = bus
        self._clock = clock

    def __enter__(self) -> Self:
        if self.name is None:
            raise TypeError("a worker's task needs a name: worker_task('summarise')")
        self._began_at = self._clock.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        event = self._failed(error) if error is not None else self._finished()
        emitter(self._bus)(event)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def output(self, value: Any) -> None:
        """What a function returned is its own business."""

    def pause(self) -> None:
        """A generator's task goes on while others take what it made."""

    def resume(self) -> None:
        """And so there is nothing to take up again."""

    def _finished(self) -> WorkerFinished:
        return WorkerFinished(
            ts=self._clock.now(),
            scope=scope_here(self._bus),
            task=str(self.name),
            duration_ms=self._duration_ms(),
        )

    def _failed(self, error: BaseException) -> WorkerFailed:
        return WorkerFailed(
            ts=self._clock.now(),
            scope=scope_here(self._bus),
            task=str(self.name),
            duration_ms=self._duration_ms(),
            error=as_text(error),
            error_type=as_text(type(error).__name__),
            stack=stack_of(error),
        )

    def _duration_ms(self) -> float:
        return round((self._clock.monotonic() - self._began_at) * 1000, 3)

    def __call__(self, function: F) -> F:
        """The function, each call of it recorded as a task."""
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        name = self.name or name_of(function)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> "WorkerTask":
            return WorkerTask(name, bus=self._bus, clock=self._clock)

        decorated: F = called_in(function, begin)
        return decorated
