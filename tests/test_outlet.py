"""Where code that was given no bus emits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus import Event, EventBus, outlet, read_journal
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
