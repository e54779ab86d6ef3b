"""A thread for what a sink has to wait for: files, sockets, whatever blocks."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["SinkThread", "in_parts"]

TURN = 0.0002
"""Seconds of computing after which other threads get a turn."""
LONGEST_TURN = 0.0005
"""Seconds of a turn where others take long ones; two such threads would outdo each other."""
PAUSE = 0.00001
"""Seconds; the shortest that surely lets another thread have the GIL."""

_T = TypeVar("_T")


class SinkThread(Executor):
    """One daemon thread that runs a sink's blocking calls in order.

    Unlike the standard pool it never keeps the interpreter from ending, and
    it still takes work while the interpreter ends.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        return future

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                _settle(future, function)
            del call, future, function  # nobody's sink is held until the next call

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._calls.put(None)
        if wait:
            self._thread.join()


def _settle(future: "Future[Any]", function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - the future carries it to whoever waits
        future.set_exception(error)


def in_parts(values: list[_T], most: int, *, behind: int = 0) -> Iterator[list[_T]]:
    """A long list part by part, letting other threads run in between.

    One of `behind` values and more comes whole: it is late, and turns cost it a third.

    A thread that computes keeps the GIL for as long as five milliseconds at
    a time, and the app's loop would come that much too late. Where the others
    take long turns, so does this one, within bounds: else it would starve.
    """
    if behind and len(values) >= behind:
        yield values
        return
    turn, began = TURN, time.perf_counter()
    for start in range(0, len(values), most):
        yield values[start : start + most]
        now = time.perf_counter()
        if now - began > turn:
            time.sleep(PAUSE)
            began = time.perf_counter()
            turn = min(max(TURN, began - now), LONGEST_TURN)
