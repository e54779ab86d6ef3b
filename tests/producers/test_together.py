"""What goes around an agent's code fills the store, and keeps to a limit."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from eventbus import (
    CostLimitReached,
    CostLimits,
    EventBus,
    EventBusMiddleware,
    SpendingLimits,
    conversation,
    dispatch,
    read_journal,
    session,
    tool,
    turn,
)
from eventbus.events import ModelAnswered, Usage
from eventbus.store.opening import open_store
from eventbus.store.sessions import sessions
from eventbus.store.traces import traces
from eventbus.store.usage import usage


@tool
async def look_up(topic: str) -> list[str]:
    return {"colours": ["red"]}[topic]


async def answer(bus: EventBus, topic: str) -> None:
    async with turn(snapshot=lambda: {"asked": topic}), dispatch(sender_id="ada"):
        await look_up(topic)
        used = Usage(input_uncached=10, output_visible=4)
        await bus.emit(ModelAnswered(model="m-1", usage=used, cost=0.002))


async def test_the_tables_are_filled(tmp_path: Path) -> None:
    async with (
        EventBus(tmp_path, sinks=["sqlite"]) as bus,
        session("monday", cli_tool="example"),
        conversation("talk"),
    ):
        await answer(bus, "colours")
        with pytest.raises(KeyError):
            await answer(bus, "shapes")

    with open_store(tmp_path) as store:
        calls = [
            (call.session_id, call.chat_id, call.turn_number, call.tool_name, call.outcome)
            for call in traces(store).items
        ]
        inputs = [call.tool_input for call in traces(store).items]
        (monday,) = sessions(store).items
        (used,) = usage(store, by="user").entries
    assert calls == [
        ("monday", "talk", 1, "look_up", "success"),
        ("monday", "talk", 2, "look_up", "error"),
    ]
    assert inputs == [{"topic": "colours"}, {"topic": "shapes"}]
    assert (monday.id, monday.cli_tool) == ("monday", "example")
    assert monday.end_time is not None
    assert (used.key, used.cost, used.dispatches) == ("ada", 0.002, 2)


async def test_a_web_app_past_a_limit_answers_429_and_records_one_refusal(tmp_path: Path) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async with EventBus(tmp_path) as bus:
        with SpendingLimits(CostLimits(daily=1.0, slack=0.1), bus=bus) as limits:

            async def app(connection: Any, receive: Any, send: Any) -> None:
                async with dispatch(sender_id="ada", model="m-1", limits=limits) as turn:
                    turn.cost(1.5)

            wrapped = EventBusMiddleware(app)
            for _ in range(2):
                await wrapped({"type": "http", "method": "GET", "path": "/"}, None, send)  # type: ignore[arg-type]
            with pytest.raises(CostLimitReached):
                limits.admit("ada")

    assert [message["status"] for message in sent if "status" in message] == [429]
    events = list(read_journal(tmp_path, kinds=["dispatch:*", "error:*"]))
    assert [event.kind for event in events] == [
        "dispatch:finish",
        "dispatch:refuse",
        "dispatch:refuse",  # asked by hand above
    ]
