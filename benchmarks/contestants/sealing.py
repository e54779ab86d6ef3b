"""A journal that is sealed as it is written, and the same that is not."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.sample import acting, mixed, tool_called
from eventbus.clock import SYSTEM_CLOCK
from eventbus.disk import SYSTEM_DISK
from eventbus.event import Event, encode, encode_lines
from eventbus.events.file import FileWritten
from eventbus.journal import Journal
from eventbus.keeping import JournalSettings
from eventbus.kinds import is_critical
from eventbus.sealing.absent import Lines
from eventbus.sealing.keys import verification_key
from eventbus.sealing.sealed import read_sealed
from eventbus.sealing.sealer import Sealer
from eventbus.sealing.whole import check_seals
from eventbus.verify import verify_journal

__all__ = ["sealed"]

SLICE = 1_024
"""Events that are encoded, and written, at once."""

_Batch = tuple[bytes, Lines]


def sealed(directory: Path, *, events: int, is_mixed: bool) -> dict[str, float]:
    """Microseconds an event to seal it, and millions of them verified a second."""
    with acting():
        made = [mixed(number) if is_mixed else tool_called(number) for number in range(events)]
    batches = list(_batches(made))
    bare = _write(directory / "bare", batches, seal=False)
    _write(directory / "state", batches, seal=True)
    return {
        "us": _seal(directory / "alone", batches) / events * 1e6,
        "bare_us": bare / events * 1e6,
        "verified": events / _verify(directory / "state") / 1e6,
        "held": events / _hold(directory / "state") / 1e6,
    }


def _batches(events: list[Event]) -> Iterator[_Batch]:
    """As the writer has them: lines are split where the classes may be critical."""
    for start in range(0, len(events), SLICE):
        part = events[start : start + SLICE]
        blob = encode_lines(part)
        some = blob.split(b"\n")[:-1] if any(map(is_critical, set(map(type, part)))) else []
        yield blob, [(len(part), some)]


def _seal(state: Path, batches: list[_Batch]) -> float:
    """Seconds that sealing alone takes, its files included; a block a batch at the most."""
    (state / "journal").mkdir(parents=True)
    of = state / "journal" / "20260101T000000000000-0000000a.jsonl"
    sealer = Sealer(state, clock=SYSTEM_CLOCK, disk=SYSTEM_DISK)
    sealer.turn_to(of, start=0)
    first = encode(FileWritten(path="first")) + b"\n"
    began = perf_counter()
    sealer.note([first])
    for blob, lines in batches:
        sealer.note([blob], lines=lines)
        sealer.mark()
    sealer.end("closed")
    return perf_counter() - began


def _write(state: Path, batches: list[_Batch], *, seal: bool) -> float:
    """Seconds until all of it is in a journal and synced."""
    journal = Journal(state, JournalSettings(seal=seal))
    if seal:
        verification_key(state, SYSTEM_DISK)
    journal.open()
    journal.append([encode(FileWritten(path="first")) + b"\n"], 1)
    began = perf_counter()
    for blob, lines in batches:
        journal.append([blob], lines[0][0], lines=lines)
    journal.sync()
    took = perf_counter() - began
    journal.end({})
    return took


def _verify(state: Path) -> float:
    began = perf_counter()
    if not verify_journal(state).is_whole:
        raise SystemExit("what was written is not whole")
    return perf_counter() - began


def _hold(state: Path) -> float:
    began = perf_counter()
    check_seals(read_sealed(state))
    return perf_counter() - began
