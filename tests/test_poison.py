"""Lines for what will not encode, and for what would be too long."""

import hashlib
from typing import Any

import msgspec
import pytest

from eventbus.event import Event, decode, encode
from eventbus.poison import EVENT_BYTES_MOST, TEXT_MOST, cut_line, encode_each, fallback_line
from tests.letters import LetterSent


class PoisonTaken(Event, tag="poison:take", frozen=True):
    """Says what it takes; nobody checks."""

    n: int = 0
    text: str = ""
    rest: Any = None


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("not telling")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\ud800 lone", "lone"),
        (Unspeakable(), "its repr raises ValueError"),
        ({1.5: "x", None: "y"}, "None"),
        ({("a", "b"): 1}, "('a', 'b')"),
    ],
    ids=["surrogate", "repr", "keys", "tuple"],
)
def test_what_will_not_encode_is_kept_as_text_and_marked(value: Any, shown: str) -> None:
    event = PoisonTaken(n=7, rest=value)

    record = msgspec.json.decode(fallback_line(event, TypeError("no")))

    assert (record["kind"], record["id"], record["n"]) == ("poison:take", event.id, 7)
    assert shown in str(record["rest"])
    assert list(record["unencodable"]) == ["rest"]


def test_the_others_of_a_batch_are_encoded_as_they_are() -> None:
    good, bad = LetterSent(n=1), PoisonTaken(rest="\ud800")

    lines, poison = encode_each([good, bad, msgspec.Raw(b'{"kind":"a:b"}'), good])

    assert poison == 1
    assert [lines[0], lines[2], lines[3]] == [encode(good), b'{"kind":"a:b"}', encode(good)]
    assert decode(lines[1]).id == bad.id
    assert not any(b"\n" in line for line in lines)


def test_an_event_that_holds_itself_is_kept() -> None:
    tree: dict[str, Any] = {}
    tree["tree"] = tree

    lines, poison = encode_each([PoisonTaken(n=3, rest=tree)])

    assert poison == 1
    assert msgspec.json.decode(lines[0])["n"] == 3


def test_a_long_text_is_cut_with_its_length_and_digest() -> None:
    text = "ü" * EVENT_BYTES_MOST
    line = encode(LetterSent(n=1, text=text))

    cut = cut_line(line)

    back = decode(cut)
    assert isinstance(back, LetterSent)
    assert len(cut) < EVENT_BYTES_MOST
    assert back.text.startswith("ü" * TEXT_MOST + "…")
    raw = text.encode()
    assert f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}" in back.text


def test_a_text_deep_inside_is_cut_too() -> None:
    line = encode(PoisonTaken(rest={"a": [{"b": "x" * EVENT_BYTES_MOST}], "c": 1}))

    rest = msgspec.json.decode(cut_line(line))["rest"]

    assert len(rest["a"][0]["b"]) < 2 * TEXT_MOST
    assert rest["c"] == 1


@pytest.mark.parametrize(
    "line",
    [
        encode(PoisonTaken(rest=list(range(400_000)))),
        b'{"kind":"poison:take","id":"1","' + b"k" * EVENT_BYTES_MOST + b'":1}',
        b"[" * EVENT_BYTES_MOST,
        b"\xff" * (EVENT_BYTES_MOST + 1),
    ],
    ids=["many", "key", "deep", "garbage"],
)
def test_what_cannot_be_cut_inside_keeps_its_header_length_and_digest(line: bytes) -> None:
    record = msgspec.json.decode(cut_line(line))

    assert record["cut"] == {"bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}
    assert record["kind"] in ("poison:take", "unknown:unknown")


def test_text_in_strange_places_cannot_make_it_too_long() -> None:
    """Many long keys, each below the cut."""
    line = msgspec.json.encode(
        {"kind": "poison:take", "id": "1", "rest": {f"{n}" + "k" * 30_000: 1 for n in range(50)}}
    )

    assert len(cut_line(line)) <= EVENT_BYTES_MOST
