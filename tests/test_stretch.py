"""Records that stand together: cut, counted, picked from."""

from typing import Any

import msgspec
import pytest

from eventbus.event import Event, UnknownEvent, encode
from eventbus.events.bus import BusOpened, GapLeft
from eventbus.events.log import LogLine
from eventbus.kinds import KindFilter
from eventbus.sink import Place
from eventbus.stretch import Stretch
from tests.letters import LetterNested, LetterSent, letters, numbers

EVERYTHING = KindFilter()


def blob_of(events: list[Event]) -> bytes:
    return b"".join(encode(event) + b"\n" for event in events)


def stretch(
    blob: bytes | None = None, items: list[Any] | None = None, first: int | None = None
) -> Stretch:
    end = Place("s", 100 + (len(blob) if blob is not None else len(items or [])))
    return Stretch(writer="w", start=Place("s", 100), end=end, blob=blob, items=items, first=first)


def picked(of: Stretch, wanted: KindFilter, skip: int = 0) -> list[Event]:
    indexes = of.pick(wanted, skip=skip)
    return of.events if indexes is None else [of.events[index] for index in indexes]


@pytest.mark.parametrize("form", ["bytes", "events", "both", "raw"])
def test_lines_and_events_say_the_same(form: str) -> None:
    sent: list[Event] = [*letters(5)]
    blob = blob_of(sent) if form in ("bytes", "both") else None
    items = {"bytes": None, "raw": [msgspec.Raw(encode(event)) for event in sent]}.get(form, sent)

    made = stretch(blob, items)

    assert made.count == 5
    assert made.events == sent
    assert made.lines == [encode(event) for event in sent]
    assert made.blob == blob_of(sent)


@pytest.mark.parametrize("most", [1, 2, 4])
@pytest.mark.parametrize("form", ["bytes", "both"])
def test_a_cut_loses_nothing(form: str, most: int) -> None:
    sent: list[Event] = [*letters(5)]
    whole = stretch(blob_of(sent), sent if form == "both" else None, first=7)

    head, tail = whole.cut(most)

    assert (head.count, tail.count) == (most, 5 - most)
    assert head.events + tail.events == sent
    assert head.blob + tail.blob == whole.blob
    assert (head.start, head.end, tail.end) == (whole.start, tail.start, whole.end)
    assert head.end.offset == 100 + len(head.blob)
    assert (head.first, tail.first) == (7, 7 + most)


def test_the_first_stretch_of_all_is_cut_like_any_other() -> None:
    head, tail = stretch(items=letters(5), first=0).cut(2)

    assert (head.first, tail.first) == (0, 2)


def test_in_memory_places_are_counts_also_once_somebody_asked_for_lines() -> None:
    whole = Stretch(
        writer="memory", start=Place("memory", 10), end=Place("memory", 15), items=[*letters(5)]
    )
    assert whole.lines

    head, tail = whole.cut(2)

    assert head.end == tail.start == Place("memory", 12)
    assert head.lines + tail.lines == whole.lines


def test_one_read_back_does_not_know_how_many_came_before() -> None:
    head, tail = stretch(blob_of([*letters(3)])).cut(1)

    assert head.first is tail.first is None


def test_wanting_everything_takes_all_but_bookkeeping() -> None:
    opened = BusOpened(writer="w", host="h", pid=1, started=LetterSent(n=0).ts, before=0)
    gap = GapLeft(reason="full", count=1)
    sent = [opened, *letters(2), gap]

    assert picked(stretch(blob_of(sent)), EVERYTHING) == sent[1:]
    assert picked(stretch(items=sent), EVERYTHING) == sent[1:]
    assert stretch(blob_of(sent[1:3])).pick(EVERYTHING) is None


@pytest.mark.parametrize("form", ["bytes", "events", "raw"])
def test_the_kinds_asked_for_are_picked(form: str) -> None:
    log = LogLine(event_type="letter:log", message="m")
    sent: list[Event] = [LetterSent(n=0), LetterNested(), log, LetterSent(n=1)]
    items = {"bytes": None, "raw": [msgspec.Raw(encode(event)) for event in sent]}.get(form, sent)
    made = stretch(blob_of(sent) if form == "bytes" else None, items)

    assert numbers(picked(made, KindFilter(LetterSent))) == [0, 1]
    assert [event.kind for event in picked(made, KindFilter("*:nest"))] == ["letter:nest"]
    assert [event.kind for event in picked(made, KindFilter("letter:log"))] == ["letter:log"]
    assert picked(made, KindFilter("never:*")) == []


def test_the_first_may_be_skipped() -> None:
    made = stretch(items=letters(5), first=0)

    assert numbers(picked(made, EVERYTHING, skip=2)) == [2, 3, 4]
    assert picked(made, EVERYTHING, skip=9) == []


@pytest.mark.parametrize("garbage", [b"", b"\0\0", b"torn", b'{"kind":', b"[1]", b"\xff"])
def test_bytes_a_crash_left_are_no_event(garbage: bytes) -> None:
    sent: list[Event] = [*letters(2)]
    blob = blob_of(sent[:1]) + garbage + b"\n" + blob_of(sent[1:])

    made = stretch(blob)

    assert made.count == len(made.events) == len(made.lines) == 3
    assert picked(made, EVERYTHING) == sent


def test_a_record_of_a_kind_not_known_is_one() -> None:
    made = stretch(b'{"kind":"stranger:seen","id":"1"}\n')

    (event,) = picked(made, EVERYTHING)
    assert isinstance(event, UnknownEvent)
    assert picked(made, KindFilter("stranger:*")) == [event]
