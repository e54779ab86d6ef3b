"""A sink of your own that says when something goes wrong, and a test of it."""

import asyncio
import tempfile

from eventbus import Batch, Event, EventBus, Sink
from eventbus.events import ErrorRaised
from eventbus.testing import check_sink


class Alarm(Event, tag="alarm:ring"):
    """Too many errors in one batch."""

    errors: int


class Pager(Sink):
    """Calls somebody once a batch with errors; gets nothing else."""

    kinds = ("error:*",)

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def write(self, batch: Batch) -> None:
        """A page a batch, however many errors it has."""
        first = batch.events[0]
        self.calls.append(f"{len(batch)} errors, the first: {getattr(first, 'message', '')}")


async def main() -> None:
    """Attach the pager to a running bus, and a handler beside it."""
    pager = Pager()
    with tempfile.TemporaryDirectory() as state:
        async with EventBus(state) as bus:
            bus.attach(pager, name="pager")

            @bus.on(ErrorRaised)
            async def count(error: ErrorRaised) -> None:
                await bus.emit(Alarm(errors=1))

            for number in range(3):
                await bus.emit(ErrorRaised(type="ValueError", message=f"bad number {number}"))
            await bus.flush(timeout=5)
            lane = bus.statistics().lanes["pager"]
            print(f"the pager was handed {lane.delivered} events")

    print("\n".join(pager.calls))


if __name__ == "__main__":
    check_sink(lambda state: Pager())
    asyncio.run(main())
