"""What the store's sinks share: a batch lands in a thread, with the lane's cursor."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from eventbus.sink import Batch, Cursor, Home, Lost, Sink
from eventbus.sinkthread import SinkThread
from eventbus.store.cursors import read_cursor
from eventbus.store.engine import Writer
from eventbus.store.landing import land, tend

__all__ = ["StoreSink"]

_T = TypeVar("_T")


class StoreSink(Sink):
    """Lands batches in the tables of a store; what opens one and tends it is its subclass's."""

    def __init__(self) -> None:
        self._home = Home(None)
        self._thread: SinkThread | None = None
        self._writer: Writer | None = None
        self._lost: Lost | None = None
        """Why there is nothing to write to any more, until it is opened anew."""

    def connect(self, home: Home) -> Writer:
        """Open the database, its tables of this version; runs in the sink's thread."""
        raise NotImplementedError

    def tend(self, writer: Writer, now: datetime) -> None:
        """Look after the database between batches; runs in the sink's thread."""

    def judge(self, writer: Writer, error: Exception) -> Exception:
        """What an error is to the lane: `Unavailable`, `Refused`, `Lost` or itself.

        Runs in the sink's thread; with `Lost`, the database has been let go.
        """
        return error

    async def open(self, home: Home) -> None:
        """Open the database; raises as long as it cannot be used."""
        self._home, self._lost = home, None
        thread, self._thread = self._thread, SinkThread(f"eventbus-{home.lane}")
        if thread is not None:  # of an opening that failed, or of the process we were forked from
            thread.shutdown(wait=False)
        opening = asyncio.ensure_future(self._submit(lambda: self.connect(home)))
        try:
            self._writer = await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(Exception):  # it was not to be opened any more
                self._writer = await opening
            await self.close()
            raise

    async def cursor(self) -> Cursor | None:
        """Where the tables stand."""
        return await self._call(lambda writer: read_cursor(writer, self._home.lane))

    async def write(self, batch: Batch) -> None:
        """Land it whole, or raise with nothing of it there."""
        await self._call(lambda writer: land(writer, batch, lane=self._home.lane))

    async def tick(self, now: datetime) -> None:
        """Do what was left for later, and look after the database."""
        await self._call(tend)
        await self._call(lambda writer: self.tend(writer, now))

    async def sync(self) -> None:
        """Return when all that landed is safe from a power cut."""
        if self._writer is not None or self._lost is not None:
            await self._call(lambda writer: writer.sync())

    async def close(self) -> None:
        """Let the database and the thread go."""
        writer, thread = self._writer, self._thread
        self._writer = self._thread = None
        if thread is None:
            return
        try:
            if writer is not None:
                await asyncio.shield(asyncio.wrap_future(thread.submit(writer.close)))
        finally:
            thread.shutdown(wait=False)

    def __del__(self) -> None:
        """Let the database go when nobody closed the sink in time."""
        writer, thread = getattr(self, "_writer", None), getattr(self, "_thread", None)
        if thread is not None:
            if writer is not None:
                thread.submit(writer.close)
            thread.shutdown(wait=False)

    async def _call(self, call: Callable[[Writer], _T]) -> _T:
        writer = self._writer
        if self._lost is not None:
            raise Lost(str(self._lost))
        if writer is None:
            raise ValueError(f"the sink {type(self).__name__} is not open")
        calling = asyncio.ensure_future(self._submit(lambda: self._judged(call, writer)))
        return await asyncio.shield(calling)

    def _judged(self, call: Callable[[Writer], _T], writer: Writer) -> _T:
        try:
            return call(writer)
        except Exception as error:
            judged = self.judge(writer, error)
            if isinstance(judged, Lost):
                self._writer, self._lost = None, judged
            if judged is error:
                raise
            raise judged from error

    async def _submit(self, call: Callable[[], _T]) -> _T:
        """Run it in the sink's thread, to its end even if whoever waits is cancelled."""
        assert self._thread is not None
        result: _T = await asyncio.wrap_future(self._thread.submit(call))
        return result
