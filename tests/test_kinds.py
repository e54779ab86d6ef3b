"""Which kinds a wish takes in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.errors import DefinitionError
from eventbus.event import Event
from eventbus.events import ToolFinished, ToolStarted
from eventbus.kinds import BOOKKEEPING, KindFilter

KINDS = ("tool:start", "tool:finish", "llm:start", "bus:gap", "bus:open", "bus:stats", "bus:close")


def wanted(kinds: Any) -> list[str]:
    wants = KindFilter(kinds)
    return [kind for kind in KINDS if wants(kind)]


@pytest.mark.parametrize(
    ("kinds", "taken"),
    [
        (None, ["tool:start", "tool:finish", "llm:start", "bus:gap"]),
        ("*", ["tool:start", "tool:finish", "llm:start", "bus:gap"]),
        ("*:*", ["tool:start", "tool:finish", "llm:start", "bus:gap"]),
        ("tool:*", ["tool:start", "tool:finish"]),
        ("*:start", ["tool:start", "llm:start"]),
        ("*:open", []),
        ("tool:start", ["tool:start"]),
        (("tool:start", "llm:*"), ["tool:start", "llm:start"]),
        (["*", "bus:open"], ["tool:start", "tool:finish", "llm:start", "bus:gap", "bus:open"]),
        ("bus:*", ["bus:gap", "bus:open", "bus:stats", "bus:close"]),
        (ToolStarted, ["tool:start"]),
        ((ToolStarted, ToolFinished), ["tool:start", "tool:finish"]),
        ((ToolStarted, "llm:*"), ["tool:start", "llm:start"]),
        ((), []),
        (iter(["tool:start"]), ["tool:start"]),
    ],
)
def test_a_wish_takes_in(kinds: Any, taken: list[str]) -> None:
    assert wanted(kinds) == taken


@pytest.mark.parametrize(
    "pattern",
    ["", "tool", "tool:", ":start", "to*:start", "tool:st*", "**", "*:", ":*", "t*ol:start", " "],
)
def test_a_pattern_that_could_be_misread_is_refused(pattern: str) -> None:
    with pytest.raises(DefinitionError, match="allowed are"):
        KindFilter(pattern)


def test_a_class_that_is_no_event_is_refused() -> None:
    with pytest.raises(DefinitionError, match="int"):
        KindFilter(int)  # type: ignore[arg-type]


def test_a_class_stands_for_its_own_kind_alone() -> None:
    class ToolStartedTwice(ToolStarted):
        pass

    wants = KindFilter(ToolStarted)

    assert wants("tool:start")
    assert not wants(ToolStartedTwice(trace="t", name="n").kind)


def test_an_answer_is_the_same_the_second_time() -> None:
    wants = KindFilter("tool:*")

    assert [wants("tool:x"), wants("tool:x"), wants("llm:x"), wants("llm:x")] == [
        True,
        True,
        False,
        False,
    ]


def test_ten_thousand_hostile_kinds_are_answered_and_not_all_remembered() -> None:
    wants = KindFilter("tool:*")

    assert all(wants(f"tool:{n}") for n in range(10_000))
    assert len(wants._answers) < 10_000


def test_a_filter_says_what_it_wants() -> None:
    assert repr(KindFilter(("tool:*", ToolStarted))) == "KindFilter(tool:*, tool:start)"


def test_only_the_filter_for_everything_wants_all() -> None:
    assert KindFilter().wants_all
    assert not KindFilter("tool:*").wants_all


@given(st.text())
def test_any_kind_at_all_is_answered(kind: str) -> None:
    assert KindFilter()(kind) is (kind not in BOOKKEEPING)
    assert KindFilter("tool:*")(kind) is (kind.partition(":")[0] == "tool")


def test_a_class_defined_without_a_tag_can_be_asked_for() -> None:
    class KiteFlown(Event):
        pass

    assert KindFilter(KiteFlown)("kite:flown")
