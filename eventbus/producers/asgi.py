"""A web app's uncaught exceptions recorded, and a cost limit's refusal answered with 429."""

import math
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.errors import CostLimitReached
from eventbus.events.error import ErrorRaised
from eventbus.formats.as_text import as_text, stack_of
from eventbus.producers.acting import Bus, emitter, scope_here
from eventbus.producers.dispatches import Limits
from eventbus.scope import scope

__all__ = ["EventBusMiddleware"]

Connection = MutableMapping[str, Any]
"""What ASGI calls a scope."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Connection, Receive, Send], Awaitable[None]]

TRY_LATER = 1013
"""The close code of a websocket that is refused for now."""


class EventBusMiddleware:
    """Wrap an ASGI app: `app = EventBusMiddleware(app)`.

    What the app raises is recorded as `error:runtime`, with method and path,
    and goes on. `CostLimitReached`, from a dispatch inside or from `limits`,
    is answered with 429. With `limits`, `user` says whose request it is;
    where it says None, nobody's limit is asked.
    """

    def __init__(
        self,
        app: App,
        limits: Limits | None = None,
        *,
        user: Callable[[Connection], str | None] | None = None,
        bus: Bus | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if limits is not None and user is None:
            raise TypeError("limits are a user's: give user=, which says whose a request is")
        self.app = app
        self._limits = limits
        self._user = user
        self._bus = bus
        self._clock = clock

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] not in ("http", "websocket"):
            await self.app(connection, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._serve(connection, receive, answer)
        except Exception as error:
            refusal = _refusal_in(error)
            if refusal is None:
                self._record(connection, error)
                raise
            if answer.has_begun:
                raise
            await self._refuse(connection, send, refusal)

    async def _serve(self, connection: Connection, receive: Receive, answer: "_Answer") -> None:
        user = self._user(connection) if self._user is not None else None
        with scope(user=user):
            if self._limits is None or user is None:
                await self.app(connection, receive, answer)
                return
            admission = self._limits.admit(user)
            try:
                await self.app(connection, receive, answer)
            finally:
                admission.release()

    def _record(self, connection: Connection, error: Exception) -> None:
        """Without the query, which may hold secrets."""
        method = connection.get("method") or "websocket"
        emitter(self._bus)(
            ErrorRaised(
                scope=scope_here(self._bus),
                type=as_text(type(error).__name__),
                message=as_text(error),
                stack=stack_of(error),
                context=as_text(f"{method} {connection.get('path', '')}"),
            )
        )

    async def _refuse(self, connection: Connection, send: Send, refusal: CostLimitReached) -> None:
        body = msgspec.json.encode(_told(refusal))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"retry-after", str(self._seconds_until(refusal)).encode()),
            (b"x-should-retry", b"false"),
        ]
        kind = "http.response"
        if connection["type"] == "websocket":
            if "websocket.http.response" not in (connection.get("extensions") or {}):
                close = {"type": "websocket.close", "code": TRY_LATER, "reason": str(refusal)}
                await send(close)
                return
            kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": 429, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})

    def _seconds_until(self, refusal: CostLimitReached) -> int:
        now = self._clock.now()
        resets_at = refusal.resets_at or _next_window(now, refusal.window)
        return max(1, math.ceil((resets_at - now).total_seconds()))


class _Answer:
    """Sends on what the app answers, and knows whether it has begun to."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        self.has_begun = True
        await self._send(message)


def _told(refusal: CostLimitReached) -> dict[str, Any]:
    return {
        "message": str(refusal),
        "scope": refusal.scope,
        "limit": refusal.limit,
        "spent": refusal.spent,
        "window": refusal.window,
        "resets_at": refusal.resets_at,
        **({"unit": refusal.unit} if refusal.unit != "cost" else {}),
    }


def _refusal_in(error: BaseException) -> CostLimitReached | None:
    """The refusal an exception is, or the one a task group has wrapped."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, CostLimitReached) else None


def _next_window(now: datetime, window: str) -> datetime:
    """When the UTC day or month is over."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "daily":
        return today + timedelta(days=1)
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)
