"""A loop in a thread of its own, asked from any other."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["LoopThread"]


class LoopThread:
    """Starts once, takes calls until it stops."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, *, at_end: Callable[[], None]) -> None:
        """Start the thread, once; `at_end` is called when no call is taken any more."""
        if self._thread is not None:
            return
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, ready, at_end), name=self._name, daemon=True
        )
        self._thread.start()
        ready.wait()

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        ready: threading.Event,
        at_end: Callable[[], None],
    ) -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            at_end()
            loop.close()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def soon(self, function: Callable[..., Any], *args: Any) -> bool:
        """Call it in the loop as soon as can be; False when there is none, or it has ended."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop has ended
            return False
        return True

    def forget_after_fork(self) -> None:
        """In a forked child: the thread is the parent's."""
        self._loop = self._thread = None
