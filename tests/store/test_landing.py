"""A batch lands whole, once, and with the lane's cursor."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from eventbus import Event, EventBus, Scope, log_event
from eventbus.event import decode
from eventbus.events.session import SnapshotSaved
from eventbus.events.traces import ToolStarted
from eventbus.formats.flat import TOKEN_MOST
from eventbus.sink import Batch, Place
from eventbus.store.cursors import read_cursor
from eventbus.store.engine import Writer
from eventbus.store.events import PAYLOAD_BYTES_MOST
from eventbus.store.landing import land
from eventbus.store.opening import open_store


class Tasted(Event):
    dish: str
    stars: int = 3


@pytest.fixture
def writer(store_writer: Writer) -> Writer:
    return store_writer


def batch_of(*events: Event, upto: int = 100) -> Batch:
    return Batch(events=list(events), cursor={"w1": Place("s1", upto)})


def test_an_event_is_a_row_with_its_flat_line_and_its_payload(writer: Writer) -> None:
    event = Tasted(dish="soup", scope=Scope(session="s", component="brain", user="ann", chat="c"))

    assert land(writer, batch_of(event), lane="sqlite") == 1

    (row,) = writer.rows(
        "SELECT event_type, source, message, session_id, kv_json, event_id, component, chat_id,"
        " user_id, raw_line FROM events"
    )
    assert row[:9] == (
        "event:tasted",
        "brain",
        "dish=soup stars=3",
        "s",
        '{"dish":"soup","stars":3}',
        event.id,
        "brain",
        "c",
        "ann",
    )
    assert row[9].endswith("|event:tasted|brain|dish=soup stars=3")


def test_a_cause_does_not_get_into_the_payload(writer: Writer) -> None:
    event = Tasted(dish='a,"cause":b', cause="01", scope=Scope(session='x,"cause":null,'))

    land(writer, batch_of(event), lane="sqlite")

    (row,) = writer.rows("SELECT kv_json FROM events")
    assert row == ('{"dish":"a,\\"cause\\":b","stars":3}',)


def test_the_cursor_moves_with_the_rows(writer: Writer) -> None:
    land(writer, batch_of(Tasted(dish="a"), upto=1), lane="sqlite")
    land(writer, batch_of(Tasted(dish="b"), upto=2), lane="sqlite")

    assert read_cursor(writer, "sqlite") == {"w1": Place("s1", 2)}


def test_a_batch_that_comes_twice_lands_once(writer: Writer) -> None:
    first, second, third = (Tasted(dish=dish) for dish in "abc")

    land(writer, batch_of(first, second), lane="sqlite")
    assert land(writer, batch_of(first, second, third, third), lane="sqlite") == 1

    assert [row[0] for row in writer.rows("SELECT event_id FROM events ORDER BY id")] == [
        first.id,
        second.id,
        third.id,
    ]


def test_a_batch_that_fails_leaves_nothing(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr("eventbus.store.landing.keep_cursor", fail)
    with pytest.raises(OSError, match="disk"):
        land(writer, batch_of(Tasted(dish="a")), lane="sqlite")

    assert writer.rows("SELECT count(*) FROM events") == [(0,)]


def test_what_lands_is_what_the_journal_says(writer: Writer) -> None:
    """An object in memory may hold what its line does not."""
    event = ToolStarted(trace="t", name="look", input={"path": Path("a/b")})

    land(writer, batch_of(event), lane="sqlite")

    (row,) = writer.rows("SELECT kv_json FROM events")
    assert row[0].startswith('{"trace":"t","name":"look","input":{"path":"a/b"}')


def test_an_unknown_kind_lands_with_its_payload(writer: Writer) -> None:
    line = b'{"kind":"moon:rise","id":"1","ts":"2026-01-02T03:04:05Z","scope":{},"far":[1,2]}'

    land(writer, Batch(lines=[line], events=[decode(line)]), lane="sqlite")

    rows = writer.rows("SELECT ts, event_type, message, kv_json FROM events")
    assert rows == [("2026-01-02T03:04:05.000Z", "moon:rise", "far=[1,2]", '{"far":[1,2]}')]


def test_a_payload_of_more_than_a_mebibyte_is_told_by_its_length_and_digest(
    writer: Writer,
) -> None:
    payload = f'{{"far":"{"ä" * PAYLOAD_BYTES_MOST}"}}'
    line = f'{{"kind":"moon:rise","id":"1","ts":"2026-01-02T03:04:05Z","scope":{{}},{payload[1:]}'

    land(writer, Batch(lines=[line.encode()], events=[decode(line.encode())]), lane="sqlite")

    (row,) = writer.rows("SELECT kv_json, length(message), length(raw_line) FROM events")
    digest = hashlib.sha256(payload.encode()).hexdigest()
    assert row[0] == f'{{"cut":{{"bytes":{len(payload.encode())},"sha256":"{digest}"}}}}'
    assert max(row[1:]) < TOKEN_MOST + 200


def test_a_snapshot_is_in_its_row_once_and_whole(writer: Writer) -> None:
    """An earlier save is restored from there."""
    state = {"notes": "n" * PAYLOAD_BYTES_MOST}

    land(writer, batch_of(SnapshotSaved(chat_id="c", turn_number=1, state=state)), lane="sqlite")

    (row,) = writer.rows("SELECT kv_json, length(message), length(raw_line) FROM events")
    assert msgspec.json.decode(row[0])["state"] == state
    assert max(row[1:]) < TOKEN_MOST + 200


async def test_what_is_emitted_lands_and_is_there_to_be_asked(tmp_path: Path) -> None:
    async with EventBus(tmp_path, sinks=["sqlite"]) as bus:
        await bus.emit(Tasted(dish="soup"))
        log_event("shop:open", "till", "good morning", session_id="s9")

    with open_store(tmp_path) as store:
        rows = store.rows("SELECT event_type, session_id FROM events ORDER BY id")
    assert rows == [("event:tasted", None), ("shop:open", "s9")]
