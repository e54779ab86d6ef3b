"""A program that emits its numbered events into a state directory others use too.

`python -m tests.reliability.sharing STATE RUN COUNT [SINK…]`
"""

import sys

from eventbus import EventBus
from tests.reliability.numbered import numbered

__all__: list[str] = []


def main() -> None:
    """Wait for the word, emit, and leave."""
    state, run, count, sinks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    with EventBus(state, sinks=sinks, serve="auto" if sinks else "never", grace=30) as bus:
        sys.stdin.readline()
        for number in range(count):
            bus.emit_nowait(numbered(run, 0, number))
            if number % 5_000 == 4_999:  # as fast as the disk takes it, and no faster
                bus.flush_now(until="written", timeout=30)


if __name__ == "__main__":
    main()
