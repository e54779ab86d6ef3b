"""What is wrong with a store that a writer left, given what it was told is safe."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from eventbus.store.backup import integrity_of
from eventbus.store.opening import open_writer
from eventbus.store.rebuild import rebuild
from eventbus.store.sqlite import FILE_NAME
from tests.reliability.numbered import Producer
from tests.reliability.orders import Outcome
from tests.store.mixture import contents

__all__ = ["differences_from_the_journal", "numbers_landed", "store_faults"]


class _Number(msgspec.Struct):
    run: int
    producer: int
    number: int


def numbers_landed(state: Path) -> tuple[dict[Producer, set[int]], list[str]]:
    """The numbers in the store as it opens after an end, and what is wrong with its pages."""
    writer = open_writer(state / FILE_NAME)
    try:
        faults = integrity_of(writer)
        rows = writer.rows("SELECT kv_json FROM events WHERE event_type = 'proof:number'")
    finally:
        writer.close()
    found: dict[Producer, set[int]] = {}
    for (payload,) in rows:
        each = msgspec.json.decode(payload, type=_Number)
        found.setdefault(Producer(each.run, each.producer), set()).add(each.number)
    return found, faults


def store_faults(state: Path, outcomes: Mapping[int, Outcome]) -> list[str]:
    """Numbers that were told safe and are not in the store, and damaged pages."""
    found, faults = numbers_landed(state)
    for run, outcome in outcomes.items():
        for producer, last in outcome.acknowledged.items():
            missing = set(range(last + 1)) - found.get(Producer(run, producer), set())
            if missing:
                faults.append(f"run {run} was told {last} is safe; missing: {sorted(missing)[:5]}")
    return faults


def differences_from_the_journal(state: Path) -> list[str]:
    """The tables that do not hold what landing the whole journal anew makes them hold."""
    found = contents(state / FILE_NAME)
    rebuilt = rebuild(state, from_backup=False)
    wanted = contents(state / FILE_NAME)
    if rebuilt.aside is not None:
        rebuilt.aside.unlink()
    return [table for table in wanted if found.get(table) != wanted[table]]
