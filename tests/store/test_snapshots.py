"""Snapshots: the newest of a chat, discarded, saved again, and gone on from."""

from typing import Any

import pytest

from eventbus import Event, Scope, scope
from eventbus.errors import SnapshotUnknown
from eventbus.events import SessionResumed, SnapshotDiscarded, SnapshotSaved
from eventbus.store.engine import Writer
from eventbus.store.openings import openings
from eventbus.store.snapshots import (
    Snapshot,
    discard_snapshot,
    restore,
    saves,
    snapshot,
    snapshots,
)
from tests.store.given import S1, at, land_each, walk_through


def saved(seconds: float, state: Any = None, chat: str = "c1") -> SnapshotSaved:
    return SnapshotSaved(
        chat_id=chat, turn_number=int(seconds), state=state, ts=at(seconds), scope=S1
    )


def discarded(seconds: float, chat: str = "c1") -> SnapshotDiscarded:
    return SnapshotDiscarded(chat_id=chat, ts=at(seconds), scope=S1)


def found(writer: Writer, chat: str = "c1") -> Snapshot:
    row = snapshot(writer, chat)
    assert row is not None
    return row


def test_the_newest_save_of_a_chat_is_its_snapshot(emptied: Writer) -> None:
    newest = saved(3, {"goal": "ship"})

    land_each(emptied, saved(1, "old"), newest, saved(2, "between"))

    assert found(emptied) == Snapshot(
        chat_id="c1",
        session_id="s1",
        turn_number=3,
        state={"goal": "ship"},
        created_at="2026-01-02T03:04:06.000Z",
        updated_at="2026-01-02T03:04:08.000Z",
        event_id=newest.id,
    )


@pytest.mark.parametrize(
    "state", [None, 0, "text\x00", [1, {"a": None}], {"ä": "☃"}, "x" * 300_000]
)
def test_any_state_comes_back_as_it_was(emptied: Writer, state: object) -> None:
    land_each(emptied, saved(1, state))

    assert found(emptied).state == state


def test_a_discarded_snapshot_is_gone(emptied: Writer) -> None:
    land_each(emptied, saved(1), discarded(2), saved(1.5))

    assert snapshot(emptied, "c1") is None
    assert snapshots(emptied).items == []
    assert saves(emptied, "c1").items == []


def test_a_save_after_the_discard_is_there_again(emptied: Writer) -> None:
    land_each(emptied, saved(3, "new"), saved(1, "old"), discarded(2), saved(4, "newest"))

    assert found(emptied).state == "newest"
    assert found(emptied).created_at == "2026-01-02T03:04:08.000Z"
    assert [each.turn_number for each in saves(emptied, "c1").items] == [4, 3]


def test_snapshots_are_listed_with_their_size_and_without_their_state(
    emptied: Writer,
) -> None:
    for number in range(5):
        land_each(emptied, saved(number // 2, "ä", chat=f"c{number}"))

    listed = walk_through(snapshots, emptied)

    assert [each.chat_id for each in listed] == ["c4", "c3", "c2", "c1", "c0"]
    assert {each.size_bytes for each in listed} == {4}


def test_restoring_links_the_snapshot_and_the_new_session(emptied: Writer) -> None:
    emitted: list[Event] = []
    event = saved(3, [1])
    land_each(emptied, event)

    restored = restore(emptied, emitted.append, "c1", session_id="s2")
    land_each(emptied, *emitted)

    assert restored == found(emptied)
    (resumed,) = emitted
    assert isinstance(resumed, SessionResumed)
    assert (resumed.chat_id, resumed.turn_number, resumed.snapshot) == ("c1", 3, event.id)
    assert resumed.scope == Scope(session="s2", chat="c1")
    (opening,) = openings(emptied, chat_id="c1").items
    assert (opening.session_id, opening.snapshot) == ("s2", event.id)


def test_restoring_takes_the_session_from_the_scope(emptied: Writer) -> None:
    emitted: list[Event] = []
    land_each(emptied, saved(3))

    with scope(session="s9", component="brain"):
        restore(emptied, emitted.append, "c1")

    assert emitted[0].scope == Scope(session="s9", chat="c1", component="brain")


def test_an_earlier_save_can_be_restored(emptied: Writer) -> None:
    emitted: list[Event] = []
    earlier = saved(1, {"step": 1})
    land_each(emptied, earlier, saved(2, {"step": 2}))

    restored = restore(emptied, emitted.append, "c1", event_id=earlier.id)

    assert (restored.turn_number, restored.state) == (1, {"step": 1})
    assert isinstance(emitted[0], SessionResumed)
    assert emitted[0].snapshot == earlier.id


def test_what_is_not_there_can_be_neither_restored_nor_discarded(emptied: Writer) -> None:
    emitted: list[Event] = []
    event = saved(1)
    land_each(emptied, event)

    with pytest.raises(SnapshotUnknown, match="no snapshot of chat 'c9' in the store"):
        restore(emptied, emitted.append, "c9")
    with pytest.raises(SnapshotUnknown, match=f"no snapshot of event '{event.id}' of chat 'c9'"):
        restore(emptied, emitted.append, "c9", event_id=event.id)
    with pytest.raises(SnapshotUnknown, match="no snapshot of chat 'c9'"):
        discard_snapshot(emptied, emitted.append, "c9")

    assert emitted == []


def test_discarding_emits_what_makes_it_so(emptied: Writer) -> None:
    emitted: list[Event] = []
    land_each(emptied, saved(-1_000_000))

    discard_snapshot(emptied, emitted.append, "c1")
    land_each(emptied, *emitted)

    assert snapshot(emptied, "c1") is None
