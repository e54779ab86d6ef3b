"""Hot reloads around the code that does them: what failed, and whether it was rolled back."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from eventbus.events.error import ReloadFailed
from eventbus.formats.as_text import as_text, stack_of
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.endings import outcome_of

__all__ = ["reloading"]


class reloading:
    """Record a reload that fails, and its rollback; the exception goes on.

    `rollback` is called when the block raises; async where the block is. Code
    that rolls back itself says so by setting `rolled_back`. A rollback that
    fails leaves `rolled_back` False, and its exception goes on instead.
    """

    def __init__(
        self,
        component: str,
        *,
        rollback: Callable[[], Any] | None = None,
        rolled_back: bool = False,
        context: str | None = None,
        bus: Bus | None = None,
    ) -> None:
        self.rolled_back = rolled_back
        """Whether the old is in force again, should the block raise."""
        self._component = component
        self._rollback = rollback
        self._context = context
        self._bus = bus

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        try:
            undoing = self._rollback() if self._rollback is not None else None
            if isinstance(undoing, Awaitable):
                close = getattr(undoing, "close", lambda: None)
                close()
                raise TypeError(f"{self._rollback!r} is async; write `async with reloading(...)`")
            self.rolled_back = self.rolled_back or self._rollback is not None
        finally:
            self._record(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        try:
            undoing = self._rollback() if self._rollback is not None else None
            if isinstance(undoing, Awaitable):
                await undoing
            self.rolled_back = self.rolled_back or self._rollback is not None
        finally:
            self._record(error)

    def _record(self, error: BaseException) -> None:
        if outcome_of(error) == "cancelled":
            return
        emitter(self._bus)(
            ReloadFailed(
                scope=scope_here(self._bus),
                type=as_text(type(error).__name__),
                message=as_text(error),
                stack=stack_of(error),
                component=self._component,
                context=self._context,
                rolled_back=self.rolled_back,
            )
        )
