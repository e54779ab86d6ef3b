"""`eventbus version`: what is installed here."""

import platform
import sys

import click
import msgspec

from eventbus.frontends.cli.options import json_option
from eventbus.recorder import package_version

__all__ = ["command"]


@click.command("version", short_help="Say which version is installed.")
@json_option("Print one JSON object.")
def command(as_json: bool) -> None:
    """Say which version is installed, and on what it runs."""
    versions = {
        "eventbus": package_version(),
        "python": platform.python_version(),
        "platform": sys.platform,
    }
    if as_json:
        click.echo(msgspec.json.encode(versions))
    else:
        click.echo(f"eventbus {versions['eventbus']} (Python {versions['python']})")
