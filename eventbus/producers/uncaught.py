"""Exceptions nobody caught, recorded where the interpreter tells of them."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from eventbus import outlet
from eventbus.events.error import ErrorRaised
from eventbus.formats.as_text import as_text, stack_of
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.endings import outcome_of

__all__ = ["record_uncaught"]

FLUSH_SECONDS = 1.0
"""How long a thread or a process that is about to die waits for its error to be written."""
OUR_THREADS = "eventbus-"


def record_uncaught(*, bus: Bus | None = None) -> Callable[[], None]:
    """Record every exception nobody catches, as `error:runtime`; returns what undoes it.

    That is one that ends the program, a thread, or a task of asyncio, and one
    in a finaliser. Who was told before is told as before. Called again it
    adds the loop that runs by then, and nothing else.
    """
    hooks = _Hooks.current
    if hooks is None:
        hooks = _Hooks.current = _Hooks(bus)
        hooks.install()
    hooks.watch_loop()
    return hooks.undo


class _Hooks:
    """Ours in the four places, and those that were there before."""

    current: "_Hooks | None" = None

    def __init__(self, bus: Bus | None) -> None:
        self._bus = bus
        self._is_on = False
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        """What each loop told of its errors before."""
        self._program = sys.excepthook
        self._thread = threading.excepthook
        self._finaliser = sys.unraisablehook

    def install(self) -> None:
        self._is_on = True
        # Kept, as a bound method is a new object each time it is asked for.
        self._ours = (self._on_program, self._on_thread, self._on_finaliser, self._on_loop)
        sys.excepthook, threading.excepthook, sys.unraisablehook, _ = self._ours

    def watch_loop(self) -> None:
        """Be told by the loop that runs here, if one of asyncio's does."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop not in self._loops:
            self._loops[loop] = loop.get_exception_handler()
            loop.set_exception_handler(self._ours[3])

    def undo(self) -> None:
        """Put back what was there; who has been put on top of us stays, and finds us silent."""
        if not self._is_on:
            return
        self._is_on = False
        _Hooks.current = None
        program, thread, finaliser, on_loop = self._ours
        if sys.excepthook is program:
            sys.excepthook = self._program
        if threading.excepthook is thread:
            threading.excepthook = self._thread
        if sys.unraisablehook is finaliser:
            sys.unraisablehook = self._finaliser
        for loop, before in list(self._loops.items()):
            if loop.get_exception_handler() is on_loop:
                loop.set_exception_handler(before)

    # --- the four places -------------------------------------------------------------

    def _on_program(self, kind: Any, error: BaseException, traceback: Any) -> None:
        try:
            self._record(error, "uncaught", is_dying=True)
        finally:
            self._program(kind, error, traceback)

    def _on_thread(self, told: "threading.ExceptHookArgs") -> None:
        name = told.thread.name if told.thread is not None else "unknown"
        try:
            self._record(told.exc_value, f"uncaught in thread {name}", is_dying=True)
        finally:
            self._thread(told)

    def _on_finaliser(self, told: "sys.UnraisableHookArgs") -> None:
        where = told.err_msg or "unraisable"
        try:
            self._record(told.exc_value, f"{where} {as_text(told.object)}"[:500])
        finally:
            self._finaliser(told)

    def _on_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        said = as_text(context.get("message") or "uncaught in the event loop")
        before = self._loops.get(loop)
        try:
            self._record(context.get("exception"), said)
        finally:
            if before is not None:
                before(loop, context)
            else:
                loop.default_exception_handler(context)

    def _record(self, error: BaseException | None, said: str, *, is_dying: bool = False) -> None:
        if not self._is_on or error is None or outcome_of(error) != "error":
            return
        emitter(self._bus)(
            ErrorRaised(
                scope=scope_here(self._bus),
                type=as_text(type(error).__name__),
                message=as_text(error),
                stack=stack_of(error),
                context=said,
            )
        )
        if is_dying and not threading.current_thread().name.startswith(OUR_THREADS):
            self._flush()

    def _flush(self) -> None:
        """Wait, not for long, until it is written."""
        bus = self._bus if self._bus is not None else outlet.bus_in_use()
        flush_now = getattr(bus, "flush_now", None)
        if flush_now is not None:
            flush_now(timeout=FLUSH_SECONDS)
