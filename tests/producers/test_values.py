"""Values as they are recorded, and as people see them."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.formats.visible import one_line
from eventbus.producers.values import KEPT_BYTES, PREVIEW_MOST, input_preview, kept, preview


class Shy:
    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


class Wild(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no")


def read(value: object, **options: int) -> Any:
    return msgspec.json.decode(kept(value, **options))


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.builds(Shy)
    | st.builds(Wild, a=st.just(1))
    | st.builds(deep, st.just(2_000))
    | st.builds(object)
    | st.complex_numbers(),
    lambda values: st.lists(values) | st.dictionaries(st.text() | st.integers(), values),
    max_leaves=20,
)


@given(ANYTHING)
def test_any_value_is_json_and_within_bounds(value: object) -> None:
    line = bytes(kept(value, most=200))

    msgspec.json.decode(line)
    assert len(line) < 500


@given(st.text() | st.none(), ANYTHING)
def test_any_input_has_a_line_for_people(name: str | None, value: object) -> None:
    for input in (value, {"path": value, "content": value}, {"command": value}, {"q": value}):
        line = input_preview(name or "write_file", input)

        assert len(line) <= PREVIEW_MOST
        assert line == one_line(line)


def test_a_value_up_to_the_cap_is_kept_whole() -> None:
    text = "x" * (KEPT_BYTES - 2)

    assert read(text) == text
    assert read(text + "x") != text + "x"


def test_what_is_cut_keeps_its_length_and_digest() -> None:
    whole = list(range(50_000))
    line = msgspec.json.encode(whole)

    assert read(whole)["cut"] == {"bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}


def test_long_texts_go_before_all_else() -> None:
    content = "é" * 50_000

    cut = read({"path": "a.txt", "edits": [{"old": "b", "new": content}]})

    assert cut["path"] == "a.txt"
    assert cut["edits"][0]["old"] == "b"
    assert cut["edits"][0]["new"].startswith("é" * 2_000 + "… [cut: 100000 bytes, sha256 ")


@pytest.mark.parametrize(
    ("name", "input", "line"),
    [
        ("write_file", {"path": "a.py", "content": "x" * 2_048}, "write a.py 2.0 KiB"),
        ("WriteFile", {"file_path": "a.py", "text": "ü"}, "write a.py 2 B"),
        ("edit", {"path": "a.py", "new_string": "abc", "old_string": "b"}, "edit a.py 3 B"),
        ("create_file", {"path": "a.py"}, "create a.py"),
        ("shell", {"command": "ls -l | wc", "timeout": 3}, "ls -l | wc"),
        ("run_command", {"argv": ["ls", "my files"]}, "ls 'my files'"),
        ("bash", {"cmd": "one\ntwo\x1b[2J"}, "one two\\u001b[2J"),
        ("read_file", {"path": "a.py", "limit": 20}, "path=a.py limit=20"),
        ("search", {"q": "two words", "deep": True, "in": None}, 'q="two words" deep=true in=null'),
        ("search", {"ids": list(range(50)), "raw": b"abc"}, "ids=<50 of them> raw=<3 B>"),
        ("ask", "what is it?", '"what is it?"'),
        ("ping", None, ""),
        ("ping", {}, ""),
    ],
)
def test_a_line_for_people_says_what_matters(name: str, input: object, line: str) -> None:
    assert input_preview(name, input) == line


def test_a_long_line_ends_with_a_mark() -> None:
    line = preview("x" * 10_000_000)

    assert line == "x" * (PREVIEW_MOST - 1) + "…"
