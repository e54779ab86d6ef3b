"""An agent that answers two questions: what a line around each part of it leaves behind.

The second question makes a tool fail. It leaves nothing behind: the state
directory is a temporary one.
"""

import asyncio
import json
import tempfile
from pathlib import Path

from eventbus import EventBus, conversation, dispatch, read_journal, session, tool, turn
from eventbus.events import ModelAnswered, ToolFinished, Usage

NOTES = {"colours": ["red", "green"]}


@tool
async def look_up(topic: str) -> list[str]:
    """A tool; its argument and what it returns are recorded, and so is its failure."""
    await asyncio.sleep(0.001)
    return NOTES[topic]


async def ask_model(bus: EventBus, words: list[str]) -> str:
    """What stands in for a model here."""
    usage = Usage(input_uncached=10 * len(words), output_visible=4)
    await bus.emit(ModelAnswered(model="m-1", usage=usage, cost=0.002, latency_ms=3))
    return " and ".join(words)


async def answer(bus: EventBus, topic: str) -> str:
    """One turn of the agent, with its state saved at the end."""
    async with (
        turn(snapshot=lambda: {"asked": topic}),
        dispatch(sender_id="ada", agent_name="scout"),
    ):
        return await ask_model(bus, await look_up(topic))


async def main() -> None:
    """Ask, and look at what was recorded."""
    with tempfile.TemporaryDirectory() as state:
        async with (
            EventBus(state, sinks=["interactions"]) as bus,
            session("monday", cli_tool="example"),
            conversation("colours"),
        ):
            print("the answer:", await answer(bus, "colours"))
            try:
                await answer(bus, "shapes")
            except KeyError:
                print("no answer to the second question")

        for event in read_journal(state, kinds="tool:finish"):
            if isinstance(event, ToolFinished):
                print(f"turn {event.scope.turn}: {event.name} {event.outcome}")
        (log,) = (Path(state) / "logs").glob("interactions-*.jsonl")
        for line in map(json.loads, log.read_text().splitlines()):
            print(
                line["senderId"], line["status"], line["cost"], [t["name"] for t in line["tools"]]
            )


if __name__ == "__main__":
    asyncio.run(main())
