"""Channel messages, and agents that were started."""

from eventbus import Scope
from eventbus.events import AgentSpawned, ChannelMessage
from eventbus.store.engine import Writer
from eventbus.store.messages import Message, messages
from eventbus.store.spawns import Spawn, spawns
from tests.store.given import S1, at, land_each, walk_through


def test_a_message_is_a_row(emptied: Writer) -> None:
    event = ChannelMessage(
        direction="in", channel="telegram", length=11, preview="hello", ts=at(0), scope=S1
    )

    land_each(emptied, event)

    assert messages(emptied).items == [
        Message(
            event_id=event.id,
            ts="2026-01-02T03:04:05.000Z",
            direction="in",
            channel="telegram",
            user_id="ann",
            length=11,
            preview="hello",
            session_id="s1",
            chat_id="c1",
        )
    ]


def test_messages_come_newest_first_and_page_both_ways(emptied: Writer) -> None:
    for number in range(5):
        land_each(
            emptied,
            ChannelMessage(direction="in", channel="tg", length=number, ts=at(number // 2)),
        )
    land_each(emptied, ChannelMessage(direction="out", channel="web", user="bob", scope=S1))

    found = walk_through(messages, emptied, channel="tg")

    assert [each.length for each in found] == [4, 3, 2, 1, 0]
    for wanted in ({"chat_id": "c1"}, {"session_id": "s1"}, {"user": "bob"}):
        assert [each.channel for each in messages(emptied, **wanted).items] == ["web"]


def test_a_spawn_is_a_row(emptied: Writer) -> None:
    event = AgentSpawned(agent="scout", parent="main", reason="look around", ts=at(0), scope=S1)
    land_each(emptied, event, AgentSpawned(agent="main", scope=Scope(session="s2"), ts=at(1)))

    (found,) = spawns(emptied, session_id="s1").items

    assert found == Spawn(
        event_id=event.id,
        ts="2026-01-02T03:04:05.000Z",
        agent="scout",
        parent="main",
        reason="look around",
        session_id="s1",
    )
    assert [each.agent for each in spawns(emptied).items] == ["main", "scout"]
    assert [each.agent for each in spawns(emptied, parent="main").items] == ["scout"]
