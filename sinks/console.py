"""A sink for people: one line an event, in local time, a colour a topic."""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any, Literal

import msgspec

from eventbus.event import Event
from eventbus.formats import flat
from eventbus.formats.visible import visible
from eventbus.sink import Batch, Home, Sink, read_settings
from eventbus.sinkthread import SinkThread

__all__ = ["ConsoleSettings", "ConsoleSink", "wants_colour"]

LINE_MOST = 2_000
"""Characters of a line that are shown."""

_RESET, _DIM, _BOLD, _RED = "\x1b[0m", "\x1b[2m", "\x1b[1m", "\x1b[31m"
_PALETTE = ("\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m", "\x1b[92m", "\x1b[94m")
_KIND_WIDTH = 20


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and how coloured."""

    stream: Literal["stderr", "stdout"] = "stderr"
    colour: Literal["auto", "always", "never"] = "auto"
    """`auto`: on a terminal, unless NO_COLOR is set; everywhere, if FORCE_COLOR is."""


class ConsoleSink(Sink):
    """Shows events on the terminal; what could command it is written out instead.

    Once nobody reads any more, what comes is counted in `unread` and let go.
    """

    Settings = ConsoleSettings

    def __init__(self, settings: ConsoleSettings | None = None, /, **named: Any) -> None:
        if settings is None:
            settings = read_settings(ConsoleSettings, named, of="sink ConsoleSink")
        self.settings: ConsoleSettings = settings
        self.unread = 0
        """Events that came after the last reader had gone."""
        self._is_broken = False
        self._thread: SinkThread | None = None

    async def open(self, home: Home) -> None:
        """Start the thread that waits for a slow terminal."""
        await self.close()  # a thread of the process we were forked from does nothing any more
        self._thread = SinkThread(f"eventbus-{home.lane}")

    async def write(self, batch: Batch) -> None:
        """Show the events."""
        stream = getattr(sys, self.settings.stream)
        colour = self.settings.colour
        is_coloured = wants_colour(stream, os.environ) if colour == "auto" else colour == "always"
        text = "".join([f"{line_of(event, is_coloured=is_coloured)}\n" for event in batch.events])
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._thread, self._show, stream, text):
            self.unread += len(batch)

    def _show(self, stream: IO[str] | None, text: str) -> bool:
        if stream is None or self._is_broken:
            return False
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except (BrokenPipeError, ValueError):  # ValueError: the stream was closed
            self._is_broken = True
            return False
        return True

    async def close(self) -> None:
        """Let the thread go."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False)


def wants_colour(stream: Any, environment: Mapping[str, str]) -> bool:
    """What the reader asked for; where nothing was said, colour on a terminal."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    if environment.get("TERM") == "dumb":
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def line_of(event: Event, *, is_coloured: bool) -> str:
    """`14:30:00.001 llm:response         agent  tokens_out=128`"""
    moment, kind, source, message = flat.text(event).split("|", 3)
    time = _local_time(moment)
    message = message if len(message) <= LINE_MOST else f"{message[:LINE_MOST]}…"
    if not is_coloured:
        return visible(f"{time} {kind:<{_KIND_WIDTH}} {source}  {message}".rstrip())
    return (
        f"{_DIM}{time}{_RESET} {colour_of(kind)}{visible(kind):<{_KIND_WIDTH}}{_RESET}"
        f" {_BOLD}{visible(source)}{_RESET}  {visible(message)}"
    )


def _local_time(moment: str) -> str:
    """The time of day here; the moment itself where the clock here does not go so far."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S.%f}"[:12]
    except (ValueError, OverflowError, OSError):
        return moment


def colour_of(kind: str) -> str:
    """Red for what went wrong; else always the same colour for a topic."""
    topic, _, verb = kind.partition(":")
    if topic == "error" or verb in ("error", "fail", "failed", "gap"):
        return _RED
    return _PALETTE[sum(topic.encode()) % len(_PALETTE)]
