"""Lawful erasure: chosen records leave the journal, the log files and the store, and it is said."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from eventbus.clock import SYSTEM_CLOCK, Clock
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import Event, decode
from eventbus.formats.shapes import Shape
from eventbus.sealing.choosing import Choice
from eventbus.sealing.erasing import Changed, apply, in_journal, in_log_file
from eventbus.segments import Series
from eventbus.sink import NamedSink, find_sink
from eventbus.store.backup import BACKUPS, STEM, list_backups
from eventbus.store.dump import SUFFIX as DUMPS
from eventbus.store.erasing import chosen_ids, erase_events, holds_any, texts_of
from eventbus.store.opening import open_store, open_writer, store_is_there
from eventbus.store.serving import lane_held
from eventbus.store.whereabouts import StoreAt, stores_of
from eventbus.watching.contents import DIRECTORY as CONTENTS

__all__ = ["Erasure", "Plan", "erase", "plan_erasure"]


class Plan(msgspec.Struct, kw_only=True):
    """What would be erased, and what would still hold it."""

    choice: Choice
    ids: set[str] = set()
    """Events that are chosen, in the journal or in a store."""
    changed: list[Changed] = []
    """Files as they will be."""
    still_in: list[Path] = []
    """Files that hold some of it and are not changed: backups, what was cut off, dead letters."""

    @property
    def lines(self) -> int:
        return sum(len(one.lines) for one in self.changed)

    @property
    def is_empty(self) -> bool:
        return not self.ids and not self.changed


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased."""

    events: int
    lines: int
    files: int
    rows: int
    still_in: list[Path]


class _LogLane(msgspec.Struct, frozen=True):
    """A lane whose sink writes log files."""

    lane: str
    series: Series
    shape: Shape


def plan_erasure(
    state: Path, choice: Choice, *, sinks: Iterable[NamedSink] = (), disk: Disk = SYSTEM_DISK
) -> Plan:
    """Look for what is chosen; nothing is changed.

    Raises `StateUnusable` where a process is writing a segment that has some of it.
    """
    sinks = list(sinks)
    plan = Plan(choice=choice, ids=set(), changed=[])
    texts: set[bytes] = set()
    for store in _stores(sinks, state):
        with open_store(_where(store), deadline_s=None) as reader:
            ids = chosen_ids(reader, choice)
            texts |= texts_of(reader, ids)
            plan.ids |= ids
    records: list[tuple[Event, bytes]] = []
    for changed, chosen in in_journal(state, choice, plan.ids, disk):
        plan.changed.append(changed)
        records += [(event or decode(line), line) for event, line in chosen]
    plan.ids |= {event.id for event, _ in records}
    for lane in _log_lanes(sinks, state):
        plan.changed += _in_logs(lane, records, texts, plan.ids, disk)
    hashes = {getattr(event, "hash", None) for event, _ in records}
    plan.still_in = [*_still_in(state, plan, disk), *_contents(state, hashes, disk)]
    return plan


def erase(
    state: Path,
    choice: Choice,
    *,
    by: str,
    why: str,
    sinks: Iterable[NamedSink] = (),
    clock: Clock = SYSTEM_CLOCK,
    disk: Disk = SYSTEM_DISK,
) -> Erasure:
    """Erase what is chosen from segments, log files and stores; it is declared first.

    Raises `StoreUnusable` or `StateUnusable`, and changes nothing, while
    another process writes what would be changed.
    """
    sinks = list(sinks)
    with _all_held(state, sinks, disk):
        plan = plan_erasure(state, choice, sinks=sinks, disk=disk)
        apply(state, plan.changed, words=choice.words, by=by, why=why, clock=clock, disk=disk)
        rows = sum(_erase_rows(store, plan.ids) for store in _stores(sinks, state))
    return Erasure(
        events=len(plan.ids),
        lines=plan.lines,
        files=len(plan.changed),
        rows=rows,
        still_in=plan.still_in,
    )


@contextmanager
def _all_held(state: Path, sinks: list[NamedSink], disk: Disk) -> Iterator[None]:
    """While no process serves a lane whose files or tables would be changed."""
    lanes = {lane.lane for lane in _log_lanes(sinks, state)}
    lanes |= {store.lane for store in stores_of(sinks, state)}
    with ExitStack() as stack:
        for lane in sorted(lanes):
            stack.enter_context(lane_held(state, lane, wish="erase anything", disk=disk))
        yield


# --- stores ----------------------------------------------------------------------------


def _stores(sinks: list[NamedSink], state: Path) -> list[StoreAt]:
    return [store for store in stores_of(sinks, state) if store_is_there(_where(store))]


def _where(store: StoreAt) -> str:
    return str(store.path) if store.path is not None else store.url or ""


def _erase_rows(store: StoreAt, ids: set[str]) -> int:
    writer: Any
    if store.path is not None:
        writer = open_writer(store.path)
    else:
        from eventbus.store.postgres import PostgresWriter  # an extra

        writer = PostgresWriter(store.url or "")
    try:
        return erase_events(writer, ids)
    finally:
        writer.close()


# --- log files -------------------------------------------------------------------------


def _log_lanes(sinks: list[NamedSink], state: Path) -> Iterator[_LogLane]:
    for named in sinks:
        sink: Any = find_sink(named.use, named.settings)
        shape, settings = getattr(sink, "shape", None), getattr(sink, "settings", None)
        written = getattr(settings, "path", None)
        if isinstance(shape, Shape) and written is not None:
            path = Path(written).expanduser()
            place = path if path.is_absolute() else state / "logs" / path
            yield _LogLane(named.lane, Series.of(place), shape)


def _in_logs(
    lane: _LogLane,
    records: list[tuple[Event, bytes]],
    texts: set[bytes],
    ids: set[str],
    disk: Disk,
) -> Iterator[Changed]:
    gone = {line for event, line in records} if lane.shape.is_full else _encoded(lane, records)
    if lane.shape.name == "flat":
        gone |= texts
    for segment in lane.series.segments(disk) if gone else ():
        with suppress(FileNotFoundError):
            changed = in_log_file(
                lane.series.directory / segment.name,
                gone,
                is_json=lane.shape.name != "flat",
                disk=disk,
            )
            if changed is not None:
                yield changed


def _encoded(lane: _LogLane, records: list[tuple[Event, bytes]]) -> set[bytes]:
    lines = (lane.shape.encode(event) for event, _ in records)
    return {line for line in lines if line is not None}


# --- what still holds it -----------------------------------------------------------------


def _still_in(state: Path, plan: Plan, disk: Disk) -> Iterator[Path]:
    if plan.is_empty:
        return
    for backup in list_backups(state / BACKUPS, STEM, disk=disk):
        if holds_any(backup.path, plan.ids):
            yield backup.path
    yield from (one.path for one in list_backups(state / BACKUPS, STEM, suffix=DUMPS, disk=disk))
    for name in sorted(disk.names(state)):
        if ".before-" in name and holds_any(state / name, plan.ids):
            yield state / name
    words = [id.encode() for id in plan.ids]
    if "path" in plan.choice.values:  # a tree that is watched is remembered by its paths
        words.append(msgspec.json.encode(plan.choice.values["path"]))
    for directory, ending in (
        (state / "journal", ".torn"),
        (state / "dead", ".jsonl"),
        (state / "watch", ""),
    ):
        for name in sorted(disk.names(directory)):
            if name.endswith(ending) and _has_any(directory / name, words, disk):
                yield directory / name


def _contents(state: Path, hashes: set[str | None], disk: Disk) -> Iterator[Path]:
    """What files held at those changes; another file may hold the same."""
    for hash in sorted(hash for hash in hashes if hash):
        digits = hash.partition(":")[2]
        directory = state / CONTENTS / digits[:2]
        for name in disk.names(directory):
            if digits[2:] and name.startswith(digits[2:]):
                yield directory / name


def _has_any(path: Path, words: list[bytes], disk: Disk) -> bool:
    with suppress(OSError):
        content = disk.read(path)
        return any(word in content for word in words)
    return False
