"""Which stores the settings speak of, and where each one is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from eventbus.sink import NamedSink
from eventbus.store.sqlite import FILE_NAME

__all__ = ["StoreAt", "path_in", "stores_of"]


class StoreAt(msgspec.Struct, frozen=True, kw_only=True):
    """A store, and the lane that lands in it."""

    engine: Literal["sqlite", "postgres"]
    lane: str
    path: Path | None = None
    """The file of one on SQLite."""
    url: str | None = None
    """The address of one on PostgreSQL."""
    kinds: tuple[str, ...] | None = None
    """The kinds its lane lands; None: those a store wants."""


def stores_of(sinks: Iterable[NamedSink], state: Path) -> list[StoreAt]:
    """The stores among the sinks of a recorder, in their order."""
    found = (_store_of(sink, state) for sink in sinks)
    return [store for store in found if store is not None]


def _store_of(sink: NamedSink, state: Path) -> StoreAt | None:
    if sink.use == "sqlite":
        path = path_in(state, str(sink.settings.get("path", FILE_NAME)))
        return StoreAt(engine="sqlite", lane=sink.lane, path=path, kinds=sink.kinds)
    if sink.use == "postgres":
        url = str(sink.settings.get("url", "postgresql://"))
        return StoreAt(engine="postgres", lane=sink.lane, url=url, kinds=sink.kinds)
    return None


def path_in(state: Path, written: str) -> Path:
    """A path as the settings write it: in the state directory, unless absolute."""
    return state / Path(written).expanduser()
