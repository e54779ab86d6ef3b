"""`eventbus seal-key`: the key that proves what is sealed from now on."""

import os
from pathlib import Path

import click

from eventbus.disk import SYSTEM_DISK
from eventbus.errors import SettingsError
from eventbus.formats.visible import visible
from eventbus.frontends.cli.options import Where, where_options
from eventbus.sealing.keys import VerificationKey, verification_key

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus seal-key --out /media/stick/seal.key
  eventbus verify --key /media/stick/seal.key
  eventbus seal-key | ssh elsewhere 'cat > seal.key'
"""


@click.command("seal-key", epilog=EXAMPLES, short_help="Hand out the key that proves seals.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it there, for you alone."
)
@where_options
def command(where: Where, out: Path | None) -> None:
    """Hand out the verification key, for what is sealed from now on.

    Keep it where the agent cannot read it: who has it can make seals. No
    other copy is kept; what is used here is replaced by its hash with every
    chain of seals, and cannot be turned back. So ask for it before the first
    event is recorded; one that is asked for later proves what comes later.
    """
    state = where.settings().state
    SYSTEM_DISK.make_directory(state)
    key = verification_key(state, SYSTEM_DISK)
    if out is None:
        click.echo(str(key))
    else:
        _write(out, key)
        click.echo(f"wrote {visible(str(out))}; take it away from here")
    if key.chain:
        click.echo(f"it proves chains from {key.chain} on, not those before", err=True)


def _write(path: Path, key: VerificationKey) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise SettingsError(
            f"cannot write the key to {str(path)!r}: it is there; name a file that is not"
        ) from error
    with os.fdopen(fd, "w") as file:
        file.write(f"{key}\n")
