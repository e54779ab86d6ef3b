"""The flat log: what a line looks like, and that nothing forges one."""

import hashlib
import re
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.event import Event, UnknownEvent, decode
from eventbus.events import (
    ErrorRaised,
    LogLine,
    ReloadFailed,
    StateWritten,
    ToolErrored,
    ToolStarted,
    WatchGap,
    WorkerFailed,
)
from eventbus.formats import flat
from eventbus.scope import Scope, scope

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class KiteSold(Event, tag="kite:sell"):
    name: str
    note: str = ""
    price: float | None = None
    tags: tuple[str, ...] | None = None
    extra: Any = None


def fields(event: Event) -> list[str]:
    return flat.text(event).split("|", 3)


def message(event: Event) -> str:
    return fields(event)[3]


# a typed event


def test_a_line_is_moment_kind_source_and_message() -> None:
    event = KiteSold(ts=NOW, scope=Scope(), name="swift", price=9.5)

    assert flat.encode(event) == (
        b"2026-01-02T03:04:05.678Z|kite:sell|kite|name=swift note= price=9.5"
    )


@pytest.mark.parametrize(
    ("acting", "source"),
    [
        (Scope(source="cli", component="brain"), "cli"),
        (Scope(component="brain", agent="scout"), "brain"),
        (Scope(session="s", agent="scout", user="ada"), "kite"),
        (Scope(source=""), "kite"),
    ],
)
def test_the_source_is_the_scopes_else_its_component_else_the_topic(
    acting: Scope, source: str
) -> None:
    assert fields(KiteSold(scope=acting, name="swift"))[2] == source


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-1.5, "-1.5"),
        (9.0, "9.0"),
        ("", ""),
        ("two words", "two words"),
        ("a=b", "a=b"),
        ("naïve – 漢字 👍", "naïve – 漢字 👍"),
        ("x session=y", '"x session=y"'),
        ('"quoted"', r'"\"quoted\""'),
        ('{"a":1}', r'"{\"a\":1}"'),
        ("[Errno 2] No such file", "[Errno 2] No such file"),
        ("C:\\new", "C:\\new"),
        ({"a": [1, None, {"b": "c d"}]}, '{"a":[1,null,{"b":"c d"}]}'),
        ([], "[]"),
        ((1, 2), "[1,2]"),
        (date(2026, 1, 2), "2026-01-02"),
        (NOW, "2026-01-02T03:04:05.678901Z"),
        (Colour.RED, "red"),
        (Path("/a/b"), "/a/b"),
        (b"bytes", "Ynl0ZXM="),
        (Scope(turn=1), '{"turn":1}'),
    ],
)
def test_a_value_is_written(value: Any, written: str) -> None:
    assert message(KiteSold(name="n", extra=value)) == f"name=n note= extra={written}"


def test_none_is_left_out() -> None:
    assert message(StateWritten(section=None, keys_updated=("a",))) == 'keys_updated=["a"]'


def test_a_field_goes_by_its_name_on_the_wire() -> None:
    assert message(WatchGap(reason="overflow", from_=NOW)) == (
        "reason=overflow from=2026-01-02T03:04:05.678901Z"
    )


def test_an_event_without_payload_has_an_empty_message() -> None:
    class KiteLanded(Event):
        pass

    assert fields(KiteLanded())[1:] == ["kite:landed", "kite", ""]


def test_an_event_with_one_field_writes_it() -> None:
    class KiteNamed(Event):
        name: str

    assert message(KiteNamed(name="swift")) == "name=swift"


def test_a_newline_in_a_value_is_written_out() -> None:
    assert message(KiteSold(name="a\nb\tc\r\x1b[2J")) == r"name=a\nb\tc\r\u001b[2J note="


def test_nested_json_stays_json_when_what_hides_is_written_out() -> None:
    written = message(KiteSold(name="n", extra={"a": "x\n\x85\u2028\u202ey\x7f"}))

    assert msgspec.json.decode(written.partition("extra=")[2]) == {"a": "x\n\x85\u2028\u202ey\x7f"}


@pytest.mark.parametrize(
    ("ts", "stamp"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2026-01-01T21:34:05.000Z",
        ),
        (
            datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(-timedelta(hours=5))),
            "2026-01-02T08:04:05.678Z",
        ),
        (datetime(2026, 1, 2, 3, 4, 5, 678901), "2026-01-02T03:04:05.678Z"),  # noqa: DTZ001
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "0001-01-01T00:00:00.000Z"),
        (datetime(2100, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "2100-12-31T23:59:59.999Z"),
    ],
)
def test_the_moment_is_utc_in_milliseconds(ts: datetime, stamp: str) -> None:
    assert fields(KiteSold(ts=ts, name="n"))[0] == stamp


# a log line


def test_a_log_line_is_its_message_and_then_its_tokens() -> None:
    event = LogLine(ts=NOW, event_type="llm:response", source="agent", message="done", kv={"n": 1})

    assert flat.text(event) == "2026-01-02T03:04:05.678Z|llm:response|agent|done n=1"


def test_the_values_of_a_log_line_are_written_by_str() -> None:
    kv = {"a": True, "b": None, "c": 1.0, "d": "two words", "e": "x=y z=1"}

    assert message(LogLine(event_type="a:b", kv=kv)) == (
        "a=True b=None c=1.0 d=two words e=x=y z=1"
    )


def test_a_newline_in_a_log_line_becomes_a_space() -> None:
    event = LogLine(event_type="a:b", message="one\ntwo\r\nthree\rfour", kv={"k": "v\nw"})

    assert message(event) == "one two three four k=v w"


def test_a_bar_may_stand_in_a_message() -> None:
    assert message(LogLine(event_type="a:b", message="x|y")) == "x|y"


@pytest.mark.parametrize("source", ["", "my source", "a:b"])
def test_a_log_lines_source_is_what_it_says(source: str) -> None:
    with scope(source="another"):
        assert fields(LogLine(event_type="a:b", source=source))[2] == source


@pytest.mark.parametrize(
    ("event_type", "written"),
    [
        ("state:bootstrap_complete", "state:bootstrap_complete"),
        ("a:b:c", "a:b:c"),
        ("plain", "unknown:plain"),
        ("", "unknown:unknown"),
        (":", "unknown:unknown"),
        (":b", "unknown:b"),
        ("a:", "unknown:a"),
        ("a|b:c d\n", r"a_b:c_d\n"),
        ("é:ü", "é:ü"),
    ],
)
def test_a_type_that_would_break_the_line_is_cleaned(event_type: str, written: str) -> None:
    assert fields(LogLine(event_type=event_type))[1] == written


def test_a_bar_in_the_source_becomes_a_slash() -> None:
    assert fields(LogLine(event_type="a:b", source="x|y", message="m"))[2:] == ["x/y", "m"]
    assert fields(KiteSold(scope=Scope(source="x|y"), name="n"))[2] == "x/y"


def test_a_log_line_cannot_speak_for_the_bus() -> None:
    event = LogLine(event_type="bus:gap", message="count=0")

    assert event.kind == "log:line"
    assert fields(event)[1] == "log:line"


# an error


def test_an_errors_message_is_its_type_and_text() -> None:
    assert message(ErrorRaised(type="ValueError", message="no")) == "ValueError: no"


@pytest.mark.parametrize("error", [ToolErrored, ReloadFailed])
def test_every_error_is_written_like_that_with_its_context_before(error: Any) -> None:
    event = error(type="OSError", message="full", context="saving", stack="long", component="c")

    assert message(event) == "saving - OSError: full"


def test_bars_and_newlines_of_an_error_are_replaced() -> None:
    event = ErrorRaised(type="V", message="a|b\nc|d", context="x|y")

    assert message(event) == "x/y - V: a/b c/d"


def test_an_errors_text_is_cut_at_200_characters() -> None:
    assert message(ErrorRaised(type="V", message="é" * 201)) == "V: " + "é" * 200
    assert message(ErrorRaised(type="V", message="é" * 200)) == "V: " + "é" * 200


def test_an_error_logged_as_a_line_has_no_bars_either() -> None:
    event = LogLine(event_type="error:io", message="a|b", kv={"c": "d|e"})

    assert message(event) == "a/b c=d/e"


def test_a_failed_worker_is_no_error_line() -> None:
    assert message(WorkerFailed(task="t", error="a|b")) == "task=t error=a|b"


# what is not known


def test_an_unknown_event_is_written_like_a_typed_one() -> None:
    line = (
        b'{"kind":"moon:landed","id":"i","ts":"2026-01-02T03:04:05Z","scope":{"source":"nasa"},'
        b'"crew":3,"name":"eagle","left":null,"at":{"x":1},"a b":true}'
    )

    assert flat.text(decode(line)) == (
        '2026-01-02T03:04:05.000Z|moon:landed|nasa|crew=3 name=eagle at={"x":1} a_b=true'
    )


def test_what_is_no_record_says_how_long_it_is() -> None:
    assert flat.text(decode(b"\x00" * 40)) == (
        "1970-01-01T00:00:00.000Z|unknown:unknown|unknown|bytes=40"
    )


@pytest.mark.parametrize("named", ["x", "a|b:c", "a:b\nc", "", "a:\ud800", "\u202ea:b"])
def test_a_kind_from_elsewhere_breaks_no_line(named: str) -> None:
    event = UnknownEvent(line=b"{}", named=named)

    assert_is_one_line(event)


# hostile values


def assert_is_one_line(event: Event) -> None:
    """One line of four fields that a parser takes and a terminal survives."""
    line = flat.encode(event)
    text = line.decode()

    assert len(text.splitlines()) == 1
    assert not HIDDEN.search(text)
    parts = text.split("|", 3)
    assert len(parts) == 4
    read = flat.parse(line)
    assert isinstance(read, flat.FlatLine)
    assert flat.line(read.timestamp, read.event_type, read.source, read.message) == text


anything = st.text(
    st.characters(codec=None) | st.sampled_from('|\n\r\x1b\x00\x85\u2028\u202e\ud800= "')
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(anything, inner),
    max_leaves=5,
)
scopes = st.builds(Scope, source=st.none() | anything, component=st.none() | anything)


@given(scope=scopes, name=anything, note=anything, extra=values)
def test_no_payload_forges_a_line(scope: Scope, name: str, note: str, extra: Any) -> None:
    assert_is_one_line(KiteSold(scope=scope, name=name, note=note, extra=extra))


@given(event_type=anything, source=anything, text=anything, kv=st.dictionaries(anything, anything))
def test_no_log_line_forges_a_line(
    event_type: str, source: str, text: str, kv: dict[str, str]
) -> None:
    assert_is_one_line(LogLine(event_type=event_type, source=source, message=text, kv={**kv}))


@given(scope=scopes, name=anything, text=anything, context=st.none() | anything)
def test_no_error_forges_a_line(scope: Scope, name: str, text: str, context: str | None) -> None:
    event = ErrorRaised(scope=scope, type=name, message=text, context=context)

    assert_is_one_line(event)
    assert "|" not in message(event)


@given(named=anything, scope=scopes, payload=st.dictionaries(anything, values))
def test_no_unknown_event_forges_a_line(named: str, scope: Scope, payload: dict[str, Any]) -> None:
    try:
        line = msgspec.json.encode(payload)
    except (UnicodeEncodeError, OverflowError):
        line = b'{"a|b":"\\n"}'
    assert_is_one_line(UnknownEvent(line=line, named=named, scope=scope))


@given(st.binary())
def test_no_bytes_in_the_journal_forge_a_line(line: bytes) -> None:
    assert_is_one_line(decode(line))


readable = anything.filter(lambda text: text.isprintable())


@given(name=readable, note=readable, extra=readable | st.lists(readable))
def test_tokens_read_back_as_what_was_written(name: str, note: str, extra: Any) -> None:
    """So no text can pass for a token beside its own."""
    read = flat.tokens(message(KiteSold(name=name, note=note, extra=extra)))

    assert list(read) == ["name", "note", "extra"]
    assert (read["name"], read["note"]) == (name, note)
    if isinstance(extra, list):
        assert msgspec.json.decode(read["extra"]) == extra
    else:
        assert read["extra"] == extra


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ("x" * 20_000, "x" * 20_000),
        ("ä = b " * 9_000, "ä = b " * 9_000),
        (["a b=c"] * 9_000, msgspec.json.encode(["a b=c"] * 9_000).decode()),
        ({"a": list(range(9_000))}, msgspec.json.encode({"a": list(range(9_000))}).decode()),
        (Path("a/" * 9_000), "a/" * 8_999 + "a"),
    ],
    ids=["text", "pairs", "list", "object", "path"],
)
def test_a_long_token_is_cut_and_says_how_long_it_was(value: Any, whole: str) -> None:
    event = KiteSold(name="swift", extra=value, tags=("red",))

    read = flat.tokens(message(event))

    digest = hashlib.sha256(whole.encode()).hexdigest()
    mark = f"… [cut: {len(whole.encode())} bytes, sha256 {digest}]"
    assert read == {"name": "swift", "note": "", "tags": '["red"]', "extra": whole[:16_384] + mark}


def test_a_token_at_the_bound_is_whole_as_is_what_a_log_line_says() -> None:
    long = "x" * 20_000

    assert message(KiteSold(name="x" * 16_384)) == f"name={'x' * 16_384} note="
    assert message(LogLine(event_type="a:b", message=long, kv={"k": long})) == f"{long} k={long}"


def test_an_unknown_events_long_token_is_cut_too() -> None:
    line = msgspec.json.encode({"kind": "moon:rise", "id": "1", "ts": NOW, "far": "y" * 20_000})

    assert len(flat.text(decode(line))) < 17_000


class Exploding:
    def __repr__(self) -> str:
        raise ZeroDivisionError

    __str__ = __repr__


class Shouting(str):
    def __str__(self) -> str:
        raise ZeroDivisionError

    def __format__(self, form: str) -> str:
        return "a|b\nc"


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


HOSTILE = [
    Exploding(),
    Shouting("x\ny"),
    [Exploding(), "kept"],
    {"a": Exploding()},
    {Exploding(): 1},
    10**5000,
    float("nan"),
    float("inf"),
    "\ud800",
    ["\udc80", {"\ud800": "\ud800"}],
    nested(100_000),
    circle(),
    object(),
    lambda: None,
    msgspec.UNSET,
    msgspec.Raw(b"{\n"),
    {1, 2},
    b"\x00\xff",
    ValueError("a|b\nc"),
    "x" * 1_000_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
def test_no_value_stops_a_line(value: Any) -> None:
    for event in (
        KiteSold(name="n", extra=value),
        KiteSold(name=value),
        ToolStarted(trace="t", name="n", input={"value": value}),
        LogLine(event_type="a:b", kv={"value": value}),
        LogLine(event_type="a:b", message=value),
        LogLine(event_type="a:b", source=value),
        LogLine(event_type=value),
        ErrorRaised(type="V", message=value),
        ErrorRaised(type=value),
        KiteSold(name="n", scope=Scope(source=value)),
        KiteSold(name="n", scope=value),
        KiteSold(name="n", ts=value),
    ):
        assert_is_one_line(event)


def test_one_value_that_cannot_be_written_leaves_the_others() -> None:
    assert message(KiteSold(name="n", extra=[Exploding(), "kept"])) == (
        'name=n note= extra=["unreadable Exploding: ZeroDivisionError","kept"]'
    )


def test_values_of_other_types_than_declared_are_read_as_a_reader_would() -> None:
    event = KiteSold(ts="2026-01-02T03:04:05Z", scope={"source": "cli"}, name="n")  # type: ignore[arg-type]

    assert flat.text(event) == "2026-01-02T03:04:05.000Z|kite:sell|cli|name=n note="


# back again


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_is_read_with_or_without_its_newline(end: str) -> None:
    read = flat.parse(f"2026-01-02T03:04:05.678Z|a:b|src|m|n{end}")

    assert read == flat.FlatLine(NOW.replace(microsecond=678000), "a:b", "src", "m|n")


@pytest.mark.parametrize(
    "moment",
    ["2026-01-02T03:04:05.678Z", "2026-01-02T05:04:05.678+02:00", "2026-01-02 03:04:05.678Z"],
)
def test_a_moment_is_read_as_utc(moment: str) -> None:
    read = flat.parse(f"{moment}|a:b||")

    assert isinstance(read, flat.FlatLine)
    assert read.timestamp == NOW.replace(microsecond=678000)
    assert read.timestamp.tzinfo is UTC


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "1 field instead of 4"),
        (b"2026-01-02T03:04:05Z|a:b|src", "3 fields instead of 4"),
        (b"  File x, line 3", "1 field instead of 4"),
        (b"yesterday|a:b|src|m", "timestamp 'yesterday'; ISO 8601 with a time zone is allowed"),
        (
            b"2026-01-02T03:04:05|a:b|src|m",
            "timestamp '2026-01-02T03:04:05'; ISO 8601 with a time zone is allowed",
        ),
        (b"0001-01-01T00:00:00+14:00|a:b|src|m", None),
        (b"2026-01-02T03:04:05Z|ab|src|m", "event type 'ab'; category:action is allowed"),
        (b"2026-01-02T03:04:05Z|a: b|src|m", "event type 'a: b'; category:action is allowed"),
        (b"2026-01-02T03:04:05Z|a:b|src|\xff", "not UTF-8 at byte 29"),
        (b"\x00" * 10, "1 field instead of 4"),
    ],
)
def test_what_is_no_flat_line_says_why(line: bytes, reason: str | None) -> None:
    read = flat.parse(line)

    assert isinstance(read, flat.Unparsed)
    assert reason is None or read.reason == reason


@given(st.binary() | anything)
def test_reading_never_raises(line: bytes | str) -> None:
    assert isinstance(flat.parse(line), flat.FlatLine | flat.Unparsed)


@given(
    ts=st.datetimes(timezones=st.just(UTC)),
    event_type=st.from_regex(r"\A[a-z_]{1,9}:[a-z_]{1,9}\Z"),
    source=readable.filter(lambda text: "|" not in text),
    text=readable,
)
def test_what_needs_no_cleaning_reads_back_as_it_was(
    ts: datetime, event_type: str, source: str, text: str
) -> None:
    ts = ts.replace(microsecond=ts.microsecond // 1000 * 1000)

    assert flat.parse(flat.line(ts, event_type, source, text)) == flat.FlatLine(
        ts, event_type, source, text
    )


# tokens


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("no tokens here", {}),
        ("a=1", {"a": "1"}),
        ("said hello n=1 ok=True", {"n": "1", "ok": "True"}),
        ("reason=two words n=1", {"reason": "two words", "n": "1"}),
        ("a=1 a=2", {"a": "2"}),
        ('a="x b=1" c=2', {"a": "x b=1", "c": "2"}),
        ('a={"q":"x b=1"} c=2', {"a": '{"q":"x b=1"}', "c": "2"}),
        ('a="unclosed b=1', {"a": '"unclosed', "b": "1"}),
        ("a=[1] and more", {"a": "[1] and more"}),
        ("a== =b", {"a": "= =b"}),
        ("url=http://x/?a=b&c=d n=1", {"url": "http://x/?a=b&c=d", "n": "1"}),
    ],
)
def test_tokens_are_found_in_a_message(text: str, found: dict[str, str]) -> None:
    assert flat.tokens(text) == found


@given(anything)
def test_looking_for_tokens_never_raises(text: str) -> None:
    assert isinstance(flat.tokens(text), dict)


def test_looking_for_tokens_is_no_work_without_end() -> None:
    for text in ("a=" + "[" * 200_000, 'a="' * 50_000, "a={ " * 50_000, " a=" * 50_000):
        flat.tokens(text)
