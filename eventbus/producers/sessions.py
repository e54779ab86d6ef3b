"""Sessions around the agent's own code, and snapshots to go on from."""

from operator import index
from types import TracebackType
from typing import Any, Self

import msgspec

from eventbus.errors import SnapshotRefused
from eventbus.event import new_id
from eventbus.events.session import SessionCreated, SessionEnded, SnapshotSaved
from eventbus.formats.as_text import as_text, text_if_said
from eventbus.poison import SNAPSHOT_BYTES_MOST
from eventbus.producers.acting import Bus, emitter, process_session, scope_here
from eventbus.producers.endings import outcome_of
from eventbus.scope import scope
from eventbus.units import size_text

__all__ = ["STATE_BYTES", "process_session", "save_snapshot", "session"]

STATE_BYTES = 16 * 1024 * 1024
"""Bytes of JSON up to which a state is saved, unless more is allowed."""
HEADER_BYTES = 64 * 1024
"""Room for what a snapshot's line has besides its state."""


class session:
    """Record one run of an agent; what is emitted inside belongs to it."""

    def __init__(
        self,
        id: str | None = None,
        *,
        cli_tool: str | None = None,
        persona: str | None = None,
        nexus_mode: str | None = None,
        reason: str | None = None,
        bus: Bus | None = None,
    ) -> None:
        self.id = text_if_said(id) or new_id()
        self._cli_tool = text_if_said(cli_tool)
        self._persona = text_if_said(persona)
        self._nexus_mode = text_if_said(nexus_mode)
        self._reason = reason
        self._bus = bus
        self._acting = scope(session=self.id)

    def __enter__(self) -> Self:
        self._scope = self._acting.__enter__()
        created = SessionCreated(
            scope=self._scope,
            session_id=self.id,
            cli_tool=self._cli_tool,
            persona=self._persona,
            nexus_mode=self._nexus_mode,
            reason=self._reason,
        )
        emitter(self._bus)(created)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ended = SessionEnded(
            scope=self._scope,
            session_id=self.id,
            cli_tool=self._cli_tool,
            persona=self._persona,
            nexus_mode=self._nexus_mode,
            reason=_reason_of(error),
        )
        emitter(self._bus)(ended)
        self._acting.__exit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


def _reason_of(error: BaseException | None) -> str:
    """`finished`, `cancelled`, or the exception's class."""
    if error is None:
        return "finished"
    is_cancelled = outcome_of(error) == "cancelled"
    return "cancelled" if is_cancelled else as_text(type(error).__name__)


def save_snapshot(
    chat_id: str,
    turn_number: int,
    state: Any,
    *,
    most: int = STATE_BYTES,
    bus: Bus | None = None,
) -> str:
    """Record an agent's state to go on from; the id of the snapshot's event.

    Raises `SnapshotRefused` where it would not come back as it is: what JSON
    cannot hold, or more than `most` bytes of it.
    """
    chat_id = as_text(chat_id)
    saved = SnapshotSaved(
        scope=scope_here(bus),
        chat_id=chat_id,
        turn_number=index(turn_number),
        state=_encoded(state, chat_id, min(most, SNAPSHOT_BYTES_MOST - HEADER_BYTES)),
    )
    emitter(bus)(saved)
    return saved.id


def _encoded(state: Any, chat_id: str, most: int) -> msgspec.Raw:
    try:
        line = msgspec.json.encode(state)
    except Exception as error:
        raise SnapshotRefused(
            f"cannot save a snapshot of chat {chat_id!r}:"
            f" {type(error).__name__}: {as_text(error)[:200]}; a state is what msgspec can encode"
        ) from error
    if len(line) > most:
        raise SnapshotRefused(
            f"cannot save a snapshot of chat {chat_id!r}: its state is {len(line)} bytes of JSON"
            f" ({size_text(len(line))}); at most {most} ({size_text(most)}) are kept"
        )
    return msgspec.Raw(line)
