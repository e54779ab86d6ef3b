"""A resident recorder that serves the lanes until its input ends."""

import asyncio
import sys
from collections.abc import Sequence

from eventbus import EventBus


async def serve(state: str, sinks: Sequence[str]) -> None:
    """Say that it is ready, then serve."""
    async with EventBus(state, sinks=sinks, serve="resident"):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))
