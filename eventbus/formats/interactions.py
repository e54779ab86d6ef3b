"""Dispatches as lines of `interactions-{date}.jsonl`."""

import msgspec

from eventbus.event import Event
from eventbus.events.dispatch import (
    DispatchError,
    DispatchFinished,
    DispatchRefused,
    DispatchTool,
)
from eventbus.formats.as_text import middle_cut
from eventbus.formats.moment import stamp
from eventbus.formats.record import Record, to_json

__all__ = ["KINDS", "STACK_MOST", "Interaction", "encode", "interaction_of"]

KINDS = ("dispatch:finish", "dispatch:refuse")
STACK_MOST = 4_000
"""Characters of a stack that are kept, half from each end."""
UNKNOWN = "unknown"


class Tool(Record, frozen=True, kw_only=True):
    """One tool call of a dispatch."""

    name: str
    duration_ms: float | None
    input_preview: str
    status: str


class Failure(Record, frozen=True, kw_only=True):
    """Why a dispatch failed."""

    name: str
    message: str
    stack: str | None = None
    tool: str | None = None
    turn: int | None = None


class Interaction(Record, frozen=True, kw_only=True):
    """One dispatch; null where nothing is known."""

    timestamp: str
    sender_id: str
    conversation_id: str | None
    model: str | None
    agent_name: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    duration_ms: float | None
    tools: tuple[Tool, ...]
    status: str
    error: Failure | msgspec.UnsetType = msgspec.UNSET
    batch: bool = False
    batch_id: str | None = None


def encode(event: Event) -> bytes | None:
    """The line of a dispatch that finished or was refused."""
    interaction = interaction_of(event)
    return None if interaction is None else to_json(interaction)


def interaction_of(event: Event) -> Interaction | None:
    """A dispatch with what its scope adds; None for any other event."""
    if isinstance(event, DispatchFinished):
        return _finished(event)
    if isinstance(event, DispatchRefused):
        return _refused(event)
    return None


def _finished(event: DispatchFinished) -> Interaction:
    scope = event.scope
    return Interaction(
        timestamp=stamp(event.ts),
        sender_id=event.sender_id or scope.user or scope.source or UNKNOWN,
        conversation_id=event.conversation_id or scope.chat or scope.session,
        model=event.model,
        agent_name=event.agent_name or scope.agent or scope.component,
        tokens_in=event.tokens_in,
        tokens_out=event.tokens_out,
        cost=event.cost,
        duration_ms=event.duration_ms,
        tools=tuple(map(_tool, event.tools)),
        status=event.status,
        error=msgspec.UNSET if event.error is None else _failure(event.error),
        batch=event.batch,
        batch_id=event.batch_id,
    )


def _refused(event: DispatchRefused) -> Interaction:
    """Nothing ran, so nothing was used."""
    scope = event.scope
    return Interaction(
        timestamp=stamp(event.ts),
        sender_id=event.sender_id or scope.user or scope.source or UNKNOWN,
        conversation_id=scope.chat or scope.session,
        model=event.model,
        agent_name=scope.agent or scope.component,
        tokens_in=0,
        tokens_out=0,
        cost=0,
        duration_ms=0,
        tools=(),
        status="error",
        error=Failure(name="DispatchRefused", message=event.message, turn=scope.turn),
    )


def _tool(call: DispatchTool) -> Tool:
    return Tool(
        name=call.name,
        duration_ms=call.duration_ms,
        input_preview=call.input_preview,
        status=call.status,
    )


def _failure(error: DispatchError) -> Failure:
    return Failure(
        name=error.name,
        message=error.message,
        stack=error.stack and middle_cut(error.stack, STACK_MOST),
        tool=error.tool,
        turn=error.turn,
    )
