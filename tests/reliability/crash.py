"""Starting writers in processes of their own, and ending them in mid-sentence."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from eventbus import EventBus
from tests.reliability.numbered import Producer, faults
from tests.reliability.nursery import ACKNOWLEDGEMENT
from tests.reliability.orders import Order, Outcome

__all__ = [
    "Nursery",
    "damage_a_tail",
    "faults_after",
    "kill_cold",
    "open_nursery",
    "reopened",
]

ROOT = Path(__file__).parents[2]
_MODULE = "tests.reliability.nursery"


class Nursery:
    """The client of a nursery process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def raise_writer(self, order: Order) -> Outcome:
        """Have a writer forked, ended as ordered, and reported."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the nursery died with {self._process.wait()}")
        outcome = msgspec.json.decode(line, type=Outcome)
        if outcome.trouble is not None:
            raise RuntimeError(f"the writer broke: {outcome.trouble}")
        return outcome


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """A nursery for the length of a block."""
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        cwd=ROOT,
        env={**os.environ, "EVENTBUS_DISABLED": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


def kill_cold(order: Order) -> Outcome:
    """Start a writer as a fresh interpreter, and kill it `order.delay` after its first word."""
    text = msgspec.json.encode(order).decode()
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE, text], cwd=ROOT, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        said = process.stdout.read(ACKNOWLEDGEMENT.size)
        time.sleep(order.delay)
        process.kill()
        said += process.stdout.read()
    whole = len(said) - len(said) % ACKNOWLEDGEMENT.size
    return Outcome(acknowledged=dict(ACKNOWLEDGEMENT.iter_unpack(said[:whole])))


def faults_after(state: Path, outcomes: dict[int, Outcome]) -> list[str]:
    """What is wrong with the journal that these runs left."""
    told = {
        Producer(run, producer): last
        for run, outcome in outcomes.items()
        for producer, last in outcome.acknowledged.items()
    }
    return faults(state, told)


def damage_a_tail(state: Path, rng: random.Random) -> None:
    """Put behind the newest segment what a crash may leave there."""
    segments = sorted((state / "journal").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not segments:
        return
    torn = b'{"kind":"proof:number","id":"0199'
    tails = (
        torn,
        b"\0" * rng.randrange(1, 5_000),
        torn + b"\0" * rng.randrange(1, 600),
        rng.randbytes(rng.randrange(1, 300)).replace(b"\n", b"\0"),
    )
    with segments[-1].open("ab") as file:
        file.write(rng.choice(tails))


def reopened(state: Path) -> list[str]:
    """Open and close the bus once more; what of the journal is not mended by that."""
    with EventBus(state, serve="never"):
        pass
    return [
        f"{segment.name} still ends in half a record"
        for segment in sorted((state / "journal").glob("*.jsonl"))
        if not segment.read_bytes().endswith(b"\n")
    ]
