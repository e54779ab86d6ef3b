"""The store on SQLite: one file in the state directory, made and kept by itself."""

from pathlib import Path

import msgspec

from eventbus.errors import SettingsError
from eventbus.sink import Home, read_settings
from eventbus.store.engine import Writer
from eventbus.store.migrations import migrate
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from sinks._store import StoreSink

__all__ = ["SqliteSettings", "SqliteSink"]


class SqliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store is."""

    path: str = FILE_NAME
    """In the state directory, unless absolute."""


class SqliteSink(StoreSink):
    """Lands events in the tables of a SQLite file, exactly once.

    `SqliteSink(path="/srv/agent/store.db")`
    """

    Settings = SqliteSettings
    batch_most = 1_000

    def __init__(self, settings: SqliteSettings | None = None, /, **named: object) -> None:
        super().__init__()
        if settings is None:
            settings = read_settings(SqliteSettings, named, of="sink SqliteSink")
        self.settings: SqliteSettings = settings

    def connect(self, home: Home) -> Writer:
        path = _place_of(self.settings.path, home)
        home.disk.make_directory(path.parent)
        writer = SqliteWriter(path)
        try:
            migrate(writer)
        except BaseException:
            writer.close()
            raise
        path.chmod(0o600)
        return writer


def _place_of(written: str, home: Home) -> Path:
    path = Path(written).expanduser()
    if path.is_absolute():
        return path
    if home.state is None:
        raise SettingsError(
            f"the store {written!r} has no directory to be in;"
            " a bus in memory needs an absolute path"
        )
    return home.state / path
