"""A bus with a watcher over a real directory, and what it told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventbus import Event, EventBus
from eventbus.events import DirectoryMade, FileDeleted, FileWritten
from eventbus.producers.watcher import Watcher
from eventbus.watching.settings import WatchSettings
from sinks.memory import MemorySink
from tests.letters import eventually
from tests.watching.trees import is_settled, real_tree, told_tree

__all__ = ["QUICK", "Heard", "watching"]

QUICK = WatchSettings(quick=True)


class Heard:
    """A bus with a watcher, and what it told."""

    def __init__(self, bus: EventBus, sink: MemorySink, watcher: Watcher) -> None:
        self.bus = bus
        self.watcher = watcher
        self._sink = sink

    def of(self, *kinds: type[Event]) -> list[Any]:
        self.bus.flush_now(timeout=10)
        return [event for event in list(self._sink.events) if isinstance(event, kinds)]

    @property
    def ops(self) -> list[tuple[str, str]]:
        events = self.of(FileWritten, FileDeleted, DirectoryMade)
        return [(event.kind.partition(":")[2], event.path) for event in events]

    def tells(self, root: Path) -> bool:
        """Whether what was told comes to be the tree as it is."""
        return eventually(lambda: told_tree(self.of(Event)) == real_tree(root))


@contextmanager
def watching(
    tmp_path: Path, *, state: bool = True, settings: WatchSettings = QUICK, **named: Any
) -> Iterator[Heard]:
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    assert eventually(lambda: is_settled(root))
    sink = MemorySink()
    with (
        EventBus(tmp_path / "state" if state else None, sinks=[sink]) as bus,
        Watcher(bus, [root], settings=settings, **named) as watcher,
    ):
        yield Heard(bus, sink, watcher)
