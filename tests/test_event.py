"""What an event is, which kind it has, and that its line reads back as it."""

import re
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.errors import DefinitionError
from eventbus.event import (
    HEADER,
    Event,
    UnknownEvent,
    decode,
    decode_batch,
    encode,
    encode_lines,
    kind_from_name,
    known_kinds,
    new_id,
    payload_of,
)
from eventbus.scope import Scope, because_of, scope
from tests.letters import LetterSent


class ParcelSent(Event):
    parcel: str
    weight_g: int = 0
    labels: tuple[str, ...] = ()


class ParcelLost(Event, tag="parcel:lose"):
    parcel: str
    notes: dict[str, Any] = msgspec.field(default_factory=dict)


# the kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("OrderPlaced", "order:placed"),
        ("OrderLinePlaced", "order_line:placed"),
        ("HTTPRequestSent", "http_request:sent"),
        ("Ping", "event:ping"),
        ("parcel_sent", "parcel:sent"),
        ("Order2Placed", "order2:placed"),
        ("_", "event:event"),
    ],
)
def test_a_kind_is_told_from_the_class_name(name: str, kind: str) -> None:
    assert kind_from_name(name) == kind


def test_an_event_without_a_tag_has_its_class_names_kind() -> None:
    assert ParcelSent(parcel="p").kind == "parcel:sent"


def test_a_tag_is_the_kind() -> None:
    assert ParcelLost(parcel="p").kind == "parcel:lose"
    assert known_kinds()["parcel:lose"] is ParcelLost


def test_a_subclass_has_a_kind_of_its_own() -> None:
    class ParcelReturned(ParcelLost):
        reason: str = ""

    returned = ParcelReturned(parcel="p", reason="nobody in")

    assert returned.kind == "parcel:returned"
    assert decode(encode(returned)) == returned
    assert type(decode(encode(ParcelLost(parcel="p")))) is ParcelLost


def test_defining_a_kind_again_replaces_it() -> None:
    class First(Event, tag="twice:made"):
        count: int

    line = encode(First(count=1))

    class Second(Event, tag="twice:made"):
        count: float
        unit: str = "g"

    read = decode(line)

    assert type(read) is Second
    assert read.count == 1.0


def test_a_kind_defined_after_the_first_reading_is_known() -> None:
    line = b'{"kind":"late:born","id":"1","ts":"2026-01-02T03:04:05Z","scope":{},"cause":null}'
    assert isinstance(decode(line), UnknownEvent)

    class LateBorn(Event):
        pass

    assert type(decode(line)) is LateBorn


@pytest.mark.parametrize(
    "kind",
    ["noverb", "a:", ":b", "a b:c", "a|b:c", "a:b|c", "a:*", "*:b", "a\n:b", "a:b\x1b", "", 7],
)
def test_a_kind_that_would_break_a_line_is_refused(kind: Any) -> None:
    with pytest.raises(DefinitionError, match=re.escape(repr(kind))):

        class Broken(Event, tag=kind):
            pass


@pytest.mark.parametrize("word", ["kind", *HEADER])
def test_a_payload_field_named_like_the_header_is_refused(word: str) -> None:
    with pytest.raises(DefinitionError, match=word):
        type(Event)("Broken", (Event,), {"__annotations__": {word: str}, "__module__": __name__})


def test_the_bus_topic_is_nobody_elses() -> None:
    with pytest.raises(DefinitionError, match="reserved"):

        class Forged(Event, tag="bus:gap"):
            pass


def test_a_refused_class_leaves_the_kind_as_it_was() -> None:
    with pytest.raises(DefinitionError):
        type(Event)(
            "ParcelLost",
            (Event,),
            {"__annotations__": {"ts": str}, "__module__": __name__},
            tag="parcel:lose",
        )

    assert known_kinds()["parcel:lose"] is ParcelLost


def test_a_payload_is_given_by_name() -> None:
    with pytest.raises(TypeError):
        ParcelSent("p")  # type: ignore[misc]


def test_an_optional_field_may_stand_before_a_required_one() -> None:
    class MixedUp(Event):
        first: int = 1
        second: str

    assert MixedUp(second="b").first == 1


# the header


def test_the_header_is_taken_at_construction() -> None:
    before = datetime.now(UTC)
    with scope(session="s", component="brain"), because_of("other"):
        event = ParcelSent(parcel="p")

    assert before <= event.ts <= datetime.now(UTC)
    assert event.ts.tzinfo is UTC
    assert event.scope == Scope(session="s", component="brain")
    assert event.cause == "other"


def test_without_a_block_nobody_acts_and_nothing_is_the_cause() -> None:
    event = ParcelSent(parcel="p")

    assert event.scope == Scope()
    assert event.cause is None


def test_ids_are_unique_ordered_and_version_7() -> None:
    ids = [new_id() for _ in range(1000)]

    assert ids == sorted(set(ids))
    assert all(UUID(id).version == 7 for id in ids)


def test_an_event_cannot_be_altered() -> None:
    event = ParcelSent(parcel="p")

    with pytest.raises(AttributeError):
        event.parcel = "q"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        event.scope.session = "s"  # type: ignore[misc]


def test_a_line_begins_with_the_header() -> None:
    event = ParcelSent(
        id="i",
        ts=datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
        scope=Scope(turn=1),
        cause="c",
        parcel="p",
    )

    assert encode(event) == (
        b'{"kind":"parcel:sent","id":"i","ts":"2026-01-02T03:04:05.006000Z",'
        b'"scope":{"turn":1},"cause":"c","parcel":"p","weight_g":0,"labels":[]}'
    )


# out and in again

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
scopes = st.builds(
    Scope,
    session=st.none() | st.text(),
    chat=st.none() | st.text(),
    turn=st.none() | st.integers(-(2**63), 2**63 - 1),
    component=st.none() | st.text(),
    agent=st.none() | st.text(),
    user=st.none() | st.text(),
    source=st.none() | st.text(),
)
moments = st.datetimes(timezones=st.just(UTC))
notes = st.dictionaries(
    st.text(), st.recursive(scalars, lambda s: st.lists(s) | st.dictionaries(st.text(), s))
)


@given(
    id=st.text(), ts=moments, scope=scopes, cause=st.none() | st.text(), text=st.text(), notes=notes
)
def test_a_known_event_reads_back_equal(
    id: str, ts: datetime, scope: Scope, cause: str | None, text: str, notes: dict[str, Any]
) -> None:
    event = ParcelLost(id=id, ts=ts, scope=scope, cause=cause, parcel=text, notes=notes)

    assert decode(encode(event)) == event
    assert b"\n" not in encode(event)


def test_a_batch_reads_back_in_order() -> None:
    events = [ParcelSent(parcel=str(n)) for n in range(10)]

    assert decode_batch(encode_lines(events)) == events


def test_one_bad_line_spoils_only_itself() -> None:
    first, second = ParcelSent(parcel="1"), ParcelSent(parcel="2")

    read = decode_batch(encode(first) + b"\n{torn\n\n" + encode(second) + b"\n")

    assert read[0] == first
    assert isinstance(read[1], UnknownEvent)
    assert read[1].line == b"{torn"
    assert read[2] == second


def test_a_moment_elsewhere_is_the_same_moment() -> None:
    there = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))

    assert decode(encode(ParcelSent(ts=there, parcel="p"))).ts == there


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (ValueError("no"), '"ValueError: no"'),
        (Path("/a/b"), '"/a/b"'),
        (Colour.RED, '"red"'),
        (1 + 2j, '"(1+2j)"'),
        (float("nan"), "null"),
        (2**80, str(2**80)),
        ({1: "one"}, '{"1":"one"}'),
    ],
)
def test_a_value_json_has_no_form_for_is_written_as_text(value: Any, written: str) -> None:
    line = encode(ParcelLost(parcel="p", notes={"value": value}))

    assert line.endswith(f'"notes":{{"value":{written}}}}}'.encode())
    msgspec.json.decode(line)


def test_what_is_written_for_a_strange_value_is_bounded() -> None:
    class Loud:
        def __repr__(self) -> str:
            return "x" * 1_000_000

    assert len(encode(ParcelLost(parcel="p", notes={"value": Loud()}))) < 2_000


# what is not known


def test_an_unknown_kind_keeps_header_payload_and_line() -> None:
    line = (
        b'{"kind":"moon:landed","id":"i-1","ts":"2026-01-02T03:04:05Z",'
        b'"scope":{"user":"ada"},"cause":"c","crew":3,"craft":{"name":"eagle"}}'
    )

    event = decode(line)

    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.id, event.cause) == ("moon:landed", "i-1", "c")
    assert event.ts == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event.scope == Scope(user="ada")
    assert event.payload == {"crew": 3, "craft": {"name": "eagle"}}
    assert encode(event) == line


def test_a_known_kind_with_a_payload_that_does_not_fit_is_unknown() -> None:
    line = b'{"kind":"parcel:sent","id":"i","ts":"2026-01-02T03:04:05Z","parcel":7}'

    event = decode(line)

    assert isinstance(event, UnknownEvent)
    assert event.kind == "parcel:sent"
    assert event.payload == {"parcel": 7}
    assert encode(event) == line


def test_an_unknown_event_is_never_taken_for_its_own_class() -> None:
    """Its class has a tag, but a line cannot ask for it."""
    event = decode(b'{"kind":"unknown:unknown","id":"i","line":"eA==","named":"tool:start"}')

    assert isinstance(event, UnknownEvent)
    assert event.kind == "unknown:unknown"


@pytest.mark.parametrize("word", ["kind", "id", "ts", "scope", "cause"])
def test_a_header_word_cannot_be_a_property_either(word: str) -> None:
    with pytest.raises(DefinitionError, match=f"cannot have a field '{word}'"):
        type(Event)("Odd", (Event,), {word: property(lambda self: "x")}, tag="odd:made")


def test_a_naive_moment_of_an_unknown_record_is_taken_for_utc() -> None:
    event = decode(b'{"kind":"moon:landed","ts":"2026-01-02T03:04:05"}')

    assert event.ts == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


HOSTILE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"\x00" * 50,
    b"\xff\xfe{}",
    b'{"kind":"parcel:sent","parcel":"\xff"}',
    b'{"kind":"parcel:sent","parcel":"\\ud800"}',
    b'{"kind":7}',
    b'{"kind":"' + b"x" * 10_000 + b'"}',
    b'{"kind":"moon:landed","n":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"kind":"parcel:lose","parcel":"p","notes":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    b'{"kind":"moon:landed","ts":"yesterday"}',
    b'{"kind":"moon:landed","n":1e999}',
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: repr(line[:24]))
def test_whatever_stands_in_a_line_it_comes_out_unchanged(line: bytes) -> None:
    event = decode(line)

    assert isinstance(event, UnknownEvent)
    assert encode(event) == line
    assert isinstance(event.payload, dict)


@given(st.binary())
def test_any_bytes_are_an_event(line: bytes) -> None:
    assert encode(decode(line)) == line


def test_a_line_in_a_view_of_other_bytes_is_copied() -> None:
    whole = bytearray(b'{"kind":"moon:landed"}')

    event = decode(memoryview(whole))  # type: ignore[arg-type]
    whole[2:6] = b"gone"

    assert encode(event) == b'{"kind":"moon:landed"}'


def test_a_class_msgspec_cannot_read_spoils_only_itself() -> None:
    class UnreadableMade(Event):
        either: "list[int] | tuple[int, ...]" = ()

    try:
        event = ParcelSent(parcel="p")
        assert decode(encode(event)) == event
        assert isinstance(decode(encode(UnreadableMade())), UnknownEvent)
    finally:

        class UnreadableMade(Event):  # type: ignore[no-redef]
            pass


def test_a_header_that_does_not_fit_hides_no_kind() -> None:
    event = decode(b'{"kind":"parcel:sent","id":"i","scope":{"turn":"first"},"parcel":"p"}')

    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.id) == ("parcel:sent", "i")


class ParcelWeighed(Event):
    kilos: float
    rate: float | None = None
    height: int | float = 0
    note: str | float = ""


ODD = [float("nan"), float("inf"), float("-inf")]


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("field", ["kilos", "rate", "height"])
def test_a_float_json_has_no_form_for_reads_back_as_it_was(field: str, odd: float) -> None:
    event = ParcelWeighed(**{"kilos": 1.5, field: odd})
    others = [ParcelWeighed(kilos=2.0, rate=0.5), ParcelSent(parcel="p")]

    for line in (encode(event), encode_lines([*others, event]).splitlines()[-1]):
        again = decode(line)
        assert isinstance(again, ParcelWeighed)
        assert str(getattr(again, field)) == str(odd)
        assert (again.id, again.ts, again.scope) == (event.id, event.ts, event.scope)
        assert msgspec.json.decode(line)[field] in ("NaN", "Infinity", "-Infinity")
    batch = decode_batch(encode_lines([*others, event, *others]))
    assert [batch[0], batch[1], batch[3], batch[4]] == [*others, *others]
    assert str(getattr(batch[2], field)) == str(odd)
    assert str(getattr(event, field)) == str(odd)


def test_what_only_looks_like_an_odd_float_is_left_alone() -> None:
    line = encode(ParcelWeighed(kilos=1.0, note="NaN"))
    wrong = line.replace(b'"kilos":1.0', b'"kilos":"Nan"')

    assert decode(line) == decode(line)
    assert isinstance(decode(line), ParcelWeighed)
    assert isinstance(decode(wrong), UnknownEvent)
    assert isinstance(
        decode(wrong.replace(b'"Nan"', b'"NaN"').replace(b'"id"', b'"di"')), UnknownEvent
    )


def test_one_deeper_down_is_null_and_the_record_is_kept() -> None:
    class ParcelsWeighed(Event):
        kilos: list[float]

    again = decode(encode(ParcelsWeighed(kilos=[1.0, float("nan")])))

    assert isinstance(again, UnknownEvent)
    assert again.payload == {"kilos": [1.0, None]}


WHOLE = {
    "id": "i-1",
    "ts": "2026-01-02T03:04:05Z",
    "scope": {"session": "s"},
    "cause": "c",
}


@pytest.mark.parametrize("missing", [*WHOLE, "id ts", "id ts scope cause"])
def test_reading_a_foreign_record_twice_gives_the_same_event(missing: str) -> None:
    words = {word: value for word, value in WHOLE.items() if word not in missing.split()}
    line = msgspec.json.encode({"kind": "parcel:sent", **words, "parcel": "p"})
    ours = encode(ParcelSent(parcel="ours"))
    future = encode(ParcelSent(parcel="late", ts=datetime(2300, 1, 1, tzinfo=UTC)))
    blob = b"\n".join([ours, line, future, line, b"", ours]) + b"\n"

    first = [decode(line), *decode_batch(blob)]
    with scope(session="reader", turn=7):
        second = [decode(line), *decode_batch(blob)]

    assert second == first
    assert first[0] == first[2] == first[4]
    assert first[1] == first[5] == decode(ours)
    assert isinstance(first[3], ParcelSent)
    assert isinstance(first[0], UnknownEvent) == ("id" in missing or "ts" in missing)
    assert (first[0].kind, first[0].scope.session) == (
        "parcel:sent",
        None if "scope" in missing else "s",
    )


def test_a_batch_of_ids_of_ones_own_reads_back_as_it_was() -> None:
    events = [ParcelSent(id=f"parcel-{number}", parcel="p") for number in range(5)]

    assert decode_batch(encode_lines(events)) == events


def test_the_topic_of_what_is_not_known_is_reserved() -> None:
    with pytest.raises(DefinitionError, match="'unknown' is reserved"):

        class Odd(Event, tag="unknown:thing"):
            pass


def test_a_record_with_half_a_character_in_it_keeps_its_id_and_kind() -> None:
    line = rb'{"kind":"moon:rise","id":"m1","ts":"2026-01-02T03:04:05Z","scope":{},"far":"\ud800"}'

    event = decode(line)

    assert isinstance(event, UnknownEvent)
    assert (event.id, event.named, event.ts.year) == ("m1", "moon:rise", 2026)


@pytest.mark.parametrize(
    ("line", "payload"),
    [
        (b'{"kind":"a:b","id":"1","ts":"t","scope":{},"cause":null,"n":1}', b'{"n":1}'),
        (b'{"kind":"a:b","id":"1","ts":"t","scope":{"chat":"c"},"cause":"0","n":1}', b'{"n":1}'),
        (b'{"kind":"a:b","id":"1","ts":"t","scope":{},"cause":null}', None),
        (b'{"kind":"a:b","id":"1","x":0,"ts":"t","scope":{},"cause":null,"n":1}', None),
        (b'{"kind":"a:b","id":"1","ts":"t","scope":{"x":{}},"cause":null,"n":1}', None),
        (rb'{"kind":"a\",","id":"1","ts":"t","scope":{},"cause":null,"n":1}', None),
        (b'{"n":1}', None),
        (b"", None),
    ],
)
def test_a_payload_is_cut_out_of_a_line_as_we_write_it(line: bytes, payload: bytes | None) -> None:
    assert payload_of(line) == payload


@settings(max_examples=200)
@given(
    header=st.fixed_dictionaries(
        {
            "kind": st.text(max_size=5),
            "id": st.text(max_size=5),
            "ts": st.text(max_size=3),
            "scope": st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2),
            "cause": st.none() | st.text(max_size=5),
        }
    ),
    payload=st.dictionaries(
        st.text(max_size=4).filter(lambda word: word not in ("kind", *HEADER)),
        st.text(max_size=8) | st.integers() | st.none(),
        max_size=3,
    ),
)
def test_what_is_cut_out_is_what_the_whole_line_says(
    header: dict[str, Any], payload: dict[str, Any]
) -> None:
    line = msgspec.json.encode(header | payload)

    cut_out = payload_of(line)

    assert cut_out is None or msgspec.json.decode(cut_out) == payload
    assert UnknownEvent(line=line).payload == payload


def test_lines_of_strange_kinds_are_read_among_the_others_in_order() -> None:
    known = [LetterSent(n=number) for number in range(4)]
    strange = [encode(each).replace(b'"letter:send"', b'"stranger:come"') for each in known]
    odd = [b"{", b"[]", b'{"kind":"letter:send"}', b'{"kind":"stranger:go"']
    lines = [line for group in zip(map(encode, known), strange, odd, strict=True) for line in group]

    events = decode_batch(b"\n".join([*lines, b""]))

    assert events == [decode(line) for line in lines]
    assert events[::3] == known
    assert [event.kind for event in events[1::3]] == ["stranger:come"] * 4
