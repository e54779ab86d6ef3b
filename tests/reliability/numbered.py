"""Events that carry their own place, and what must hold of a journal full of them."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from eventbus import Event, read_journal

__all__ = ["Numbered", "Producer", "bad_lines", "faults", "numbered", "pad_for", "read_numbers"]

PAD_MOST = 3_000
"""Characters; enough that a batch spans many pages and can be torn by a kill."""


class Numbered(Event, tag="proof:number", frozen=True):
    """The `number`th event of one producer in one run."""

    run: int
    producer: int
    number: int
    pad: str


class Producer(NamedTuple):
    """Who numbers: a task or thread of one run."""

    run: int
    producer: int


def numbered(run: int, producer: int, number: int) -> Numbered:
    """That event; its padding can be told from its number."""
    return Numbered(run=run, producer=producer, number=number, pad=pad_for(number))


def pad_for(number: int) -> str:
    """Text whose length and letters depend on the number alone."""
    mixed = zlib.crc32(number.to_bytes(8, "big"))
    long = mixed % 16 == 0
    return chr(97 + mixed % 26) * (mixed % PAD_MOST if long else mixed % 60)


def read_numbers(state: Path) -> dict[Producer, list[int]]:
    """The numbers each producer has in the journal, in the journal's order."""
    found: dict[Producer, list[int]] = defaultdict(list)
    for event in read_journal(state, kinds="proof:number"):
        if isinstance(event, Numbered) and event.pad == pad_for(event.number):
            found[Producer(event.run, event.producer)].append(event.number)
    return found


def faults(state: Path, acknowledged: Mapping[Producer, int]) -> list[str]:
    """What is wrong with a journal, given the last number each producer was told is safe."""
    found = read_numbers(state)
    return [
        *_lost(found, acknowledged),
        *_disordered(found),
        *(f"not one record a line: {line[:80]!r}" for line in bad_lines(state)),
    ]


def _lost(
    found: Mapping[Producer, list[int]], acknowledged: Mapping[Producer, int]
) -> Iterator[str]:
    for producer, last in acknowledged.items():
        missing = set(range(last + 1)).difference(found.get(producer, ()))
        if missing:
            yield f"{producer} was told {last} is safe; missing: {sorted(missing)[:5]}"


def _disordered(found: Mapping[Producer, list[int]]) -> Iterator[str]:
    for producer, numbers in found.items():
        if len(set(numbers)) != len(numbers):
            yield f"{producer} has events twice"
        elif numbers != list(range(len(numbers))):
            yield f"{producer} is out of order, or has a hole before its end"


def bad_lines(state: Path) -> Iterator[bytes]:
    """Whole lines of the segments that are not one record; fused ones show here."""
    for segment in sorted((state / "journal").glob("*.jsonl")):
        *lines, _tail = segment.read_bytes().split(b"\n")
        yield from (line for line in lines if not _is_record(line))


def _is_record(line: bytes) -> bool:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(record, dict) and "kind" in record
