"""From nothing to this version's tables, and never over a later one's."""

import threading
from contextlib import suppress

import pytest

from eventbus.errors import StoreUnusable
from eventbus.store.engine import Writer
from eventbus.store.migrations import MIGRATIONS, VERSION, Migration, migrate, version_of
from eventbus.store.opening import open_store
from tests.store.conftest import open_writer


def test_an_empty_database_gets_every_step(where: str) -> None:
    writer = open_writer(where)

    assert version_of(writer) == 0
    assert migrate(writer) == len(MIGRATIONS)
    assert version_of(writer) == VERSION
    assert migrate(writer) == 0
    writer.close()


def test_nobody_finds_a_new_store_half_made(where: str) -> None:
    writer, other = open_writer(where), open_writer(where)
    versions = []

    def look(_: Writer) -> None:
        with suppress(Exception):  # one that is locked cannot be asked, and misleads nobody
            versions.append(version_of(other))

    migrate(writer, [*MIGRATIONS, Migration("looked at", look)])

    assert set(versions) <= {0}
    assert version_of(other) == VERSION + 1
    writer.close()
    other.close()


def test_tables_of_a_later_version_are_refused_and_left_alone(
    store_writer: Writer, where: str
) -> None:
    store_writer.insert(
        "migrations (version, name, applied_at)", [(VERSION + 1, "of tomorrow", "2030")]
    )

    with pytest.raises(StoreUnusable, match=f"of version {VERSION + 1}, .* knows up to {VERSION}"):
        migrate(store_writer)
    with pytest.raises(StoreUnusable, match="nothing was changed"), open_store(where):
        pass
    assert version_of(store_writer) == VERSION + 1


def test_a_step_that_fails_leaves_what_was_there(store_writer: Writer) -> None:
    def spoil(writer: Writer) -> None:
        writer.run("CREATE TABLE half_done (a TEXT)")
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        migrate(store_writer, [*MIGRATIONS, Migration("spoilt", spoil)])

    assert version_of(store_writer) == VERSION
    assert migrate(store_writer, [*MIGRATIONS, Migration("again", lambda writer: None)]) == 1


def test_two_that_migrate_at_once_do_it_once(where: str) -> None:
    writers = [open_writer(where) for _ in range(3)]
    errors: list[Exception] = []

    def run(writer: Writer) -> None:
        try:
            migrate(writer)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert writers[0].rows("SELECT version FROM migrations ORDER BY version") == [
        (version,) for version in range(1, VERSION + 1)
    ]
    for writer in writers:
        writer.close()
