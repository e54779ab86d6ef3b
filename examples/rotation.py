"""Log files over three days: late lines, files that are full, files that are read as one.

The clock is one to turn by hand, so the three days take no time.
"""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from eventbus import Event, EventBus
from eventbus.segments import Series, read_lines
from eventbus.testing import FakeClock
from sinks import FileSink


class Measured(Event, tag="sensor:measure"):
    """A number a day has many of."""

    value: int


async def three_days(state: Path, clock: FakeClock) -> None:
    """Write, let a day pass, write; and one line comes late."""
    sink = FileSink(path="sensor.log", shape="flat", kinds=("sensor:*",), rotate_bytes=300)
    async with EventBus(state, sinks=[sink], clock=clock) as bus:
        for day in range(3):
            for value in range(8):
                await bus.emit(Measured(value=10 * day + value, ts=clock.now()))
            if day == 2:
                await bus.emit(Measured(value=-1, ts=clock.now() - timedelta(days=2)))
            await bus.flush(timeout=5)
            clock.advance(days=1)


def main() -> None:
    """Show the files, and all their lines, oldest first."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        asyncio.run(three_days(state, FakeClock()))

        for path in sorted((state / "logs").glob("sensor*")):
            print(f"{path.name}: {path.stat().st_size} bytes")
        lines = list(read_lines(Series.of(state / "logs" / "sensor.log")))
        print(f"{len(lines)} lines, from {lines[0].decode()} to {lines[-1].decode()}")


if __name__ == "__main__":
    main()
