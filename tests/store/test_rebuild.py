"""A rebuilt store holds what the journal has, row for row."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus import Event, EventBus
from eventbus.errors import StoreUnusable
from eventbus.replay import SegmentReader
from eventbus.store.backup import back_up
from eventbus.store.merging import bytes_after, has_events_after, journal_batches
from eventbus.store.opening import open_store
from eventbus.store.rebuild import rebuild
from eventbus.store.sqlite import FILE_NAME
from tests.store.mixture import contents
from tests.store.test_backup import catch_up, damage, emit, served, state

__all__ = ["state"]

NOW = datetime(2026, 11, 25, tzinfo=UTC)


class Ping(Event, tag="rebuild:ping"):
    number: int


def test_a_rebuilt_store_is_the_same_row_for_row(state: Path) -> None:
    before = contents(state / FILE_NAME)

    rebuilt = rebuild(state, now=NOW)

    assert contents(state / FILE_NAME) == before
    assert (rebuilt.landed, rebuilt.refused, rebuilt.backup) == (len(before["events"]), 0, None)
    assert rebuilt.events == rebuilt.events_before == rebuilt.landed
    assert rebuilt.aside == state / "store.db.before-20261125T000000"
    assert contents(rebuilt.aside) == before


def test_it_goes_on_from_the_latest_good_backup(state: Path) -> None:
    first = back_up(state, now=NOW).path
    emit(state, 2)
    catch_up(state)
    damage(Path(back_up(state, now=NOW + timedelta(days=1)).path or ""))
    emit(state, 3)
    catch_up(state)
    before = contents(state / FILE_NAME)

    rebuilt = rebuild(state)

    assert contents(state / FILE_NAME) == before
    assert str(rebuilt.backup) == first
    assert 0 < rebuilt.landed < rebuilt.events == len(before["events"])


def test_the_backup_may_be_left_out(state: Path) -> None:
    back_up(state)

    rebuilt = rebuild(state, from_backup=False)

    assert (rebuilt.backup, rebuilt.landed) == (None, rebuilt.events)


@pytest.mark.parametrize("ruin", ["nothing", "noise", "gone"])
def test_it_does_not_matter_what_is_left_of_the_old_one(state: Path, ruin: str) -> None:
    before = contents(state / FILE_NAME)
    if ruin == "noise":
        (state / FILE_NAME).write_bytes(b"no database at all" * 1_000)
    elif ruin == "gone":
        (state / FILE_NAME).unlink()

    rebuilt = rebuild(state)

    assert contents(state / FILE_NAME) == before
    assert (rebuilt.aside is None) == (ruin == "gone")
    assert (rebuilt.events_before is None) == (ruin != "nothing")


def test_the_lane_goes_on_where_the_rebuild_ended(state: Path) -> None:
    with EventBus(state, sinks=["sqlite"]) as bus:
        bus.emit_nowait(Ping(number=1))
    rebuild(state)
    with EventBus(state, sinks=["sqlite"]) as bus:
        bus.emit_nowait(Ping(number=2))
        bus.flush_now(timeout=20)
        lane = bus.statistics().lanes["sqlite"]

    assert (lane.dead, lane.lag) == (0, 0)
    assert lane.delivered < 10
    with open_store(state) as store:
        rows = store.rows("SELECT message FROM events WHERE event_type = 'rebuild:ping'")
    assert rows == [("number=1",), ("number=2",)]


def test_it_refuses_while_somebody_lands(state: Path) -> None:
    before = contents(state / FILE_NAME)

    with (
        served(state),
        pytest.raises(
            StoreUnusable,
            match=r"cannot rebuild the store while another process lands .*\(lane 'sqlite'\)",
        ),
    ):
        rebuild(state)

    assert contents(state / FILE_NAME).keys() == before.keys()


def test_what_an_interrupted_one_left_does_no_harm(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(state / FILE_NAME)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("eventbus.store.rebuild.set_aside", fail)
        with pytest.raises(KeyboardInterrupt):
            rebuild(state)
    assert contents(state / FILE_NAME) == before

    rebuild(state)

    assert contents(state / FILE_NAME) == before


def test_progress_is_told_in_bytes(state: Path) -> None:
    told: list[tuple[int, int]] = []

    rebuild(state, progress=lambda done, whole: told.append((done, whole)))

    assert 0 < told[0][0] <= told[-1][0] <= told[-1][1]


# --- the journal, merged ------------------------------------------------------------------


def test_writers_are_merged_by_time_and_each_keeps_its_order(tmp_path: Path) -> None:
    with EventBus(tmp_path, serve="never") as one, EventBus(tmp_path, serve="never") as two:
        for number in range(50):
            (one if number % 3 else two).emit_nowait(Ping(number=number))
            if number % 10 == 0:
                one.flush_now()
                two.flush_now()

    batches = list(journal_batches(tmp_path, {}, kinds=Ping, most=7))

    events = [event for batch in batches for event in batch.events]
    moments = [event.ts for event in events]
    numbers = [event.number for event in events if isinstance(event, Ping)]
    assert moments == sorted(moments)
    assert [n for n in numbers if n % 3] == [n for n in range(50) if n % 3]
    assert [n for n in numbers if not n % 3] == list(range(0, 50, 3))
    assert [len(batch) for batch in batches] == [7] * 7 + [1]


def test_each_batch_says_where_to_go_on(tmp_path: Path) -> None:
    emit(tmp_path, 1, 100)
    emit(tmp_path, 2, 100)
    whole = [line for batch in journal_batches(tmp_path, {}) for line in batch.lines]

    cursor, lines = {}, []
    while batch := next(journal_batches(tmp_path, cursor, most=9), None):
        lines += batch.lines
        cursor = batch.cursor

    assert lines == whole
    assert len(lines) >= 200


def test_whether_there_is_more_to_land_is_known_without_landing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not has_events_after(tmp_path, {})
    with EventBus(tmp_path, serve="never") as bus:
        bus.emit_nowait(Ping(number=1))
    [batch] = journal_batches(tmp_path, {})

    assert has_events_after(tmp_path, {})
    assert not has_events_after(tmp_path, {}, kinds="other:*")
    assert bytes_after(tmp_path, batch.cursor) > 0  # the bus's last word
    assert not has_events_after(tmp_path, batch.cursor)

    monkeypatch.setattr("eventbus.store.merging.LOOK_BYTES", 10)
    assert has_events_after(tmp_path, batch.cursor)


def test_thousands_of_writers_need_no_thousand_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        with EventBus(tmp_path, serve="never") as bus:
            bus.emit_nowait(Ping(number=number))
    opened: list[int] = []
    most: list[int] = []
    real_init, real_close = SegmentReader.__init__, SegmentReader.close

    def init(self: SegmentReader, *args: object, **more: object) -> None:
        real_init(self, *args, **more)  # type: ignore[arg-type]
        opened.append(id(self))
        most.append(len(opened))

    def close(self: SegmentReader) -> None:
        if id(self) in opened:
            opened.remove(id(self))
        real_close(self)

    monkeypatch.setattr(SegmentReader, "__init__", init)
    monkeypatch.setattr(SegmentReader, "close", close)
    batches = list(journal_batches(tmp_path, {}, kinds=Ping))

    assert sum(map(len, batches)) == 30
    assert max(most) <= 4
    assert opened == []
