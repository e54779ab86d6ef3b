"""A web app's errors recorded, and a limit's refusal answered."""

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from eventbus import CostLimitReached, EventBusMiddleware, current_scope, dispatch
from eventbus.events import ErrorRaised, LogLine
from eventbus.testing import FakeClock, Recorded

Message = MutableMapping[str, Any]


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def call(app: Any, **words: Any) -> list[Message]:
    """What an app answers to one request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    connection = {"type": "http", "method": "POST", "path": "/ask", "query_string": b"key=secret"}
    await app({**connection, **words}, receive, send)
    return sent


def refusing(**words: Any) -> Callable[..., Awaitable[None]]:
    async def app(connection: Any, receive: Any, send: Any) -> None:
        raise CostLimitReached(**{"limit": 10, "spent": 10.5, "window": "daily", **words})

    return app


async def answering(connection: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.on_both_backends
async def test_an_app_that_goes_well_is_left_alone(record: Recorded) -> None:
    sent = await call(EventBusMiddleware(answering))

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert record.events == []


async def failing(connection: Any, receive: Any, send: Any) -> None:
    raise ValueError("no")


@pytest.mark.on_both_backends
async def test_what_an_app_raises_is_recorded_and_goes_on(record: Recorded) -> None:
    with pytest.raises(ValueError, match="no"):
        await call(EventBusMiddleware(failing))

    (event,) = record.of(ErrorRaised)
    assert isinstance(event, ErrorRaised)
    assert (event.type, event.message, event.context) == ("ValueError", "no", "POST /ask")
    assert event.stack is not None
    assert "secret" not in repr(event)


async def test_so_is_what_a_websocket_raises(record: Recorded) -> None:
    with pytest.raises(ValueError, match="no"):
        await call(EventBusMiddleware(failing), type="websocket", method=None, path="/live")

    (event,) = record.of(ErrorRaised)
    assert event.context == "websocket /live"  # type: ignore[attr-defined]


async def test_a_lifespan_is_passed_through(record: Recorded) -> None:
    with pytest.raises(ValueError, match="no"):
        await call(EventBusMiddleware(failing), type="lifespan")

    assert record.events == []


# --- a limit's refusal ------------------------------------------------------------------


def told(sent: list[Message]) -> tuple[int, dict[str, str], Any]:
    start, body = sent
    headers = {key.decode(): value.decode() for key, value in start["headers"]}
    return start["status"], headers, msgspec.json.decode(body["body"])


async def test_a_refusal_is_answered_with_429(record: Recorded) -> None:
    clock = FakeClock(datetime(2026, 1, 1, 23, 59, 30, tzinfo=UTC))
    resets_at = datetime(2026, 1, 2, tzinfo=UTC)

    sent = await call(EventBusMiddleware(refusing(resets_at=resets_at), clock=clock))

    status, headers, body = told(sent)
    assert status == 429
    assert body == {
        "message": "Daily cost limit reached.",
        "scope": "user",
        "limit": 10,
        "spent": 10.5,
        "window": "daily",
        "resets_at": "2026-01-02T00:00:00Z",
    }
    assert (headers["retry-after"], headers["x-should-retry"]) == ("30", "false")
    assert headers["content-length"] == str(len(sent[1]["body"]))
    assert record.events == []  # whoever refuses has told


@pytest.mark.parametrize(
    ("window", "now", "seconds"),
    [
        ("daily", datetime(2026, 1, 1, 12, tzinfo=UTC), 12 * 3600),
        ("monthly", datetime(2026, 1, 31, tzinfo=UTC), 24 * 3600),
        ("monthly", datetime(2026, 12, 1, tzinfo=UTC), 31 * 24 * 3600),
    ],
)
async def test_without_a_moment_it_is_the_windows_end(
    window: str, now: datetime, seconds: int
) -> None:
    sent = await call(EventBusMiddleware(refusing(window=window), clock=FakeClock(now)))

    _, headers, body = told(sent)
    assert headers["retry-after"] == str(seconds)
    assert body["message"] == f"{window.capitalize()} cost limit reached."


async def test_a_refusal_within_a_group_is_answered_too() -> None:
    async def app(connection: Any, receive: Any, send: Any) -> None:
        refusal = CostLimitReached(limit=10, spent=11, window="daily")
        raise ExceptionGroup("tasks", [ExceptionGroup("tasks", [refusal])])

    assert told(await call(EventBusMiddleware(app)))[0] == 429


async def test_a_refusal_after_an_answer_has_begun_goes_on(record: Recorded) -> None:
    async def app(connection: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise CostLimitReached(limit=10, spent=11, window="daily")

    with pytest.raises(CostLimitReached):
        await call(EventBusMiddleware(app))
    assert record.events == []


async def test_a_websocket_is_refused_as_its_server_can() -> None:
    app = EventBusMiddleware(refusing())

    (closed,) = await call(app, type="websocket")
    start, _ = await call(app, type="websocket", extensions={"websocket.http.response": {}})

    assert (closed["type"], closed["code"]) == ("websocket.close", 1013)
    assert closed["reason"] == "Daily cost limit reached."
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)


# --- limits of its own ---------------------------------------------------------------------


class Counted:
    """Lets so many begin."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.log: list[tuple[str, str | None]] = []

    def admit(self, user: str | None) -> "Let":
        self.log.append(("admit", user))
        if len(self.log) > self.most:
            raise CostLimitReached(limit=10, spent=12, window="monthly")
        return Let(self.log, user)


class Let:
    def __init__(self, log: list[tuple[str, str | None]], user: str | None) -> None:
        self.log = log
        self.user = user

    def release(self) -> None:
        self.log.append(("release", self.user))


def user_of(connection: Any) -> str | None:
    user = connection.get("user")
    return None if user is None else str(user)


async def test_with_limits_a_request_is_let_in_in_its_users_name(record: Recorded) -> None:
    async def app(connection: Any, receive: Any, send: Any) -> None:
        record.bus.emit_nowait(LogLine(event_type="a:b"))
        async with dispatch():
            await answering(connection, receive, send)

    limits = Counted(1)
    wrapped = EventBusMiddleware(app, limits, user=user_of)

    first = await call(wrapped, user="ada")
    nobody = await call(wrapped)
    refused = await call(wrapped, user="ada")

    assert first[0]["status"] == nobody[0]["status"] == 200
    assert told(refused)[0] == 429
    assert limits.log == [("admit", "ada"), ("release", "ada"), ("admit", "ada")]
    assert [event.scope.user for event in record.of(["a:b", "dispatch:finish"])] == [
        *("ada", "ada"),
        *(None, None),
    ]
    assert current_scope().user is None


def test_limits_need_to_know_whose_a_request_is() -> None:
    with pytest.raises(TypeError, match="give user="):
        EventBusMiddleware(answering, Counted(1))
