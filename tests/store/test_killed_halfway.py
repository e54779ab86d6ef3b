"""A store whose writer was killed before it was in its write-ahead log."""

import shutil
import sqlite3
from pathlib import Path

from eventbus.store.sqlite import SqliteReader


def test_what_a_killed_writer_left_half_done_is_taken_back_by_who_reads(tmp_path: Path) -> None:
    """Its journal is hot: a connection that may only read cannot roll it back."""
    living, left = tmp_path / "living", tmp_path / "left"
    living.mkdir()
    connection = sqlite3.connect(living / "store.db", isolation_level=None)
    connection.execute("CREATE TABLE notes (n)")
    connection.executemany("INSERT INTO notes VALUES (?)", [(n,) for n in range(1_000)])
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE notes SET n = n + 1")
    connection.execute("INSERT INTO notes SELECT n FROM notes")
    shutil.copytree(living, left)  # as it stands on the disk at that moment
    connection.close()
    assert (left / "store.db-journal").stat().st_size > 0

    reader = SqliteReader(left / "store.db")

    assert reader.row("SELECT count(*), min(n) FROM notes") == (1_000, 0)
    reader.close()
