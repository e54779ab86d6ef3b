"""A resident that watches a root until its input ends, as `eventbus up` does."""

import asyncio
import sys

from eventbus import EventBus, Watcher


async def watch(state: str, root: str) -> None:
    """Say that it is ready, then watch."""
    async with EventBus(state, serve="resident") as bus, Watcher(bus, [root]):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(watch(*sys.argv[1:]))
