"""A program of your own: define events, say who acts, write files, read it all back.

It leaves nothing behind: the state directory is a temporary one.
"""

import asyncio
import tempfile
from pathlib import Path

from eventbus import Event, EventBus, read_journal, scope
from sinks import MemorySink


class OrderPlaced(Event, tag="order:place"):
    """Somebody wants something."""

    order_id: str
    total: float


class OrderShipped(Event):
    """It is on its way; the class name says the kind: `order:shipped`."""

    order_id: str


async def sell(bus: EventBus) -> None:
    """Sell three things; who acts is said once for all that happens inside."""
    with scope(session="monday", component="shop"):
        for number, total in enumerate((9.5, 3.0, 20.0), start=1):
            await bus.emit(OrderPlaced(order_id=str(number), total=total))
            await bus.emit(OrderShipped(order_id=str(number)))


async def main() -> None:
    """Record a little, and look at it in three ways."""
    with tempfile.TemporaryDirectory() as state:
        memory = MemorySink()
        async with EventBus(state, sinks=["jsonl", "flat", memory]) as bus:
            await sell(bus)
            done = await bus.flush(until="synced", timeout=5)
            print(f"on the disk: {done.reached}")

        print(f"in memory: {len(memory.of('order:*'))} events")
        orders = [each for each in read_journal(state) if isinstance(each, OrderPlaced)]
        print(f"in the journal: {sum(order.total for order in orders)} spent")
        print((Path(state) / "logs" / "activity.log").read_text(), end="")


if __name__ == "__main__":
    asyncio.run(main())
