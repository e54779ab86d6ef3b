"""What every sink promises, as tests; each is a sentence of `docs/sinks.md`.

They need no plug-in of pytest's and none of our fixtures.
"""

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventbus.errors import SettingsError
from eventbus.event import Event, decode, encode
from eventbus.events.error import ErrorRaised
from eventbus.events.log import LogLine
from eventbus.kinds import KindFilter
from eventbus.scope import Scope
from eventbus.sink import Batch, Home, Place, Sink, read_settings
from eventbus.testing.clock import FakeClock

__all__ = ["SinkContract", "check_sink"]

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long a sink's thread may take to end."""
LATE_SECONDS = 1.0
"""A loop that comes round later than this was held up."""
HOSTILE = (
    "a\nb\r\nc|d|e\tf",
    "\x1b]0;title\x07\x1b[2J",
    "\x00\x7f\x9b",
    "\u2028\u2029\u202e\u2066",
    "\ufeff\ufffe🙂",
    "../../etc/passwd",
    "/etc/passwd",
    "{date}{number}%s%n",
    "x" * 100_000,
)
"""Texts that break a line, a file name, a terminal, or a limit."""


class SinkContract:
    """Subclass it, say how to make the sink, and pytest does the rest."""

    def make(self, state: Path) -> Sink:
        """A new sink; what it writes is under `state`."""
        raise NotImplementedError

    def read(self, state: Path) -> list[str] | None:
        """The ids of the events it wrote, in order; None where they cannot be read back."""
        return None

    def events(self, count: int) -> list[Event]:
        """Events the sink has a use for."""
        return [LogLine(event_type="contract:check", message=f"n={n}") for n in range(count)]

    # --- making and opening --------------------------------------------------

    def test_making_a_sink_does_nothing_yet(self, tmp_path: Path) -> None:
        before = _running()

        self.make(tmp_path)

        assert list(tmp_path.iterdir()) == [], "making it left files"
        assert _running() <= before, "making it started a thread or opened a file"

    def test_it_opens_where_nothing_is_yet(self, tmp_path: Path) -> None:
        self._write(tmp_path / "not" / "there", [])

    def test_it_refuses_settings_that_it_does_not_know(self, tmp_path: Path) -> None:
        wanted = self.make(tmp_path).Settings
        if wanted is None:
            return
        assert issubclass(wanted, msgspec.Struct), "Settings is no msgspec.Struct"
        with suppress(SettingsError):
            read_settings(wanted, {"no_such_setting": 1}, of="the sink")
            raise AssertionError("a setting it does not know was taken")

    def test_the_kinds_it_wants_are_patterns_or_event_classes(self, tmp_path: Path) -> None:
        KindFilter(self.make(tmp_path).kinds)

    # --- writing -------------------------------------------------------------

    def test_every_event_is_there_once_and_in_order(self, tmp_path: Path) -> None:
        events = self.events(1_001)

        self._write(tmp_path, [Batch(events=events[:1]), Batch(events=events[1:])])

        self._assert_holds(tmp_path, events)

    def test_a_batch_of_lines_is_as_good_as_a_batch_of_events(self, tmp_path: Path) -> None:
        events = self.events(10)

        self._write(tmp_path, [Batch(lines=[encode(event) for event in events])])

        self._assert_holds(tmp_path, events)

    def test_a_batch_is_left_as_it_was(self, tmp_path: Path) -> None:
        events = self.events(10)
        lines = [encode(event) for event in events]
        batch = Batch(events=list(events), lines=list(lines))

        self._write(tmp_path, [batch])

        assert batch.events == events
        assert batch.lines == lines

    def test_a_batch_may_come_a_second_time(self, tmp_path: Path) -> None:
        events = self.events(10)

        self._write(tmp_path, [_batch(events, 1), _batch(events, 1)])

    def test_it_takes_kinds_it_does_not_know(self, tmp_path: Path) -> None:
        stranger = decode(b'{"kind":"stranger:seen","id":"1","ts":"2026-01-01T00:00:00Z","n":1}')
        no_record = decode(b"\xff\x00 no record at all")

        self._write(tmp_path, [Batch(events=[stranger, no_record])])

    def test_it_takes_any_text(self, tmp_path: Path) -> None:
        self._write(tmp_path, [Batch(events=list(_hostile_events()))])

    def test_no_text_leads_it_out_of_its_place(self, tmp_path: Path) -> None:
        state = tmp_path / "deep" / "state"
        state.mkdir(parents=True)

        self._write(state, [Batch(events=list(_hostile_events()))])

        assert list(tmp_path.iterdir()) == [tmp_path / "deep"]
        assert list((tmp_path / "deep").iterdir()) == [state]

    def test_it_does_not_hold_up_the_loop(self, tmp_path: Path) -> None:
        latest = _run(self._lateness(tmp_path))

        assert latest < LATE_SECONDS, f"the loop came round {latest:.1f} s late"

    async def _lateness(self, state: Path) -> float:
        events = self.events(1_000)
        latest = 0.0

        async def watch() -> None:
            nonlocal latest
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                latest = max(latest, time.monotonic() - before - 0.01)

        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0.02)
        await self._serve(state, [Batch(events=events) for _ in range(10)])
        await asyncio.sleep(0.02)
        watching.cancel()
        return latest

    def test_it_writes_on_after_a_write_was_cancelled(self, tmp_path: Path) -> None:
        first, second = self.events(10), self.events(10)

        async def cancel_one() -> None:
            sink = await self._opened(tmp_path)
            writing = asyncio.ensure_future(sink.write(_batch(first, 1)))
            await asyncio.sleep(0)
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            await sink.write(_batch(second, 2))
            await sink.close()

        _run(cancel_one())

        ids = self.read(tmp_path)
        assert ids is None or {event.id for event in second} <= set(ids)

    # --- between batches -----------------------------------------------------

    def test_it_writes_on_after_a_tick_whatever_the_clock_says(self, tmp_path: Path) -> None:
        clock = FakeClock(datetime.now(UTC))
        events = self.events(5)

        async def tick_about() -> None:
            sink = await self._opened(tmp_path, clock=clock)
            for event, days in zip(events, (0, 1, 3_650, -3_650, 0), strict=True):
                clock.jump(clock.now() + timedelta(days=days))
                await sink.tick(clock.now())
                await sink.write(Batch(events=[event]))
            await sink.close()

        _run(tick_about())

        ids = self.read(tmp_path)
        assert ids is None or sorted(ids) == sorted(event.id for event in events)

    def test_it_writes_on_after_a_sync(self, tmp_path: Path) -> None:
        events = self.events(2)

        async def sync_between() -> None:
            sink = await self._opened(tmp_path)
            await sink.sync()
            for event in events:
                await sink.write(Batch(events=[event]))
                await sink.sync()
            await sink.close()

        _run(sync_between())

        self._assert_holds(tmp_path, events)

    # --- closing and opening again --------------------------------------------

    def test_closing_twice_is_harmless(self, tmp_path: Path) -> None:
        async def close_twice() -> None:
            sink = await self._opened(tmp_path)
            await sink.close()
            await sink.close()

        _run(close_twice())

    def test_closing_what_was_never_opened_is_harmless(self, tmp_path: Path) -> None:
        _run(self.make(tmp_path).close())

    def test_closing_leaves_no_thread_and_no_descriptor(self, tmp_path: Path) -> None:
        self._write(tmp_path / "first", [Batch(events=self.events(1))])  # imports what it needs
        before = _running()

        self._write(tmp_path / "second", [Batch(events=self.events(1))])

        until = time.monotonic() + PATIENCE_SECONDS
        while not _running() <= before and time.monotonic() < until:
            time.sleep(0.01)
        assert _running() <= before, "a thread or a descriptor was left"

    def test_a_new_one_goes_on_where_the_last_one_closed(self, tmp_path: Path) -> None:
        first, second = self.events(3), self.events(3)

        self._write(tmp_path, [_batch(first, 1)])
        self._write(tmp_path, [_batch(second, 2)])

        self._assert_holds(tmp_path, [*first, *second])

    def test_a_cursor_it_keeps_is_the_last_it_was_given(self, tmp_path: Path) -> None:
        self._write(tmp_path, [_batch(self.events(1), 1), _batch(self.events(1), 2)])

        async def ask() -> Any:
            sink = await self._opened(tmp_path)
            cursor = await sink.cursor()
            await sink.close()
            return cursor

        assert _run(ask()) in (None, _batch([], 2).cursor)

    # --- what the tests are made of ------------------------------------------

    def _write(self, state: Path, batches: Iterable[Batch]) -> None:
        _run(self._serve(state, batches))

    async def _serve(self, state: Path, batches: Iterable[Batch]) -> None:
        sink = await self._opened(state)
        await sink.cursor()
        for batch in batches:
            await sink.write(batch)
        await sink.close()

    async def _opened(self, state: Path, *, clock: FakeClock | None = None) -> Sink:
        home = Home(state, lane="contract")
        if clock is not None:
            home.clock = clock
        sink = self.make(state)
        await sink.open(home)
        return sink

    def _assert_holds(self, state: Path, events: list[Event]) -> None:
        ids = self.read(state)
        assert ids is None or ids == [event.id for event in events]


def check_sink(
    make: Callable[[Path], Sink], read: Callable[[Path], list[str] | None] | None = None
) -> None:
    """Run the whole contract without pytest; raises `AssertionError`."""

    class Checked(SinkContract):
        def make(self, state: Path) -> Sink:
            return make(state)

        def read(self, state: Path) -> list[str] | None:
            return None if read is None else read(state)

    for name in dir(Checked):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory() as directory:
                getattr(Checked(), name)(Path(directory))


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def _batch(events: list[Event], place: int) -> Batch:
    return Batch(events=events, cursor={"writer": Place("segment", place)})


def _hostile_events() -> Iterable[Event]:
    for text in HOSTILE:
        scope = Scope(session=text, chat=text, component=text, agent=text, user=text, source=text)
        yield LogLine(event_type="contract:text", source=text, message=text, scope=scope)
        yield LogLine(event_type=text, scope=scope, kv={text: text})
        yield ErrorRaised(type=text, message=text, context=text, scope=scope)


def _running() -> set[str]:
    """Threads and descriptors of this process, where it can say."""
    threads = {f"thread {thread.ident}" for thread in threading.enumerate()}
    descriptors: set[str] = set()
    with suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                descriptors.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return threads | descriptors
