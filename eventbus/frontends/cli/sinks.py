"""`eventbus sinks`: the sinks installed here, whose they are, and their settings."""

from importlib.metadata import EntryPoint
from typing import Any

import click
import msgspec

from eventbus.formats.visible import visible
from eventbus.frontends.cli.options import json_option
from eventbus.sink import installed_sinks

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus sinks
  eventbus sinks audit            one of them
  eventbus sinks --json
"""


class Setting(msgspec.Struct, frozen=True):
    """One setting of a sink."""

    name: str
    type: str
    default: Any = None
    is_required: bool = False


class Installed(msgspec.Struct, frozen=True):
    """A sink that can be asked for by name."""

    name: str
    package: str
    says: str = ""
    """The first sentence of its own description."""
    settings: list[Setting] = []
    error: str | None = None
    """Why it cannot be loaded."""


@click.command("sinks", epilog=EXAMPLES, short_help="List the installed sinks and their settings.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option("Print one JSON array.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the installed sinks, the package each comes from, and its settings.

    A sink's settings are written in eventbus.toml under [sinks.NAME]; lanes
    says which run.
    """
    points = installed_sinks()
    for name in names:
        if name not in points:
            raise click.UsageError(
                f"no sink named {name!r}; installed: {', '.join(sorted(points))}"
            )
    found = [describe(points[name]) for name in sorted(names or points)]
    if as_json:
        click.echo(msgspec.json.encode(found, enc_hook=str))
        return
    for sink in found:
        _show(sink)


def describe(point: EntryPoint) -> Installed:
    """What can be told of a sink without making one."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "unknown"
    try:
        make = point.load()
    except Exception as error:  # noqa: BLE001 - a stranger's module; the list tells it
        return Installed(point.name, package, error=f"{type(error).__name__}: {error}")
    says = next(iter((make.__doc__ or "").strip().split("\n")), "")
    wanted = getattr(make, "Settings", None)
    fields = msgspec.structs.fields(wanted) if wanted is not None else ()
    return Installed(point.name, package, says, [_setting(field) for field in fields])


def _setting(field: msgspec.structs.FieldInfo) -> Setting:
    type_name = getattr(field.type, "__name__", None) if isinstance(field.type, type) else None
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    is_required = default is msgspec.NODEFAULT
    shown = None if is_required else default
    return Setting(field.encode_name, type_name or str(field.type), shown, is_required=is_required)


def _show(sink: Installed) -> None:
    click.echo(f"{click.style(sink.name, bold=True)}  {visible(sink.says)}".rstrip())
    click.echo(click.style(f"  from {visible(sink.package)}", dim=True))
    if sink.error is not None:
        click.echo(f"  cannot be loaded: {visible(sink.error)}")
    width = max((len(setting.name) for setting in sink.settings), default=0)
    for setting in sink.settings:
        default = msgspec.json.encode(setting.default, enc_hook=str).decode()
        value = "(must be given)" if setting.is_required else f"= {visible(default)}"
        click.echo(f"  {setting.name.ljust(width)}  {value}")
