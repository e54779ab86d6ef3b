"""The store on SQLite: one file in the state directory, made, kept and mended by itself."""

from datetime import datetime
from pathlib import Path

import msgspec

from eventbus.errors import SettingsError, StoreUnusable
from eventbus.events.error import IoFailed
from eventbus.formats.moment import stamp
from eventbus.sink import Home, Lost, Refused, Unavailable, read_settings
from eventbus.store.backup import BACKUPS
from eventbus.store.checkpoint import LogKeeper
from eventbus.store.engine import Writer
from eventbus.store.opening import Opened, has_tables, open_to_land, set_damaged_aside
from eventbus.store.sqlite import (
    FILE_NAME,
    SqliteWriter,
    is_damage,
    is_of_sqlite,
    is_passing,
    is_refusal,
)
from eventbus.store.whereabouts import path_in
from eventbus.units import size_text
from sinks._store import StoreSink

__all__ = ["SqliteSettings", "SqliteSink"]

COMPONENT = "store"


class SqliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store is."""

    path: str = FILE_NAME
    """In the state directory, unless absolute."""


class SqliteSink(StoreSink):
    """Lands events in the tables of a SQLite file, exactly once.

    `SqliteSink(path="/srv/agent/store.db")`

    A file that is damaged is set aside, never deleted; the latest good backup
    takes its place, and the lane lands what the journal has after that.
    """

    Settings = SqliteSettings
    batch_most = 4_000

    def __init__(self, settings: SqliteSettings | None = None, /, **named: object) -> None:
        super().__init__()
        if settings is None:
            settings = read_settings(SqliteSettings, named, of="sink SqliteSink")
        self.settings: SqliteSettings = settings
        self._log = LogKeeper()

    def connect(self, home: Home) -> Writer:
        path = _place_of(self.settings.path, home)
        home.disk.make_directory(path.parent)
        backups = home.state / BACKUPS if home.state is not None else None
        opened = open_to_land(path, backups=backups, now=home.clock.now(), disk=home.disk)
        self._tell_of(opened, path)
        return opened.writer

    def _tell_of(self, opened: Opened, path: Path) -> None:
        if opened.damage is not None:
            said = _said_of(path, opened.damage, opened.aside)
            self._tell("StoreDamaged", f"{said}; {_anew_from(opened.backup)}")

    # --- between batches -----------------------------------------------------------

    def tend(self, writer: Writer, now: datetime) -> None:
        assert isinstance(writer, SqliteWriter)
        if not writer.is_in_place():
            writer.abandon()
            said = f"{writer.path} was moved, deleted or replaced; {_anew_from(None)}"
            self._tell("StoreGone", said)
            raise Lost(said)
        held = self._log.tend(writer, now)
        if held is not None:
            self._tell(
                "LogHeld",
                f"{writer.path}-wal has grown to {size_text(held.bytes)}: a reader has kept it"
                f" from being cut since {stamp(held.since)}; it shrinks once that one is done",
            )

    def _tell(self, type: str, message: str) -> None:
        self._home.emit(IoFailed(type=type, message=message, component=COMPONENT))

    # --- when the database will not -------------------------------------------------

    def judge(self, writer: Writer, error: Exception) -> Exception:
        assert isinstance(writer, SqliteWriter)
        if not is_of_sqlite(error):
            return error
        if is_passing(error):
            return Unavailable(f"{writer.path}: {error}")
        if is_refusal(error):
            return Refused(f"{writer.path}: {error}")
        if is_damage(error) or not has_tables(writer):
            return self._set_aside(writer, error)
        return error

    def _set_aside(self, writer: SqliteWriter, error: Exception) -> Exception:
        writer.abandon()
        home = self._home
        try:
            aside = set_damaged_aside(writer.path, now=home.clock.now(), disk=home.disk)
        except StoreUnusable as refusal:
            return Lost(str(refusal))
        said = f"{_said_of(writer.path, str(error), aside)}; {_anew_from(None)}"
        self._tell("StoreDamaged", said)
        return Lost(said)


def _said_of(path: Path, damage: str, aside: Path | None) -> str:
    kept = f", and kept as {aside.name}" if aside is not None else ""
    return f"{path} is damaged: {damage}{kept}"


def _anew_from(backup: Path | None) -> str:
    """What the store is made of again; None: what there is, is seen when it is opened."""
    begun = f"{backup.name} and the journal" if backup is not None else "backup and journal"
    return f"it is made anew from {begun}"


def _place_of(written: str, home: Home) -> Path:
    if home.state is None and not Path(written).expanduser().is_absolute():
        raise SettingsError(
            f"the store {written!r} has no directory to be in;"
            " a bus in memory needs an absolute path"
        )
    return path_in(home.state or Path(), written)
