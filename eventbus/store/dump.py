"""Backups of a store on PostgreSQL, by its own pg_dump."""

import os
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from eventbus.clock import utc_now
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import StoreUnusable
from eventbus.events.backup import BackupFinished
from eventbus.store.backup import KEEP, STEM, prune_backups
from eventbus.store.files import STAMP, put_in_place

__all__ = ["SUFFIX", "dump"]

SUFFIX = ".dump"
"""What the name of a dump ends in: PostgreSQL's custom format, for pg_restore."""
SAID_MOST = 300


def dump(
    url: str,
    directory: Path,
    *,
    keep: int = KEEP,
    now: datetime | None = None,
    disk: Disk = SYSTEM_DISK,
) -> BackupFinished:
    """Dump the store's schema into a file of the custom format; how it went."""
    begun_s = perf_counter()
    now = now or utc_now()
    target = directory / f"{STEM}-{now.astimezone(UTC):{STAMP}}{SUFFIX}"
    size, integrity, error = None, None, None
    try:
        disk.make_directory(directory)
        size = _make(url, target, disk)
        integrity = "ok"
        prune_backups(directory, STEM, keep=max(1, keep), suffix=SUFFIX, now=now, disk=disk)
    except (OSError, StoreUnusable) as problem:
        error = f"{type(problem).__name__}: {problem}"
    return BackupFinished(
        engine="postgres",
        path=str(target),
        bytes=size,
        duration_ms=round((perf_counter() - begun_s) * 1000, 3),
        status="success" if error is None else "error",
        integrity=integrity,
        error=error,
    )


def _make(url: str, target: Path, disk: Disk) -> int:
    made = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        disk.close(disk.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL))  # private from the start
        schema = _schema_of(url)
        address, environment = _address(url)
        words = ("--format=custom", "--no-password", f"--schema={schema}", f"--file={made}")
        _run("pg_dump", *words, f"--dbname={address}", environment=environment)
        _run("pg_restore", "--list", str(made), environment=environment)
        size = disk.stat(made).st_size
        put_in_place(made, target, disk=disk)
        return size
    finally:
        with suppress(FileNotFoundError):
            disk.unlink(made)


def _address(url: str) -> tuple[str, dict[str, str]]:
    """What may stand on a command line, where others see it, and what may not."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    words = conninfo_to_dict(url)
    password = words.pop("password", None)
    secret = {"PGPASSWORD": str(password)} if password is not None else {}
    return make_conninfo("", **words), {**os.environ, **secret}


def _schema_of(url: str) -> str:
    from eventbus.store.postgres import PostgresReader

    reader = PostgresReader(url)
    try:
        row = reader.row("SELECT current_schema()")
    finally:
        reader.close()
    if row is None or row[0] is None:
        raise StoreUnusable("the store has no tables yet; there is nothing to back up")
    return str(row[0])


def _run(program: str, *words: str, environment: dict[str, str]) -> None:
    found = shutil.which(program)
    if found is None:
        raise StoreUnusable(f"{program} is not installed; it comes with PostgreSQL's client")
    ran = subprocess.run(
        [found, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if ran.returncode != 0:
        raise StoreUnusable(f"{program} failed: {ran.stderr.strip()[:SAID_MOST]}")
