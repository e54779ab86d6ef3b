"""Where code that was given no bus emits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus import Event, EventBus, outlet, read_journal
from eventbus.events import ModelAnswered
from eventbus.scope import witnessed_by
from eventbus.standby import standby


class Said(Event):
    word: str


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EVENTBUS_STATE", str(tmp_path / "state"))
    yield tmp_path / "state"
    standby.close()


def words(state: Path) -> list[str]:
    return [event.word for event in read_journal(state) if isinstance(event, Said)]


def test_an_event_goes_to_the_open_bus(tmp_path: Path, state: Path) -> None:
    with EventBus(tmp_path / "own"):
        outlet.emit(Said(word="here"))

    assert words(tmp_path / "own") == ["here"]
    assert not state.exists()


def test_a_bus_that_keeps_files_comes_before_one_in_memory(tmp_path: Path) -> None:
    with EventBus(None), EventBus(tmp_path / "own"):
        outlet.emit(Said(word="kept"))

    assert words(tmp_path / "own") == ["kept"]


def test_with_no_bus_open_the_reserve_starts_by_itself(state: Path) -> None:
    outlet.emit(Said(word="alone"))
    assert outlet.bus_in_use() is standby.bus
    standby.close()

    assert words(state) == ["alone"]


def test_a_storage_of_the_flat_log_that_is_not_there_is_not_the_callers_trouble(
    monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    monkeypatch.setenv("LOG_STORAGE", "nowhere")

    outlet.emit(Said(word="all the same"))
    standby.close()

    assert words(state) == ["all the same"]


def test_a_witness_is_told_of_a_model_call_the_reserve_takes() -> None:
    seen: list[str] = []

    with witnessed_by(lambda event: seen.append(event.model)):
        outlet.emit(ModelAnswered(model="m-1"))

    assert set(seen) == {"m-1"}
