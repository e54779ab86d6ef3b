"""Statements run in a thread of their own, while the values of the next are made ready.

SQLite lets go of the interpreter while it works, so the two take turns on two
processors. Nobody touches the connection while a statement is under way.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import islice

from eventbus.sinkthread import SinkThread
from eventbus.store.engine import Values

__all__ = ["Ahead"]

ROWS_A_TURN = 256
"""Long enough that handing over costs little, short enough that neither waits for long."""


class Ahead:
    """The thread, made when it is first needed."""

    def __init__(self) -> None:
        self._thread: SinkThread | None = None

    def insert(self, rows: Iterator[Values], insert: Callable[[Sequence[Values]], int]) -> int:
        """Insert rows as they are made; returns, or raises, once nothing is under way."""
        if self._thread is None:
            self._thread = SinkThread("eventbus-insert")
        done = 0
        under_way: Future[int] | None = None
        try:
            while part := list(islice(rows, ROWS_A_TURN)):
                done += under_way.result() if under_way is not None else 0
                under_way = self._thread.submit(insert, part)
        finally:
            if under_way is not None:
                wait([under_way])
        return done + (under_way.result() if under_way is not None else 0)

    def close(self) -> None:
        """Let the thread go."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=True)
