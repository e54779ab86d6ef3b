"""Lines of the journal as nobody would write them: every kind, every field, every odd value."""

import string
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent.parent / "wire" / "events.jsonl"
"""An event of every kind, as it is written."""
Words = dict[str, str]
"""A record, each word of it with its JSON."""


def _noise(length: int) -> str:
    """Text that nothing makes shorter."""
    letters = string.ascii_letters + string.digits
    return "".join(Random(1).choices(letters, k=length))


def _nested(levels: int) -> str:
    return "[" * levels + "]" * levels


ODD = (
    *("9" * 400, "-" + "9" * 400, str(2**63), str(-(2**63) - 1), str(2**64)),
    *("1e308", "-1e308", "1e400", "-0.0", "-1", "0", "1.5", '"NaN"', '"Infinity"', '"-Infinity"'),
    *("null", "true", "[]", "{}", '[1,"a",null,{"a":[]}]', '["a","\\u0000"]'),
    *('""', '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"', '"\U0001f600"'),
    '"\\u001b[2J\\n|=\\u2028"',
    *('{"a\\u0000":"b\\u0000"}', _nested(100), _nested(3_000), '{"a":' * 100 + "1" + "}" * 100),
    f'"{_noise(9_000)}"',
    f'"{"ä" * 2_500}"',
)
LONG = f'"{"x" * 1_000_000}"'
ODD_TIMES = (
    '"0001-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59.999999Z"',
    '"9999-12-31T23:59:59.999999-12:00"',
    '"1969-07-20T20:17:40-05:37"',
    '"2026-01-02T03:04:05"',
    '"yesterday"',
    "0",
    "null",
)
ODD_IDS = (
    '""',
    '"in-0"',
    '"in-0123456789ab-0123456789ab-0"',
    '"a|b\\n"',
    f'"{_noise(9_000)}"',
    "7",
)
ODD_SCOPES = tuple(
    f'{{"session":{value},"chat":{value},"turn":{turn},"component":{value},"user":{value}}}'
    for value in ('""', '"a\\u0000b"', f'"{_noise(9_000)}"', "7", "null", '"a=b |c\\n"')
    for turn in ("1", str(2**70), '"x"')
)
GARBAGE = (b"\xff\xfe", b"{}", b"[]", b"7", b'{"kind":5}', b'{"kind":"a:b"', b"\x00" * 9, b"{")

records: dict[str, Words] = {}
"""By kind, one of it."""
for _line in GOLDEN.read_bytes().splitlines():
    _words = msgspec.json.decode(_line, type=dict[str, msgspec.Raw])
    _written = {name: bytes(value).decode() for name, value in _words.items()}
    records.setdefault(msgspec.json.decode(_written["kind"]), _written)

HEADER = ("kind", "id", "ts", "scope", "cause")


def line_of(words: Words) -> bytes:
    return ("{" + ",".join(f'"{name}":{value}' for name, value in words.items()) + "}").encode()


def every_odd_line() -> Iterator[bytes]:
    """Each kind with each of its fields, and all of them, as each odd value; and odd headers."""
    for kind, words in records.items():
        fields = [name for name in words if name not in HEADER]
        for number, value in enumerate(ODD):
            for name in fields:
                yield line_of(words | {"id": f'"{kind} {name} {number}"', name: value})
            every = dict.fromkeys(fields, value)
            yield line_of(words | {"id": f'"{kind} {number}"'} | every)
        for name, values in (("ts", ODD_TIMES), ("scope", ODD_SCOPES)):
            for number, value in enumerate(values):
                yield line_of(words | {"id": f'"{kind} {name} {number}"', name: value})
        for value in ODD_IDS:
            yield line_of(words | {"id": value})
    yield line_of(records["tool:finish"] | {"id": '"long"', "output": LONG})
    yield line_of(records["log:line"] | {"id": '"long line"', "message": LONG})
    yield from GARBAGE


json_values = st.one_of(
    st.sampled_from(ODD),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=40).map(lambda text: msgspec.json.encode(text).decode()),
)


@st.composite
def odd_lines(draw: st.DrawFn) -> bytes:
    """A line of some kind of which some is odd."""
    words = dict(records[draw(st.sampled_from(sorted(records)))])
    words["id"] = f'"{draw(st.integers(0, 20))}"'
    for name in draw(st.lists(st.sampled_from(sorted(words)), max_size=4)):
        odd = {"ts": st.sampled_from(ODD_TIMES), "scope": st.sampled_from(ODD_SCOPES)}
        words[name] = draw(odd.get(name, json_values))
    return line_of(words)
