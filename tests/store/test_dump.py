"""A store on PostgreSQL is dumped by its own program, and examined like any other."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventbus.store.backup import list_backups
from eventbus.store.doctor import examine
from eventbus.store.dump import SUFFIX, dump
from eventbus.store.migrations import migrate
from eventbus.store.rebuild import land_journal
from eventbus.store.whereabouts import StoreAt
from tests.store.test_backup import emit

pytestmark = pytest.mark.postgres

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
needs_pg_dump = pytest.mark.skipif(shutil.which("pg_dump") is None, reason="no pg_dump here")


@pytest.fixture
def url(postgres_url: str, tmp_path: Path) -> str:
    """A store that holds the journal of `tmp_path`."""
    from eventbus.store.postgres import PostgresWriter

    emit(tmp_path, 1)
    writer = PostgresWriter(postgres_url)
    migrate(writer)
    land_journal(writer, tmp_path, lane="postgres")
    writer.close()
    return postgres_url


@needs_pg_dump
def test_a_dump_holds_the_tables_and_so_many_are_kept(url: str, tmp_path: Path) -> None:
    told = [
        dump(url, tmp_path / "backups", keep=2, now=NOON + timedelta(days=day)) for day in range(3)
    ]

    assert {each.error for each in told} == {None}
    assert [(each.engine, each.status, each.integrity) for each in told[:1]] == [
        ("postgres", "success", "ok")
    ]
    kept = list_backups(tmp_path / "backups", suffix=SUFFIX)
    assert [backup.at.day for backup in kept] == [27, 26]
    assert told[2].bytes == kept[0].bytes
    listed = subprocess.run(
        ["pg_restore", "--list", kept[0].path], check=True, capture_output=True, text=True
    ).stdout
    assert "TABLE DATA" in listed
    assert " usage_daily " in listed
    assert len(list((tmp_path / "backups").iterdir())) == 2


@needs_pg_dump
def test_a_dump_that_fails_is_told_without_the_password(tmp_path: Path) -> None:
    told = dump("postgresql://ann:hush@127.0.0.1:1/none", tmp_path / "backups")

    assert told.status == "error"
    assert "hush" not in (told.error or "")
    assert list((tmp_path / "backups").iterdir()) == []


def test_without_pg_dump_it_says_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    told = dump(url, tmp_path / "backups")

    assert (
        told.error == "StoreUnusable: pg_dump is not installed; it comes with PostgreSQL's client"
    )


def test_it_is_examined_like_any_other(url: str, tmp_path: Path) -> None:
    store = StoreAt(engine="postgres", lane="postgres", url=url)

    whole = examine(tmp_path, store)
    emit(tmp_path, 2)
    behind = examine(tmp_path, store)

    assert whole.findings == behind.findings == []
    assert sum(writer.events for writer in whole.writers) == whole.rows >= 200
    assert sum(writer.beyond for writer in behind.writers) >= 200
