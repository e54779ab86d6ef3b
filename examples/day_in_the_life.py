"""A day of two people and their agents, and what can be said of it in the evening.

Three components call models of three providers, each of which reports usage
in its own way. A stream is cut short, a model has no price, a limit is
reached, a tool crashes, and a session is gone on with. `record` is the day,
`ask` the evening; everything is in one state directory, here a temporary one.
"""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from eventbus import (
    CostLimitReached,
    CostLimits,
    EventBus,
    SpendingLimits,
    conversation,
    dispatch,
    record_task,
    scope,
    session,
    tool,
    turn,
)
from eventbus.prices import OwnPrice, PriceTable
from eventbus.producers.models import answered, cloud_cost_equivalent
from eventbus.store.errors import errors_by
from eventbus.store.opening import open_store
from eventbus.store.savings import savings
from eventbus.store.sessions import sessions
from eventbus.store.snapshots import restore
from eventbus.store.traces import traces
from eventbus.store.usage import usage
from eventbus.usage import StreamedUsage, read_usage

PRICES = PriceTable(
    {
        "claude-day": OwnPrice(
            input=3, output=15, cache_read=0.3, cache_write_5m=3.75, cache_write_1h=6
        ),
        "gpt-day": OwnPrice(input=2, output=8, cache_read=0.5),
        "gemini-day": OwnPrice(input=0.5, output=4),
    }
)
"""Dollars for a million tokens."""

LIMITS = CostLimits(daily=0.03, slack=0.001)

CLAUDE_SAYS = {
    "input_tokens": 1_000,
    "cache_creation_input_tokens": 2_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 0},
    "cache_read_input_tokens": 10_000,
    "output_tokens": 500,
    "output_tokens_details": {"thinking_tokens": 200},
}
GPT_SAYS = {
    "prompt_tokens": 5_000,
    "prompt_tokens_details": {"cached_tokens": 4_000},
    "completion_tokens": 1_000,
    "completion_tokens_details": {"reasoning_tokens": 600},
    "total_tokens": 6_000,
}
GEMINI_SAYS = {
    "promptTokenCount": 2_000,
    "candidatesTokenCount": 300,
    "thoughtsTokenCount": 100,
    "totalTokenCount": 2_400,
}
MYSTERY_SAYS = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
CUT_SHORT = [
    {
        "type": "message_start",
        "message": {"model": "claude-day", "usage": {"input_tokens": 4_000, "output_tokens": 1}},
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "The ans"}},
]


@tool
async def read_file(path: str) -> str:
    """A tool that has only one file."""
    if path != "notes.txt":
        raise FileNotFoundError(f"no file {path!r}")
    return "buy tea"


async def record(state: Path) -> None:
    """The day."""
    async with EventBus(state, sinks=["sqlite"]) as bus:
        with SpendingLimits(LIMITS, bus=bus) as limits:
            await ann_asks(bus, limits)
            await bob_asks(bus, limits)
    async with EventBus(state, sinks=["sqlite"]) as bus:  # the next process goes on
        await ann_goes_on(bus, state)


async def ann_asks(bus: EventBus, limits: SpendingLimits) -> None:
    """Two models in one dispatch; then she has spent what she may."""
    with session("s1", cli_tool="claude-code"), conversation("ann-1"), scope(user="ann"):
        async with (
            turn(snapshot=lambda: {"asked": 1}),
            dispatch(sender_id="ann", agent_name="scout", limits=limits),
        ):
            with scope(component="brain"):
                await bus.emit(answered("claude-day", CLAUDE_SAYS, prices=PRICES))
            with scope(component="worker"):
                await bus.emit(answered("gpt-day", GPT_SAYS, prices=PRICES))
        with scope(component="heartbeat"):
            await bus.emit(answered("mystery-1", MYSTERY_SAYS, prices=PRICES))
        with suppress(CostLimitReached):
            async with dispatch(sender_id="ann", limits=limits):
                raise AssertionError("she has spent 3.3 cents of 3")


async def bob_asks(bus: EventBus, limits: SpendingLimits) -> None:
    """One dispatch goes well; in the next a stream breaks off, and a tool crashes."""
    with session("s2", cli_tool="gemini-cli"), conversation("bob-1"), scope(component="brain"):
        async with turn(), dispatch(sender_id="bob", limits=limits):
            await read_file("notes.txt")
            await bus.emit(answered("gemini-day", GEMINI_SAYS, prices=PRICES))
        with suppress(FileNotFoundError):
            async with turn(), dispatch(sender_id="bob", limits=limits):
                stream = StreamedUsage()
                for event in CUT_SHORT:
                    stream.feed(event)
                await bus.emit(answered("claude-day", stream, prices=PRICES))
                await read_file("missing.txt")
        at_home = read_usage({"prompt_tokens": 3_000, "completion_tokens": 100})
        in_the_cloud = cloud_cost_equivalent(at_home, "claude-day", prices=PRICES)
        record_task(
            "llama-at-home",
            routing="local",
            routing_reason="token_count<5000",
            tokens_in=3_000,
            tokens_out=100,
            cost_usd=0.0,
            cloud_cost_equivalent=in_the_cloud.usd if in_the_cloud is not None else None,
        )


async def ann_goes_on(bus: EventBus, state: Path) -> None:
    """A new session takes up the state that the first one saved."""
    with session("s3", cli_tool="claude-code"), scope(user="ann", chat="ann-1"):
        with open_store(state) as store:
            snapshot = restore(store, bus.emit_nowait, "ann-1")
        assert snapshot.state == {"asked": 1}


def ask(state: Path) -> None:
    """The evening."""
    with open_store(state) as store:
        for by in ("user", "component", "model"):
            for entry in usage(store, by=by).entries:
                print(f"{by:9} {entry.key:11} ${entry.cost:.6f} {entry.tokens_in:,} in")
        totals = usage(store).totals
        print(f"in all ${totals.cost:.6f}, of {totals.unpriced} call nobody knows what it cost")
        for call in traces(store, chat_id="bob-1").items:
            said = call.error or call.tool_output
            print(f"{call.tool_name} {call.tool_input} {call.outcome}: {said}")
        for alike in errors_by(store):
            print(f"{alike.count} x {alike.type} in {alike.component}")
        print(f"saved ${savings(store, by='model')[0].saved_usd:.4f} by staying at home")
        print("sessions:", [each.id for each in sessions(store).items])


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        await record(state)
        ask(state)


if __name__ == "__main__":
    asyncio.run(main())
