"""The store on PostgreSQL: for a team, and for several machines that land in one place."""

import msgspec

from eventbus.sink import Home, Refused, Unavailable, read_settings
from eventbus.store.engine import Writer
from eventbus.store.migrations import migrate
from eventbus.units import without_password
from sinks._store import StoreSink

__all__ = ["PostgresSettings", "PostgresSink"]


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store is."""

    url: str = "postgresql://"
    """`postgresql://user@host:5432/database`; what it leaves out, the usual PG variables say."""


class PostgresSink(StoreSink):
    """Lands events in the tables of a PostgreSQL database, exactly once.

    `PostgresSink(url="postgresql://recorder@db/agents")`
    """

    Settings = PostgresSettings
    batch_most = 4_000

    def __init__(self, settings: PostgresSettings | None = None, /, **named: object) -> None:
        super().__init__()
        if settings is None:
            settings = read_settings(PostgresSettings, named, of="sink PostgresSink")
        self.settings: PostgresSettings = settings

    def connect(self, home: Home) -> Writer:
        from eventbus.store.postgres import PostgresWriter  # an extra, for those who ask for it

        writer = PostgresWriter(self.settings.url)
        try:
            migrate(writer)
        except BaseException:
            writer.close()
            raise
        return writer

    def judge(self, writer: Writer, error: Exception) -> Exception:
        from eventbus.store.postgres import is_passing, is_refusal

        said = f"{without_password(self.settings.url)}: {error}"
        if is_passing(error):
            return Unavailable(said)
        return Refused(said) if is_refusal(error) else error
