"""What happened and what it cost, in one call, with what was logged a moment before."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from eventbus import (
    EventBus,
    Scope,
    SettingsError,
    cost_summary,
    log_error,
    log_event,
    log_search,
    log_summary,
    scope,
)
from eventbus.errors import StoreUnusable
from eventbus.event import Event
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.events.log import LogLine
from eventbus.settings import load_settings
from eventbus.standby import standby
from eventbus.store.opening import open_store

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EVENTBUS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("eventbus.flat._session", None)
    yield tmp_path / "state"
    standby.close()


@pytest.fixture
def bus(state: Path) -> Iterator[EventBus]:
    with EventBus(state, sinks=["sqlite"]) as bus:
        yield bus


def answered(component: str, cost: float | None, *, hours: int = 0) -> ModelAnswered:
    return ModelAnswered(
        model="m-1",
        usage=Usage(input_uncached=10, output_visible=5),
        cost=cost,
        ts=NOON + timedelta(hours=hours),
        scope=Scope(component=component),
    )


def said(kind: str, *, hours: int = 0, **who: str) -> LogLine:
    return LogLine(
        event_type=kind,
        source="shop",
        ts=NOON + timedelta(hours=hours),
        scope=Scope(**who),  # type: ignore[arg-type]
    )


def emit(bus: EventBus, *events: Event) -> None:
    for event in events:
        bus.emit_nowait(event)


def counts(**wishes: object) -> dict[str, int]:
    found = log_summary(NOON, **wishes)  # type: ignore[arg-type]
    return {each.key: each.events for each in found.counts}


@pytest.mark.usefixtures("bus")
def test_what_was_just_logged_is_found() -> None:
    for number in range(200):
        log_event("shop:sell", "till", "one tea", number=number)

    page = log_search("tea", limit=2)

    assert [found.message for found in page.items] == [
        "one tea number=199",
        "one tea number=198",
    ]
    following = log_search("tea", limit=2, cursor=page.next)
    assert following.items[0].message == "one tea number=197"
    assert log_summary().events >= 200


@pytest.mark.usefixtures("bus")
def test_filters_reach_the_store() -> None:
    with scope(session="s1", component="brain"):
        log_event("shop:sell", "till", "tea")
    log_event("shop:ask", "till", "tea")

    assert len(log_search("tea").items) == 2
    assert [found.kind for found in log_search("tea", session="s1").items] == ["shop:sell"]
    assert [found.kind for found in log_search(component="brain").items] == ["shop:sell"]
    assert [found.kind for found in log_search(kinds="shop:ask").items] == ["shop:ask"]
    assert log_search(since=datetime.now(UTC) + timedelta(hours=1)).items == []
    assert log_search(until=datetime.now(UTC) - timedelta(hours=1)).items == []


@pytest.mark.usefixtures("bus")
def test_an_answer_is_small_enough_to_be_read() -> None:
    log_event("shop:sell", "till", "x" * 10_000)
    for number in range(300):
        log_event("shop:sell", "till", number=number)

    page = log_search(limit=1_000)
    (long,) = log_search("x*").items

    assert len(page.items) == 200
    assert page.next is not None
    assert len(long.message) == 2_001
    assert msgspec.json.decode(msgspec.json.encode(page), type=type(page)) is not None


def test_events_are_counted_by_what_is_asked(bus: EventBus) -> None:
    emit(
        bus,
        said("a:x", component="brain", session="s1"),
        said("a:y", component="brain", hours=1),
        said("b:x", hours=30),
        said("b:x", hours=-1),
    )

    assert counts() == {"a:x": 1, "a:y": 1, "b:x": 1}
    assert counts(by="topic") == {"a": 2, "b": 1}
    assert counts(by="component") == {"brain": 2, "": 1}
    assert counts(by="source") == {"shop": 3}
    assert counts(by="session") == {"s1": 1, "": 2}
    assert counts(by="day") == {"2026-03-10": 2, "2026-03-11": 1}
    assert list(counts(by="hour")) == ["2026-03-10T12", "2026-03-10T13", "2026-03-11T18"]
    assert counts(until=NOON + timedelta(hours=1)) == {"a:x": 1}


def test_only_so_many_counts_are_told_and_the_rest_is_counted(bus: EventBus) -> None:
    emit(bus, *[said(f"a:{n}", hours=n) for n in range(5)], said("a:3"))

    by_kind, by_hour = log_summary(NOON, limit=2), log_summary(NOON, "hour", limit=2)

    assert (by_kind.events, by_kind.left_out) == (6, 3)
    assert [each.key for each in by_kind.counts] == ["a:3", "a:0"]
    assert [each.key for each in by_hour.counts] == ["2026-03-10T15", "2026-03-10T16"]


def test_what_each_component_spent_is_told_by_the_hour_and_the_day(bus: EventBus) -> None:
    emit(
        bus,
        answered("brain", 0.1),
        answered("brain", 0.2),
        answered("worker", 0.05, hours=1),
        answered("worker", None, hours=1),
        answered("worker", 1.0, hours=24),
        answered("brain", 9.0, hours=-1),
    )

    def spent(by: str = "kind") -> list[tuple[object, ...]]:
        told = log_summary(NOON, by).spent  # type: ignore[arg-type]
        return [(each.period, each.component, each.cost, each.calls) for each in told]

    assert spent() == [(None, "worker", 1.05, 3), (None, "brain", 0.3, 2)]
    assert log_summary(NOON).cost == 1.35
    assert spent("day") == [
        ("2026-03-10", "brain", 0.3, 2),
        ("2026-03-10", "worker", 0.05, 2),
        ("2026-03-11", "worker", 1.0, 1),
    ]
    assert spent("hour")[0] == ("2026-03-10T12", "brain", 0.3, 2)
    assert [each.unpriced for each in log_summary(NOON).spent] == [1, 0]


@pytest.mark.usefixtures("bus")
def test_errors_are_told_by_component_and_type() -> None:
    for number in range(3):
        with scope(component="worker"):
            log_error("worker", ValueError(f"no {number}"))

    (alike,) = log_summary().errors

    assert (alike.component, alike.type, alike.count) == ("worker", "ValueError", 3)
    assert alike.message == "no 2"


def test_a_summary_is_plain_json(bus: EventBus) -> None:
    emit(bus, answered("brain", 0.1))
    log_error("x", ValueError("no"))

    told = log_summary(NOON)

    assert msgspec.json.decode(msgspec.json.encode(told), type=type(told)) == told


def test_what_is_no_way_to_count_is_refused(bus: EventBus) -> None:
    emit(bus, said("a:b"))

    with pytest.raises(
        SettingsError, match="cannot count by 'colour'; allowed: kind, topic, component"
    ):
        log_summary(by="colour")  # type: ignore[arg-type]


def test_costs_are_summed_by_component_or_as_asked(bus: EventBus) -> None:
    emit(bus, answered("brain", 0.1), answered("worker", 0.5), answered("worker", 0.2, hours=24))

    told = cost_summary()
    assert (told.by, told.left_out) == ("component", 0)
    assert [(each.key, each.cost) for each in told.entries] == [("worker", 0.7), ("brain", 0.1)]
    assert told.totals.cost == 0.8
    day = cost_summary("day", start=date(2026, 3, 11), limit=1)
    assert [(each.key, each.cost) for each in day.entries] == [("2026-03-11", 0.2)]
    short = cost_summary("day", limit=1)
    assert ([each.key for each in short.entries], short.left_out) == (["2026-03-11"], 1)
    assert cost_summary(component="brain").totals.cost == 0.1


def test_another_state_or_store_may_be_named(state: Path, tmp_path: Path) -> None:
    with EventBus(tmp_path / "other", sinks=["sqlite"]):
        log_event("a:b", "x", "elsewhere")
    with EventBus(state, sinks=["sqlite"]):
        log_event("a:b", "x", "here")
        assert [found.message for found in log_search().items] == ["here"]

    other = tmp_path / "other"
    assert [found.message for found in log_search(state=other).items] == ["elsewhere"]
    assert [found.message for found in log_search(store=str(other)).items] == ["elsewhere"]
    with open_store(other) as store:
        assert [found.message for found in log_search(store=store).items] == ["elsewhere"]


RESIDENT = """
import sys
from eventbus import EventBus

with EventBus(sys.argv[1], sinks=["sqlite"], serve="resident"):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_lands_is_waited_for(state: Path) -> None:
    """A resident lands what a bus without the lane has emitted."""
    resident = subprocess.Popen(
        [sys.executable, "-c", RESIDENT, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert resident.stdout is not None
    assert resident.stdout.readline() == b"ready\n"
    until = time.monotonic() + 10
    found: list[str] = []
    with EventBus(state):
        log_event("a:b", "x", "landed elsewhere")
        while not found and time.monotonic() < until:
            try:
                found = [each.message for each in log_search("landed").items]
            except StoreUnusable:  # it is being made
                time.sleep(0.01)
    resident.communicate(timeout=20)

    assert found == ["landed elsewhere"]


def test_where_there_is_no_store_that_is_told_at_once(state: Path) -> None:
    began = time.monotonic()
    with EventBus(state):
        log_event("a:b", "x")
        with pytest.raises(StoreUnusable, match="no store at"):
            log_search()

    assert time.monotonic() - began < 2.0


def test_a_store_nobody_lands_in_is_asked_as_it_is(state: Path) -> None:
    with EventBus(state, sinks=["sqlite"]):
        log_event("a:b", "x", "landed")
    with EventBus(state):
        log_event("a:b", "x", "not landed")
        began = time.monotonic()

        assert [found.message for found in log_search().items] == ["landed"]
        assert 0.4 < time.monotonic() - began < 5.0


def test_a_store_with_a_path_of_its_own_is_the_one_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eventbus.toml").write_text(
        f'state = "{tmp_path / "kept"}"\n[sinks.sqlite]\npath = "apart.db"'
    )
    monkeypatch.delenv("EVENTBUS_STATE")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    (sink,) = [each for each in settings.named_sinks if each.lane == "sqlite"]

    with EventBus(settings.state, sinks=[sink]):
        log_event("shop:open", "till", "good morning")
        found = log_search("morning").items

    assert [each.message for each in found] == ["good morning"]
    assert (tmp_path / "kept" / "apart.db").exists()
