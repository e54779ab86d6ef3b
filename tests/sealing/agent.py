"""A program that records file changes until it is killed; what it is sealed by is quick here.

`python -m tests.sealing.agent STATE SEED` says a line when the first change is safe.
"""

import random
import sys
import time
from pathlib import Path

import eventbus.sealing.sealer as sealer
from eventbus import EventBus, JournalSettings, NamedSink
from eventbus.events.file import FileWritten
from tests.letters import LetterSent

__all__ = ["SINKS", "record"]

SINKS = (NamedSink(use="audit", settings={"rotate_bytes": 9_000}),)


def record(state: Path, rng: random.Random) -> None:
    """Never returns of itself."""
    sealer.BLOCK_SECONDS, sealer.KEEP_SECONDS, sealer.PLAIN_SECONDS = 0.004, 0.008, 0.02
    settings = JournalSettings(
        segment_bytes=rng.choice((4_000, 20_000, 1 << 20)),
        keep_bytes=rng.choice((None, 40_000, 400_000)),
        sync_every=0.004,
        linger=0.001,
    )
    with EventBus(state, sinks=SINKS, journal=settings) as bus:
        for n in range(10_000_000):
            bus.emit_nowait(FileWritten(path=f"src/{n}.py") if n % 3 else LetterSent(n=n))
            if n == 0:
                bus.flush_now(until="synced")
                sys.stdout.write("recording\n")
                sys.stdout.flush()
            if n % 40 == 0:
                time.sleep(rng.choice((0.0, 0.001, 0.005)))


if __name__ == "__main__":
    record(Path(sys.argv[1]), random.Random(int(sys.argv[2])))
