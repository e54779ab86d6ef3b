"""The steps from an empty database, or any released one, to this version's tables."""

from collections.abc import Callable, Sequence

import msgspec

from eventbus.clock import utc_now
from eventbus.errors import StoreUnusable
from eventbus.formats.moment import stamp
from eventbus.store.changes import WHO_WROTE
from eventbus.store.engine import Reader, Writer
from eventbus.store.schema import TOPICS

__all__ = ["MIGRATIONS", "VERSION", "Migration", "check_version", "migrate", "version_of"]


class Migration(msgspec.Struct, frozen=True):
    """One step, done whole or not at all."""

    name: str
    run: Callable[[Writer], None]


def _first_tables(writer: Writer) -> None:
    for topic in TOPICS:
        for statement in topic.tables:
            writer.run(writer.dialect.spell(statement))
        for statement in getattr(topic, writer.dialect.name):
            writer.run(statement)


def _who_wrote(writer: Writer) -> None:
    for statement in WHO_WROTE:
        writer.run(writer.dialect.spell(statement))


MIGRATIONS: tuple[Migration, ...] = (
    Migration("the tables of 0.1", _first_tables),
    Migration("who wrote a file", _who_wrote),
)
"""In order; a released one never changes, the next is added behind it."""

VERSION = len(MIGRATIONS)

_STEPS = """CREATE TABLE IF NOT EXISTS migrations (
    version {integer} NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL){strict}"""


def migrate(writer: Writer, steps: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the tables to this version; how many steps that took.

    Raises `StoreUnusable` for tables of a later version, and changes nothing.
    """
    done = version_of(writer)
    _refuse_newer(done, len(steps))
    ahead = list(enumerate(steps, 1))[done:]
    # A new store is made whole: nobody is to find the tables of an earlier version there.
    for part in [[each] for each in ahead] if done else [ahead]:
        with writer.transaction(is_synced=True):
            writer.run(_ALONE.get(writer.dialect.name, "SELECT 1"))
            for number, step in part:
                _take(writer, number, step)
    return len(ahead)


def _take(writer: Writer, number: int, step: Migration) -> None:
    if version_of(writer) >= number:  # another process was quicker
        return
    writer.run(writer.dialect.spell(_STEPS))
    step.run(writer)
    writer.insert("migrations (version, name, applied_at)", [(number, step.name, stamp(utc_now()))])


def version_of(reader: Reader) -> int:
    """The version of the tables that are there; 0 where there are none."""
    found = reader.row(_HAS_TABLE[reader.dialect.name], ("migrations",))
    if found is None:
        return 0
    row = reader.row("SELECT max(version) FROM migrations")
    return int(row[0] or 0) if row is not None else 0


def check_version(reader: Reader) -> None:
    """Raise `StoreUnusable` unless the tables are of this version."""
    there = version_of(reader)
    _refuse_newer(there, VERSION)
    if there < VERSION:
        raise StoreUnusable(
            f"the store's tables are of version {there}, this eventbus asks version {VERSION};"
            " run 'eventbus up' once to bring them forward"
        )


def _refuse_newer(there: int, ours: int) -> None:
    if there > ours:
        raise StoreUnusable(
            f"the store's tables are of version {there}, this eventbus knows up to {ours};"
            " nothing was changed; use the newer eventbus"
        )


_ALONE = {"postgres": "SELECT pg_advisory_xact_lock(hashtext('eventbus migrations'))"}
"""What holds others off for a transaction; SQLite's have only one writer anyway."""

_HAS_TABLE = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
    "postgres": "SELECT 1 FROM information_schema.tables"
    " WHERE table_schema = current_schema() AND table_name = ?",
}
