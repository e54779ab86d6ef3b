"""A state machine that keeps its own books of a bus under trouble, and compares.

`python -m tests.reliability.bookkeeping DIRECTORY MACHINES STEPS` prints a
`Balanced` as JSON, or fails with the shortest way to a wrong count it found.
"""

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import eventbus.backlog
import eventbus.delivery
import eventbus.inbox
import eventbus.lanes
from eventbus import Event, EventBus, JournalSettings, NamedSink, read_journal
from eventbus.counts import Statistics
from eventbus.errors import StateUnusable
from eventbus.events.bus import GapLeft
from eventbus.kinds import KindFilter
from eventbus.replay import read_lines, valid_end
from eventbus.segment import segments_by_writer, segments_in
from tests.reliability.difficult import KeepingSink, MoodySink, PickySink, SlowSink
from tests.reliability.disks import MoodyDisk
from tests.reliability.rumours import CLASSES, Heard, Told, number_of

__all__ = ["PATIENCE", "Balanced"]

ROOM = 150
"""Events the inbox holds here, so that it can be filled in a blink."""
FED_MOST = 8_000
"""Bytes a lane is fed ahead here, so that it has to read back."""
FAILURES_MOST = 3
"""Calls of the disk that fail in a row."""
PATIENCE = 20.0


BOOKKEEPING = (b'{"kind":"bus:open"', b'{"kind":"bus:close"')
SMALL = JournalSettings(segment_bytes=12_000, sync_every=0.02, linger=0.001)
WISHES: list[Any] = ["*", "proof:*", "*:told", ("rumour:heard", "error:*")]


def _refuses(event: Event) -> bool:
    return event.kind[:4] != "bus:" and number_of(event) % 7 == 3


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.002)


def _opened(bus: EventBus) -> EventBus:
    """The same, opened; while the disk refuses its first record, it may refuse by name."""
    for _ in range(FAILURES_MOST):
        with suppress(StateUnusable):
            return bus.open()
    return bus.open()


class Attached(NamedTuple):
    """A lane, and what it is owed."""

    sink: KeepingSink
    wanted: KindFilter
    since: int
    """Events of lower numbers were emitted before it came."""
    letters: int
    """Dead letters under its name that are older than it."""
    follows_all: bool = False
    """True when it gets the neighbour's events too."""


class Emitted(NamedTuple):
    """What is known of an event by its number."""

    kind: str
    is_poison: bool = False
    is_next_door: bool = False
    """True when the neighbour emitted it."""


class Books(RuleBasedStateMachine):
    """A bus under all sorts of trouble, its neighbour in the same directory, and our own books."""

    directory = Path()
    machines = steps = 0
    """How many there were, of all machines of this process."""

    @initialize()
    def begin(self) -> None:
        self.state = Path(tempfile.mkdtemp(dir=Books.directory))
        Books.machines += 1
        self.disk = MoodyDisk()
        self.emitted: list[Emitted] = []
        self.shared = KeepingSink()
        self.dropped_before: Counter[str] = Counter()
        self.saved: dict[Any, Any] = {
            (eventbus.inbox, "ROOM"): ROOM,
            (eventbus.backlog, "FED_MOST"): FED_MOST,
            (eventbus.delivery, "FIRST_PAUSE"): 0.000_5,
            (eventbus.delivery, "LONGEST_PAUSE"): 0.005,
            (eventbus.lanes, "find_sink"): lambda use, given: self.shared,
            (eventbus.lanes, "YIELD_CHECK"): 0.01,
        }
        self._swap()
        self.disk_next_door = MoodyDisk()
        self._open_next_door()
        self._open()

    def _open_next_door(self) -> None:
        neighbour = EventBus(
            self.state, serve="never", disk=self.disk_next_door, journal=SMALL, grace=PATIENCE
        )
        self.neighbour = _opened(neighbour)

    def _swap(self) -> None:
        for (module, name), value in self.saved.items():
            self.saved[module, name] = getattr(module, name)
            setattr(module, name, value)

    def _open(self) -> None:
        lines_before = Counter(writer for writer, _ in self._valid_lines())
        self.reference = KeepingSink()
        self.shared.is_open = False
        self.shared.is_closed.clear()
        bus = EventBus(
            self.state,
            sinks=[self.reference, NamedSink(use="shared")],
            disk=self.disk,
            journal=SMALL,
            grace=PATIENCE,
        )
        self.bus = _opened(bus)
        self.first = len(self.emitted)
        self.lines_at_open = lines_before[self.bus.writer_id] + 1
        wanted = KindFilter("*")
        self.lanes = {"keepingsink": Attached(self.reference, wanted, self.first, 0)}

    # --- what happens -----------------------------------------------------------

    @rule(which=st.integers(0, 2), count=st.integers(1, 60))
    def emit(self, which: int, count: int) -> None:
        for _ in range(count):
            number = len(self.emitted)
            self._emit(CLASSES[which](number=number))

    @rule(kilobytes=st.sampled_from([20, 40, 1_100]))
    def emit_something_large(self, kilobytes: int) -> None:
        self._emit(Told(number=len(self.emitted), pad="x" * 1_000 * kilobytes))

    @rule(which=st.integers(0, 1))
    def emit_poison(self, which: int) -> None:
        text = "\ud800"
        number = len(self.emitted)
        event = Told(number=number, pad=text) if which else Heard(number=number, value=text)
        self._emit(event, is_poison=True)

    @rule(count=st.integers(1, 60), failures=st.integers(0, 2))
    def emit_next_door(self, count: int, failures: int) -> None:
        self.disk_next_door.break_syncs(failures)
        for _ in range(count):
            self.emitted.append(Emitted("proof:told", is_next_door=True))
            self.neighbour.emit_nowait(Told(number=len(self.emitted) - 1))
        assert self.neighbour.flush_now(timeout=PATIENCE).reached

    @rule()
    def move_in_next_door(self) -> None:
        assert self.neighbour.close().is_complete
        self._open_next_door()

    @rule()
    def emit_what_is_no_event(self) -> None:
        self.bus.emit_nowait("event")  # type: ignore[arg-type]

    def _emit(self, event: Any, *, is_poison: bool = False) -> None:
        self.emitted.append(Emitted(event.kind, is_poison=is_poison))
        self.bus.emit_nowait(event)

    @rule(count=st.integers(ROOM, 3 * ROOM))
    def overflow_while_the_disk_hangs(self, count: int) -> None:
        self.disk.hang()
        try:
            self.emit(1, count)
        finally:
            self.disk.go()

    @rule(times=st.integers(1, FAILURES_MOST), share=st.floats(0, 1))
    def let_writes_fail(self, times: int, share: float) -> None:
        self.disk.break_writes(times, share=share)

    @rule(times=st.integers(1, FAILURES_MOST))
    def let_rollbacks_fail(self, times: int) -> None:
        self.disk.break_writes(1, share=0.5)
        self.disk.break_truncates(times)

    @rule(times=st.integers(1, FAILURES_MOST))
    def let_syncs_fail(self, times: int) -> None:
        self.disk.break_syncs(times)

    @rule(pause=st.sampled_from([0.001, 0.005, 0.03]))
    def let_time_pass(self, pause: float) -> None:
        time.sleep(pause)

    @precondition(lambda self: len(self.lanes) < 5)
    @rule(
        which=st.integers(0, 3),
        wish=st.sampled_from(WISHES),
        seed=st.integers(0, 99),
        writers=st.sampled_from(["own", "own", "all"]),
    )
    def attach(self, which: int, wish: Any, seed: int, writers: Any) -> None:
        rng = random.Random(seed)
        sink: KeepingSink = [
            lambda: KeepingSink(batch_most=rng.choice((1, 3, 10, 1_024))),
            lambda: SlowSink(0.002, batch_most=200),
            lambda: MoodySink(rng),
            lambda: PickySink(_refuses),
        ][which]()
        letters = Counter({path.stem: len(self._letters(path.stem)) for path in self._dead()})
        name = self.bus.attach(sink, kinds=wish, writers=writers)
        self.lanes[name] = Attached(
            sink,
            KindFilter(wish),
            since=len(self.emitted),
            letters=letters[name],
            follows_all=writers == "all",
        )

    @precondition(lambda self: len(self.lanes) > 1)
    @rule(data=st.data())
    def detach(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.lanes.keys() - {"keepingsink"})))
        lane = self.lanes.pop(name)
        assume(self.bus.detach(name))
        assert lane.sink.is_closed.wait(PATIENCE)
        self._check_lane(name, lane, self._numbers(self._read_back()), until=len(self.emitted))

    @rule()
    def flush(self) -> None:
        self._settle()
        self._check_journal()

    @rule()
    def close_and_open_again(self) -> None:
        report = self.bus.close()
        is_behind = any(lane.lag for lane in report.lanes.values())  # with the neighbour's events
        assert report.is_complete or report.dropped or is_behind
        assert not (report.is_complete and report.dropped)
        assert report.trouble is None or "gone" not in report.trouble
        self._check_journal()
        statistics = self.bus.statistics()
        self.dropped_before.update(statistics.dropped)
        assert all(lane.sink.is_closed.is_set() for lane in self.lanes.values())
        self._open()

    # --- what must hold -----------------------------------------------------------

    @invariant()
    def the_sums_hold(self) -> None:
        if not hasattr(self, "bus"):
            return
        Books.steps += 1
        statistics = self.bus.statistics()
        parts = (statistics.written, statistics.waiting, statistics.poison)
        assert statistics.accepted == sum(parts) + sum(statistics.dropped.values())
        assert statistics.waiting >= 0
        for lane in statistics.lanes.values():
            parts = (lane.delivered, lane.filtered, lane.dead, lane.pruned, lane.lag)
            assert lane.seen == sum(parts)
            assert min(parts) >= 0

    def _settle(self) -> None:
        assert self.bus.flush_now(timeout=PATIENCE).reached, self.bus.statistics()

    def _check_journal(self) -> None:
        statistics = self.bus.statistics()
        events = self._read_back()
        numbers = self._numbers(events)
        assert len(set(numbers)) == len(numbers)
        dropped = self.dropped_before + Counter(statistics.dropped)
        assert len(numbers) == len(self.emitted) - dropped["full"]
        assert self._gaps(events) == dropped
        self._check_counts(statistics, numbers)
        for name, lane in self.lanes.items():
            self._check_lane(name, lane, numbers)
        self._check_shared(numbers)

    def _check_counts(self, statistics: Statistics, numbers: list[int]) -> None:
        ours = [n for n in numbers if n >= self.first and not self.emitted[n].is_next_door]
        poison = sum(self.emitted[number].is_poison for number in ours)
        lines = [line for writer, line in self._valid_lines() if writer == self.bus.writer_id]
        records = sum(not line.startswith(BOOKKEEPING) for line in lines[self.lines_at_open :])
        assert statistics.poison == poison
        assert statistics.waiting == 0
        assert statistics.written + statistics.poison == records

    def _check_lane(
        self, name: str, lane: Attached, numbers: list[int], until: int | None = None
    ) -> None:
        owed = [
            number
            for number in numbers
            if number >= lane.since
            and (until is None or number < until)
            and lane.wanted(self.emitted[number].kind)
            and (lane.follows_all or not self.emitted[number].is_next_door)
        ]
        is_over = until is not None or not self.bus.is_open  # the neighbour is not waited for
        if not is_over:
            _wait_until(lambda: len(self._had_by(name, lane)) >= len(owed))
        given = [number_of(event) for event in list(lane.sink.events) if event.kind[:4] != "bus:"]
        assert lane.sink.misuse == set()
        for is_next_door in (False, True):
            mine = [number for number in owed if self.emitted[number].is_next_door == is_next_door]
            had = [
                n for n in self._had_by(name, lane) if self.emitted[n].is_next_door == is_next_door
            ]
            in_order = [n for n in given if self.emitted[n].is_next_door == is_next_door]
            assert in_order == sorted(in_order)
            assert had == (mine[: len(had)] if is_next_door and is_over else mine)
        if not is_over:
            self._check_lane_counts(name, lane)

    def _had_by(self, name: str, lane: Attached) -> list[int]:
        """What a lane's sink was given or refused, by number."""
        events = list(lane.sink.events)
        letters = self._letters(name)[lane.letters :]
        return sorted(
            [number_of(event) for event in events if event.kind[:4] != "bus:"]
            + [event["number"] for event in letters if event["kind"][:4] != "bus:"]
        )

    def _check_lane_counts(self, name: str, lane: Attached) -> None:
        counts = self.bus.statistics().lanes[name]
        assert (counts.delivered, counts.lag) == (len(lane.sink.events), 0)
        assert counts.dead == len(self._letters(name)) - lane.letters

    def _check_shared(self, numbers: list[int]) -> None:
        if self.bus.is_open:
            _wait_until(lambda: len(self._given_shared()) >= len(numbers))
        given = sorted(self._given_shared())
        late = set(numbers).difference(given)
        assert given == sorted(set(numbers) - late)
        assert not late or not self.bus.is_open
        assert all(self.emitted[number].is_next_door for number in late)

    def _given_shared(self) -> list[int]:
        return [number_of(event) for event in self.shared.events if event.kind[:4] != "bus:"]

    # --- what is really there -------------------------------------------------------

    def _read_back(self) -> list[Event]:
        self.bus.flush_now(timeout=PATIENCE)
        return list(read_journal(self.state))

    def _numbers(self, events: list[Event]) -> list[int]:
        """The numbers among what was read back, sorted; each writer's stood in its order."""
        numbers = [number_of(event) for event in events if event.kind[:4] != "bus:"]
        for is_next_door in (False, True):
            mine = [n for n in numbers if self.emitted[n].is_next_door == is_next_door]
            assert mine == sorted(mine)
        return sorted(numbers)

    def _gaps(self, events: list[Event]) -> Counter[str]:
        found: Counter[str] = Counter()
        for event in events:
            if isinstance(event, GapLeft) and event.lane is None:
                found[event.reason] += event.count
        return found

    def _valid_lines(self) -> Iterator[tuple[str, bytes]]:
        for segments in segments_by_writer(segments_in(self.state / "journal")).values():
            for segment, after in [*pairwise(segments), (segments[-1], None)]:
                for blob in read_lines(segment, valid_end(segment, after)):
                    yield from ((segment.writer, line) for line in blob.split(b"\n")[:-1])

    def _dead(self) -> list[Path]:
        return list((self.state / "dead").glob("*.jsonl"))

    def _letters(self, name: str) -> list[Any]:
        """The events of a lane's dead letters."""
        path = self.state / "dead" / f"{name}.jsonl"
        *lines, _half = path.read_bytes().split(b"\n") if path.exists() else [b""]
        return [msgspec.json.decode(line)["event"] for line in lines]

    def teardown(self) -> None:
        if not hasattr(self, "bus"):
            return
        try:
            self.disk.mend()
            self.disk_next_door.mend()
            self.flush()
            self.bus.close()
            self._check_journal()
        finally:
            self.bus.close(grace=0.5)
            self.neighbour.close(grace=0.5)
            self._swap()
            shutil.rmtree(self.state, ignore_errors=True)


class Balanced(msgspec.Struct, frozen=True):
    """What was tried; the sums held."""

    machines: int
    steps: int


def main() -> None:
    """Run so many machines of so many steps."""
    directory, machines, steps = sys.argv[1:]
    Books.directory = Path(directory)
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=int(machines),
            stateful_step_count=int(steps),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(msgspec.json.encode(Balanced(Books.machines, Books.steps)).decode())


if __name__ == "__main__":
    main()
