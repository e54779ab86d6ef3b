"""What every test stands on: one backend unless it asks, no stray settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from eventbus import EventBus, Report
from eventbus.bus import open_buses
from tests.books import faults

IS_LONG = os.environ.get("EVENTBUS_LONG") == "1"
LENGTHS = ("EVENTBUS_LONG", "EVENTBUS_RUNS")
"""Variables that say how much is run; every other one of ours is taken away."""

RELIABILITY = Path(__file__).with_name("reliability")

# A shared machine is slow at times; the suite's own timeout is what bounds a test.
settings.register_profile("short", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile("long" if IS_LONG else "short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long forms out, unless they are asked for; what tries often is slow."""
    for item in items:
        if RELIABILITY in item.path.parents:
            item.add_marker("slow")
    if IS_LONG:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests says nothing to them."""
    for name in list(os.environ):
        if name.startswith(("EVENTBUS_", "LOG_")) and name not in LENGTHS:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_bus_is_left_open() -> Iterator[None]:
    """One that a test forgot would take what the next one logs."""
    before = open_buses()
    yield
    left = [bus for bus in open_buses() if bus not in before]
    for bus in left:
        bus.close(grace=1)
    assert [str(bus.state) for bus in left] == []


@pytest.fixture(autouse=True)
def the_books_balance(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test is about: what its buses took in is where their counts say (R4)."""
    wrong: list[str] = []
    end = EventBus._end

    def end_and_look(bus: EventBus, grace: float) -> Report:
        report = end(bus, grace)
        wrong.extend(faults(bus, report))
        return report

    monkeypatch.setattr(EventBus, "_end", end_and_look)
    yield
    assert wrong == []


@pytest.fixture
def anyio_backend() -> str:
    """Where an async test runs; `@pytest.mark.on_both_backends` adds trio."""
    return "asyncio"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("on_both_backends"):
        metafunc.parametrize("anyio_backend", ["asyncio", "trio"])
