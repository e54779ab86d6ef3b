"""What only the shared engine does."""

from pathlib import Path
from random import Random
from string import ascii_letters
from typing import Any

import pytest

from eventbus import Event, EventBus, NamedSink, Refused
from eventbus.errors import StoreUnusable
from eventbus.event import encode
from eventbus.sink import Batch, Place, Sink
from eventbus.store.cursors import read_cursor
from eventbus.store.landing import land
from eventbus.store.migrations import migrate
from eventbus.store.opening import open_store
from eventbus.store.postgres import PostgresReader, PostgresWriter
from eventbus.testing import check_sink
from sinks import PostgresSink

pytestmark = pytest.mark.postgres


class Tasted(Event, tag="shared:taste"):
    dish: str


def test_the_sink_keeps_the_contract(postgres_url: str) -> None:
    def make(state: Path) -> Sink:
        return PostgresSink(url=postgres_url)

    check_sink(make)


async def test_two_machines_land_in_one_store(tmp_path: Path, postgres_url: str) -> None:
    for machine in ("a", "b"):
        sink = NamedSink(use="postgres", settings={"url": postgres_url})
        async with EventBus(tmp_path / machine, sinks=[sink]) as bus:
            await bus.emit(Tasted(dish=machine))

    with open_store(postgres_url) as store:
        rows = store.rows("SELECT message FROM events ORDER BY id")
        assert len(read_cursor(store, "postgres")) == 2
    assert rows == [("dish=a",), ("dish=b",)]


def test_a_server_that_went_away_is_found_again(postgres_url: str) -> None:
    writer = PostgresWriter(postgres_url)
    migrate(writer)
    other = PostgresWriter(postgres_url)
    pid = writer.row("SELECT pg_backend_pid()")
    assert pid is not None
    other.rows("SELECT pg_terminate_backend(?)", (pid[0],))
    batch = Batch(events=[Tasted(dish="soup")], cursor={"w": Place("s", 1)})

    with pytest.raises(Exception, match="terminat"):
        land(writer, batch, lane="x")
    land(writer, batch, lane="x")

    assert writer.row("SELECT count(*) FROM events") == (1,)
    writer.close()
    other.close()


def test_no_event_is_given_up_for_a_server_that_goes_away_again_and_again(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[PostgresWriter] = []
    real_open = PostgresWriter._open

    def note(writer: PostgresWriter) -> Any:
        made.append(writer)
        return real_open(writer)

    monkeypatch.setattr(PostgresWriter, "_open", note)
    other = PostgresWriter(postgres_url)
    sink = NamedSink(use="postgres", settings={"url": postgres_url})
    with EventBus(tmp_path, sinks=[sink]) as bus:
        for part in range(4):
            for number in range(20):
                bus.emit_nowait(Tasted(dish=f"{part}-{number}"))
            assert bus.flush_now(timeout=20).reached
            pids = "SELECT pg_terminate_backend(?)"
            other.rows(pids, (made[-1]._connection.info.backend_pid,))
        bus.emit_nowait(Tasted(dish="last"))
        assert bus.flush_now(timeout=20).reached
        lane = bus.statistics().lanes["postgres"]

    assert (lane.dead, lane.lag) == (0, 0)
    assert (lane.last_error or "").startswith("Unavailable: postgresql://")
    assert other.row("SELECT count(*) FROM events") == (81,)
    other.close()


def test_what_the_database_will_never_take_is_refused(postgres_url: str) -> None:
    writer = PostgresWriter(postgres_url)
    with pytest.raises(Exception, match="invalid input syntax") as raised:
        writer.run("SELECT 'soup'::integer")

    judged = PostgresSink(url=postgres_url).judge(writer, raised.value)

    assert isinstance(judged, Refused)
    writer.close()


def test_what_is_too_large_for_the_server_is_refused_and_not_waited_for(postgres_url: str) -> None:
    writer = PostgresWriter(postgres_url)
    migrate(writer)
    name = "".join(Random(1).choices(ascii_letters, k=20_000))

    with pytest.raises(Exception, match="maximum") as caught:
        writer.insert("store_facts (name, value)", [(name, "1")])

    assert isinstance(PostgresSink(url=postgres_url).judge(writer, caught.value), Refused)
    writer.close()


def test_a_nul_is_kept_as_what_it_is_shown_as(postgres_url: str) -> None:
    writer = PostgresWriter(postgres_url)
    migrate(writer)
    event = Tasted(dish="a\x00b")

    land(writer, Batch(events=[event], lines=[encode(event)]), lane="x")

    assert writer.row("SELECT message, kv_json FROM events") == (
        "dish=a\\u0000b",
        '{"dish":"a\\u0000b"}',
    )
    writer.close()


def test_no_server_is_said_without_the_password() -> None:
    with pytest.raises(
        StoreUnusable, match=r"cannot reach the store postgresql://ann@127.0.0.1:1/x"
    ):
        PostgresWriter("postgresql://ann:secret@127.0.0.1:1/x")


def test_text_is_compared_character_by_character(postgres_url: str) -> None:
    """A database made for people sorts `topic;` before `topic:a`, and pages would have holes."""
    writer = PostgresWriter(postgres_url)
    migrate(writer)

    rows = writer.rows(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'text'"
    )
    writer.close()

    assert len(rows) > 50
    assert [row for row in rows if row[2] != "C"] == []


def test_a_question_that_takes_too_long_is_told_in_a_sentence(postgres_url: str) -> None:
    reader = PostgresReader(postgres_url, deadline_s=0.05)
    try:
        with pytest.raises(StoreUnusable, match="took too long; ask for less"):
            reader.rows("SELECT pg_sleep(10)")
        assert reader.row("SELECT 1") == (1,)
    finally:
        reader.close()


def test_a_server_that_goes_away_is_told_in_a_sentence(postgres_url: str) -> None:
    reader, other = PostgresReader(postgres_url), PostgresReader(postgres_url)
    [(process,)] = reader.rows("SELECT pg_backend_pid()")
    try:
        other.row("SELECT pg_terminate_backend(?)", (process,))
        with pytest.raises(StoreUnusable, match="the store went away: "):
            reader.row("SELECT 1")
    finally:
        reader.close()
        other.close()
