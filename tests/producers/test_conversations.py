"""Conversations and turns, and the snapshot at a turn's end."""

from typing import Any

import anyio
import pytest

from eventbus import SnapshotRefused, conversation, current_scope, scope, session, tool, turn
from eventbus.events import ConversationEnded, SnapshotSaved, TurnTaken
from eventbus.producers import conversations
from eventbus.testing import FakeClock, Recorded


@pytest.fixture(autouse=True)
def no_chat_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "_numbers", {})


def turns(record: Recorded) -> list[tuple[Any, ...]]:
    taken = record.of(TurnTaken)
    return [(event.scope.chat, event.scope.turn, event.turns) for event in taken]  # type: ignore[attr-defined]


@pytest.mark.on_both_backends
async def test_a_conversation_is_told_with_its_turns(record: Recorded) -> None:
    clock = FakeClock()

    async with session("s-1"), conversation("c-1", clock=clock) as talk:
        for _ in range(2):
            async with turn(clock=clock) as now:
                clock.advance(1.5)
                async with tool("look"):
                    pass
        assert now.number == talk.turns == 2

    assert turns(record) == [("c-1", 1, 1), ("c-1", 2, 2)]
    assert [event.scope.turn for event in record.of("tool:start")] == [1, 2]
    (ended,) = record.of(ConversationEnded)
    assert isinstance(ended, ConversationEnded)
    assert (ended.turns, ended.duration_ms, ended.scope.chat) == (2, 3000, "c-1")
    assert len(record.of("conversation:start")) == 1
    assert {event.scope.session for event in record.events} == {"s-1"}
    assert [event.duration_ms for event in record.of(TurnTaken)] == [1500, 1500]  # type: ignore[attr-defined]


def test_turns_are_numbered_by_chat(record: Recorded) -> None:
    for chat in ("a", "b", "a"):
        with turn(chat=chat):
            pass
    with turn(7, chat="a"):
        pass
    with scope(chat="a"), turn():
        pass

    assert turns(record) == [("a", 1, 1), ("b", 1, 1), ("a", 2, 2), ("a", 7, 7), ("a", 8, 8)]


def test_a_turn_without_any_scope_is_of_the_processs_session(record: Recorded) -> None:
    with turn() as now:
        pass

    (created,) = record.of("session:create")
    assert now.chat == created.scope.session
    assert turns(record) == [(created.scope.session, 1, 1)]


def test_a_turn_that_fails_is_told_and_not_saved(record: Recorded) -> None:
    with pytest.raises(ValueError, match="no"), turn(chat="c", snapshot=lambda: "state"):
        raise ValueError("no")

    assert turns(record) == [("c", 1, 1)]
    assert record.of(SnapshotSaved) == []
    assert current_scope().chat is None


def saved(record: Recorded) -> list[tuple[Any, ...]]:
    states = record.of(SnapshotSaved)
    return [(event.chat_id, event.turn_number, event.state) for event in states]  # type: ignore[attr-defined]


def test_at_the_end_of_a_turn_the_state_is_saved(record: Recorded) -> None:
    state = {"steps": 0}

    with turn(4, chat="c", snapshot=lambda: state):
        state["steps"] = 1

    assert saved(record) == [("c", 4, {"steps": 1})]
    assert [event.kind for event in record.of(["conversation:*", "session:snapshot"])] == [
        "conversation:turn",
        "session:snapshot",
    ]


@pytest.mark.on_both_backends
async def test_the_state_may_be_waited_for(record: Recorded) -> None:
    async def state() -> str:
        await anyio.sleep(0)
        return "later"

    async with turn(chat="c", snapshot=state):
        pass
    async with turn(chat="c", snapshot=lambda: "now"):
        pass

    assert saved(record) == [("c", 1, "later"), ("c", 2, "now")]


def test_a_block_that_cannot_wait_says_so(record: Recorded) -> None:
    async def state() -> str:
        return "never"

    with pytest.raises(TypeError, match="write `async with turn"), turn(chat="c", snapshot=state):
        pass

    assert current_scope().chat is None


def test_a_state_that_is_refused_is_the_callers_to_know(record: Recorded) -> None:
    with pytest.raises(SnapshotRefused, match="chat 'c'"), turn(chat="c", snapshot=object):
        pass

    assert turns(record) == [("c", 1, 1)]


def test_the_numbers_of_a_great_many_chats_are_bounded(
    record: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "CHATS_MOST", 3)
    for number in range(10):
        with turn(chat=f"c-{number}"):
            pass

    assert list(conversations._numbers) == ["c-7", "c-8", "c-9"]


def test_a_chat_may_be_a_number(record: Recorded) -> None:
    with conversation(7) as talk, turn(chat=7, snapshot=dict):  # type: ignore[arg-type]
        pass

    assert talk.turns == 1
    assert turns(record) == [("7", 1, 1)]
    assert saved(record) == [("7", 1, {})]
