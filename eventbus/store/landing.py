"""Landing a batch: each event in all its tables, with the lane's cursor, in one transaction."""

from collections.abc import Sequence

from eventbus.event import Event, decode, decode_batch
from eventbus.kinds import is_critical
from eventbus.sink import Batch
from eventbus.sinkthread import in_parts
from eventbus.store.cursors import keep_cursor
from eventbus.store.engine import Writer
from eventbus.store.events import BEHIND, Lined, land_lines
from eventbus.store.fitting import all_fitting
from eventbus.store.schema import TOPICS
from eventbus.store.topic import Topic

__all__ = ["land", "lined_of", "tend"]

LINES_A_PART = 128
"""Lines read back before the app's loop may have a turn."""


def land(writer: Writer, batch: Batch, *, lane: str) -> int:
    """Land a batch and the cursor behind it, whole or not at all; how many events were new.

    What lands is what the journal says: events are read back from their lines,
    so that a rebuild comes to the same rows.
    """
    lined = lined_of(batch.lines)
    is_synced = any(map(is_critical, {type(each.event) for each in lined}))
    with writer.transaction(is_synced=is_synced):
        new = land_lines(writer, lined)
        for topic, events in _sorted_by_topic(new):
            assert topic.land is not None  # it has classes
            topic.land(writer, events)
        keep_cursor(writer, lane, batch.cursor)
    return len(new)


def tend(writer: Writer) -> None:
    """Do what topics leave for the time between batches."""
    for topic in TOPICS:
        if topic.tend is not None:
            topic.tend(writer)


def lined_of(lines: Sequence[bytes]) -> list[Lined]:
    """Lines with their events, as they land."""
    events = [
        event
        for part in in_parts(list(lines), LINES_A_PART, behind=BEHIND)
        for event in _read_back(part)
    ]
    return list(map(Lined, events, lines, all_fitting(events, lines)))


def _read_back(lines: list[bytes]) -> list[Event]:
    events = decode_batch(b"\n".join(lines) + b"\n")
    return events if len(events) == len(lines) else [decode(line) for line in lines]


def _sorted_by_topic(lined: Sequence[Lined]) -> list[tuple[Topic, list[Event]]]:
    """What each topic is to land, in the topics' order."""
    by_topic: dict[str, list[Event]] = {}
    for each in lined:
        for topic in _topics_of(type(each.fits)):
            by_topic.setdefault(topic.name, []).append(each.fits)
    return [(topic, by_topic[topic.name]) for topic in TOPICS if topic.name in by_topic]


def _topics_of(cls: type[Event]) -> tuple[Topic, ...]:
    found = _by_class.get(cls)
    if found is None:
        found = _by_class[cls] = tuple(topic for topic in TOPICS if _is_for(topic, cls))
    return found


_by_class: dict[type[Event], tuple[Topic, ...]] = {}


def _is_for(topic: Topic, cls: type[Event]) -> bool:
    if topic.takes_every or cls in topic.events:
        return True
    return topic.takes_subclasses and issubclass(cls, topic.events)
