"""Putting a file back to what it held at a moment, and saying so in the record."""

import getpass
import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.frontends.cli.asking import asked
from eventbus.frontends.cli.emitting import emitting
from eventbus.frontends.cli.options import Where
from eventbus.frontends.cli.recorded import State, Tracked, read_now, tracked
from eventbus.producers.tools import tool
from eventbus.scope import scope
from eventbus.watching.contents import hash_of

__all__ = ["TOOL", "PutBack", "put_back"]

TOOL = "eventbus restore"
"""What the record calls whoever wrote the file."""
SESSION = COMPONENT = "cli"
WAIT_S = 5.0
"""How long the record of the call may take to be written before the file is."""
NEW_FILE = 0o666


class PutBack(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a file."""

    path: str
    """The whole path."""
    status: Literal["restored", "same", "refused"]
    size_bytes: int
    hash: str
    """Of what it held at the moment."""
    as_of: str
    """The moment it is as of, and who had made it so."""
    trace: str | None = None
    """The call by which it was put back."""


def put_back(where: Where, written: str, *, at: datetime, force: bool) -> PutBack:
    """Put a file back; refused where what it holds now would be lost, unless by force."""
    with asked(where) as store:
        file = tracked(store, where.settings(), written)
        wanted = file.at(at)
        if wanted.content is None:
            raise click.UsageError(
                f"there was no {file.path!r} then: {wanted.label}; give a moment when there was"
            )
        _check_way(file)
        now = file.now()
        done = PutBack(
            path=str(file.where),
            status="same",
            size_bytes=len(wanted.content),
            hash=hash_of(wanted.content),
            as_of=wanted.label,
        )
        if now.content == wanted.content:
            return done
        if not (force or _is_recorded(file, now)):
            return msgspec.structs.replace(done, status="refused")
        trace = _record_and_write(where, file, wanted.content, instead_of=now, at=at)
    return msgspec.structs.replace(done, status="restored", trace=trace)


def _is_recorded(file: Tracked, now: State) -> bool:
    """Whether one could come back to what it holds now."""
    return now.hash is None or file.contents.has(now.hash)


def _check_way(file: Tracked) -> None:
    """Nothing is written through a link that leads out of the root."""
    root, parent = file.root.resolve(), file.where.parent.resolve()
    if root != parent and root not in parent.parents:
        raise click.UsageError(
            f"{str(file.where)!r} leads out of {str(file.root)!r}, to {str(parent)!r};"
            " nothing is written"
        )


def _record_and_write(
    where: Where, file: Tracked, content: bytes, *, instead_of: State, at: datetime
) -> str | None:
    """Write it as a tool call, which the watcher will find open and name the file."""
    input = {"path": file.path, "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    with (
        emitting(where, session=SESSION) as bus,
        scope(component=COMPONENT, user=_user()),
        tool(TOOL, input, bus=bus, cwd=file.root) as call,
    ):
        bus.flush_now(until="written", timeout=WAIT_S)
        write_back(file.where, content, instead_of=instead_of.content)
        call.output({"size_bytes": len(content)})
    return call.trace


def write_back(
    path: Path, content: bytes, *, instead_of: bytes | None, disk: Disk = SYSTEM_DISK
) -> None:
    """Put a content at a path in one step, with the permissions of what is there."""
    disk.make_directory(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}.restore")
    fd = disk.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, NEW_FILE)
    try:
        try:
            disk.write_all(fd, content)
            _take_after(path, fd, disk)
            disk.sync(fd)
        finally:
            disk.close(fd)
        if read_now(path, disk) != instead_of:
            raise click.UsageError(f"{str(path)!r} has just been changed by somebody else; again?")
        disk.rename(beside, path)
    except BaseException:
        with suppress(OSError):
            disk.unlink(beside)
        raise


def _take_after(path: Path, fd: int, disk: Disk) -> None:
    """Give a file the owner and the permissions of the one it takes the place of."""
    with suppress(FileNotFoundError):
        there = disk.stat(path)
        with suppress(PermissionError):
            disk.set_owner(fd, there.st_uid, there.st_gid)
        disk.set_mode(fd, stat.S_IMODE(there.st_mode))


def _user() -> str | None:
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None
