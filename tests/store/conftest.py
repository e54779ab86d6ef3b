"""A store on each engine: SQLite in a file, PostgreSQL on loopback in a schema of its own."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventbus.store.engine import Writer
from eventbus.store.migrations import migrate
from eventbus.store.opening import open_store
from eventbus.store.schema import TOPICS
from eventbus.store.sqlite import FILE_NAME, SqliteWriter

SERVER = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")


def server_answers() -> bool:
    try:
        socket.create_connection(("127.0.0.1", 5432), timeout=1).close()
    except OSError:
        return False
    return True


def server_is_installed() -> bool:
    """Whether this machine has a server that ought to answer."""
    return Path("/etc/postgresql").is_dir()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store is to be, on each engine; nothing is there yet."""
    if request.param == "sqlite":
        (tmp_path / "state").mkdir()
        yield str(tmp_path / "state")
        return
    yield from a_schema_of_its_own()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An address on a PostgreSQL server with a schema that goes with the test."""
    yield from a_schema_of_its_own()


def a_schema_of_its_own() -> Iterator[str]:
    if not server_answers():
        if os.environ.get("CI") and server_is_installed():
            pytest.fail("PostgreSQL is installed here and does not answer on 127.0.0.1:5432")
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432")
    psycopg = pytest.importorskip("psycopg")
    schema = f"t{os.getpid()}_{os.urandom(4).hex()}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    try:
        yield f"{SERVER}?options=-csearch_path%3D{schema}"
    finally:
        with psycopg.connect(SERVER, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def store_writer(where: str) -> Iterator[Writer]:
    """The writing connection of a new store, its tables made."""
    writer = open_writer(where)
    migrate(writer)
    yield writer
    writer.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def emptied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Writer]:
    """The writing connection of a store with nothing in it.

    On PostgreSQL, where making tables takes long, it is one for all tests,
    and emptied for each.
    """
    is_kept = request.param == "postgres"
    writer = open_writer(request.getfixturevalue("kept_schema") if is_kept else str(tmp_path))
    if is_kept:
        empty(writer)
    else:
        migrate(writer)
    yield writer
    writer.close()


@pytest.fixture(scope="session")
def kept_schema() -> Iterator[str]:
    """An address on a PostgreSQL server with tables that stay for all tests."""
    for url in a_schema_of_its_own():
        writer = open_writer(url)
        migrate(writer)
        writer.close()
        yield url


def empty(writer: Writer) -> None:
    """Take every row away, of what refers to others first."""
    for topic in reversed(TOPICS):
        for table in reversed(TABLE.findall(" ".join(topic.tables))):
            writer.run(f"DELETE FROM {table}")


TABLE = re.compile(r"CREATE TABLE (\w+)")


def open_writer(where: str) -> Writer:
    if where.startswith("postgresql://"):
        from eventbus.store.postgres import PostgresWriter

        return PostgresWriter(where)
    return SqliteWriter(Path(where) / FILE_NAME)


@pytest.fixture
def store(store_writer: Writer, where: str) -> Iterator[Any]:
    """A reader of the same store."""
    with open_store(where) as reader:
        yield reader
