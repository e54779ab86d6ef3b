"""R20: a foreign log is in the store line for line, once, wherever its ingest was killed."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus import EventBus
from eventbus.store.export import export_ingested
from eventbus.store.ingest import Ingested, ingest_file
from eventbus.store.lineage import Chain
from eventbus.store.opening import open_store
from eventbus.store.pieces import ForeignFile
from tests.reliability.counts import Tell, runs, timeout_for
from tests.reliability.crash import open_nursery
from tests.reliability.landed import differences_from_the_journal
from tests.reliability.orders import Order

KILLS = runs(ci=20, long=2_000)
KILLS_A_STATE = 10
LINES = 6_000
STRANGE = (
    b"no line\n",
    b"2024-12-19T14:30:00.001Z|a:b|x|caf\xe9\n",
    b"2024-12-19T14:30:00.001Z|a:b|x|windows\r\n",
    b"\x00\xff\x1b|\n",
    b"x" * 300_000 + b"\n",
)


def foreign_lines(rng: random.Random) -> Iterator[bytes]:
    """As an agent writes them, some of them none."""
    for number in range(LINES):
        if rng.random() < 0.002:
            yield rng.choice(STRANGE)
        minute, second = divmod(number // 10, 60)
        stamp = f"2024-12-19T{minute // 60:02}:{minute % 60:02}:{second:02}.{number % 10:03}Z"
        yield f"{stamp}|llm:response|agent|done number={number}\n".encode()


def ids_of(path: Path) -> set[str]:
    chain, ids = Chain(), set[str]()
    with ForeignFile(path) as file:
        while pieces := file.pieces() or file.last_piece():
            ids.update(chain.ids(pieces))
    return ids


def finish(state: Path, log: Path) -> Ingested:
    async def main() -> Ingested:
        async with EventBus(state, sinks=["sqlite"]) as bus:
            await bus.flush()
            with open_store(state) as store:
                ingested = await ingest_file(log, emit=bus.emit_many, store=store, rest_seconds=0)
            await bus.flush()
            return ingested

    return asyncio.run(main())


def faults(state: Path, log: Path) -> list[str]:
    """What is not as it has to be once the ingest was run to its end."""
    ingested, wanted = finish(state, log), ids_of(log)
    with open_store(state) as store:
        rows = store.rows("SELECT event_id FROM events WHERE event_id LIKE 'in-%'")
        given = b"".join(export_ingested(store, log))
    found = differences_from_the_journal(state)
    if sorted(row[0] for row in rows) != sorted(wanted):
        found.append(f"{len(rows)} rows of {len(wanted)} lines")
    if given != log.read_bytes():
        found.append("other bytes come out")
    if finish(state, log).emitted:
        found.append("ingesting again emits something")
    return [*found, *(["no lines"] if ingested.lines < LINES else [])]


@pytest.mark.timeout(timeout_for(KILLS, each=1.0))
def test_an_ingest_that_is_killed_again_and_again_lands_each_line_once(
    tmp_path: Path, record_property: Tell
) -> None:
    """R20: each line of a foreign log lands once, whenever its ingest was killed."""
    rng = random.Random(22)
    lines = 0

    with open_nursery() as nursery:
        for part in range(0, KILLS, KILLS_A_STATE):
            home = tmp_path / str(part)
            home.mkdir()
            log = home / "foreign.log"
            content = b"".join(foreign_lines(rng))
            for run in range(min(KILLS_A_STATE, KILLS - part)):
                grown = content.find(b"\n", rng.randrange(len(content) // 2, len(content))) + 1
                log.write_bytes(content[:grown])
                order = Order(
                    state=str(home / "state"),
                    run=run,
                    style="ingest",
                    producers=rng.choice((1, 2)),
                    sinks=("sqlite",),
                    delay=rng.uniform(0, 0.4),
                )
                nursery.raise_writer(order)
            log.write_bytes(content)
            assert faults(home / "state", log) == []
            lines += content.count(b"\n")

    record_property("figure", f"{KILLS:,} kills, {lines:,} lines: each landed once, byte for byte")
