"""What must hold of every bus that ends in a test: R4, whatever the test is about."""

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import msgspec

from eventbus import EventBus, Report
from eventbus.events.bus import GapLeft
from eventbus.replay import read_lines, valid_end
from eventbus.segment import segments_by_writer, segments_in

__all__ = ["faults"]

UNTOLD = ("closed", "disk", "unwritten at the end")
"""Reasons a segment cannot tell: it had ended, or the disk took no more."""
GAP = b'{"kind":"bus:gap"'


def faults(bus: EventBus, report: Report) -> list[str]:
    """What does not add up in the counts of a bus that has just ended."""
    return [*_in_the_journal(bus, report), *_in_the_lanes(report), *_untold(bus, report)]


def _in_the_journal(bus: EventBus, report: Report) -> Iterator[str]:
    last = bus.statistics()
    if last.waiting < 0 or last.synced > last.written + last.poison:
        yield f"the journal's counts cannot be: {last}"
    if report.is_complete and (last.waiting or report.dropped):
        yield f"complete, with {last.waiting} waiting and {report.dropped} dropped"
    if (report.written, report.poison) != (last.written, last.poison):
        yield f"the report says {report}, the bus {last}"


def _in_the_lanes(report: Report) -> Iterator[str]:
    for name, lane in report.lanes.items():
        parts = (lane.delivered, lane.filtered, lane.dead, lane.pruned, lane.lag)
        if lane.seen != sum(parts) or min(parts) < 0:
            yield f"lane {name!r} does not add up: {lane}"
        if report.is_complete and lane.is_served and lane.lag:
            yield f"complete, with {lane.lag} to do in lane {name!r}"


def _untold(bus: EventBus, report: Report) -> Iterator[str]:
    """Holes without their record, where the journal ended in good order."""
    holes = {reason: n for reason, n in report.dropped.items() if reason not in UNTOLD}
    if not holes or bus.state is None or report.trouble or "disk" in report.dropped:
        return
    told = _gaps(bus.state / "journal", bus.writer_id)
    for reason, number in holes.items():
        if told[reason] < number:
            yield f"{number} dropped, {reason!r}; {told[reason]} told by gaps"


def _gaps(directory: Path, writer: str) -> Counter[str]:
    """How many this writer's records say are missing, by reason."""
    told: Counter[str] = Counter()
    segments = segments_by_writer(segments_in(directory)).get(writer, [])
    for segment, after in zip_longest(segments, segments[1:]):
        for blob in read_lines(segment, valid_end(segment, after)):
            for line in blob.split(b"\n"):
                if line.startswith(GAP):
                    gap = msgspec.json.decode(line, type=GapLeft)
                    told[gap.reason] += gap.count if gap.lane is None else 0
    return told
