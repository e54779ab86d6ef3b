"""`eventbus anchor`: where all seals stand, to be kept somewhere else."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from eventbus.errors import SettingsError
from eventbus.formats.visible import visible
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.sealing.anchors import Anchor, anchor_of
from eventbus.sealing.outside import add_git_note, sign
from eventbus.sealing.sealed import read_sealed

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus anchor | ssh elsewhere 'cat >> anchors'
  eventbus anchor --to /media/stick/anchors
  eventbus anchor --git-note ~/project
  eventbus verify --anchor /media/stick/anchors
"""


@click.command("anchor", epilog=EXAMPLES, short_help="Keep where the seals stand elsewhere.")
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="FILE", help="Append it to that file."
)
@click.option(
    "--git-note",
    "repository",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Append it to a note, refs/notes/eventbus, of the commit checked out there.",
)
@click.option(
    "--sign-with",
    type=click.Path(path_type=Path, exists=True),
    metavar="KEY",
    help="Sign it by 'ssh-keygen -Y sign'.  [default: as seal.sign_with says]",
)
@json_option("Print one JSON object.")
@where_options
def command(
    where: Where, to: Path | None, repository: Path | None, sign_with: Path | None, as_json: bool
) -> None:
    """Print, or write somewhere else, where every chain of seals stands.

    'eventbus verify --anchor' shows by it that what was sealed then is still
    there, even if all seals and keys were made anew since. It is worth as
    much as the place it is kept in: one that the agent cannot write.
    """
    settings = where.settings()
    if not settings.state.is_dir():
        raise where.no_state(settings.state)
    anchor = anchor_of(read_sealed(settings.state), at=datetime.now(UTC))
    if not anchor.heads:
        raise SettingsError(f"nothing is sealed in {str(settings.state)!r}; there is no anchor")
    key = sign_with or (Path(settings.seal.sign_with) if settings.seal.sign_with else None)
    if key is not None:
        anchor = msgspec.structs.replace(anchor, signature=sign(anchor.text, key))
    for line in _keep(anchor, to, repository):
        click.echo(visible(line), err=as_json)
    if as_json:
        click.echo(msgspec.json.encode(anchor))
    elif to is None and repository is None:
        click.echo(anchor.whole_text, nl=False)


def _keep(anchor: Anchor, to: Path | None, repository: Path | None) -> list[str]:
    """Write it where it was asked for; what was done."""
    done = []
    if to is not None:
        fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(anchor.whole_text)
        done.append(f"added to {to}")
    if repository is not None:
        commit = add_git_note(anchor.whole_text, repository)
        done.append(f"added to the note of {commit} in {repository}")
    return done
