"""Options that several commands have, and what they are read as."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from eventbus.errors import DefinitionError, SettingsError
from eventbus.kinds import KindFilter
from eventbus.settings import Settings, load_settings
from eventbus.sources import Said
from eventbus.units import read_duration

__all__ = [
    "F",
    "Where",
    "component_option",
    "days_options",
    "json_option",
    "kinds_option",
    "read_day",
    "read_kinds",
    "read_moment",
    "read_when",
    "session_option",
    "since_option",
    "source_option",
    "until_option",
    "where_options",
]

F = TypeVar("F", bound=Callable[..., Any])


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Which settings are meant, as the command line has it."""

    state: str | None = None
    config: str | None = None
    sinks: str | None = None

    def settings(self) -> Settings:
        """Read the settings, with what the command line says over them."""
        flags = {"state": self.state, "lanes": self.sinks}
        names = {"state": "--state", "lanes": "--sinks"}
        overrides = {
            key: Said(value, names[key], is_text=True)
            for key, value in flags.items()
            if value is not None
        }
        environ = dict(os.environ)
        if self.config is not None:
            environ["EVENTBUS_CONFIG"] = self.config
        return load_settings(environ=environ, overrides=overrides)

    @property
    def state_there(self) -> Path:
        """The state directory, which must be there."""
        state = self.settings().state
        if not state.is_dir():
            raise self.no_state(state)
        return state

    @staticmethod
    def no_state(state: Path) -> SettingsError:
        """What is said where there is none."""
        return SettingsError(
            f"no state directory {str(state)!r}; 'eventbus up' makes one, --state names another"
        )


def where_options(command: F) -> F:
    """Add --state and --config; the command gets them as `where`."""

    @click.option("--state", metavar="DIR", help="The state directory.  [default: .state]")
    @click.option("--config", metavar="FILE", help="The settings file.  [default: eventbus.toml]")
    @wraps(command)
    def with_where(*args: Any, state: str | None, config: str | None, **kwargs: Any) -> Any:
        where = Where(state=state, config=config, sinks=kwargs.pop("sinks", None))
        return command(*args, where=where, **kwargs)

    return with_where  # type: ignore[return-value]  # the same, with two options more


def json_option(text: str) -> Callable[[F], F]:
    """Add --json, with what it prints."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def read_kinds(
    ctx: click.Context, option: click.Parameter, said: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Kinds and patterns, in one or several options: `tool:*,llm:error`."""
    wishes = tuple(word.strip() for part in said for word in part.split(",") if word.strip())
    try:
        return KindFilter(wishes).patterns if wishes else None
    except DefinitionError as error:
        raise click.BadParameter(str(error), ctx, option) from error


def read_when(ctx: click.Context, option: click.Parameter, said: str | None) -> datetime | None:
    """A moment as people say it: `7d`, `today`, `2026-11-01`, `2026-11-01T14:30Z`."""
    if said is None:
        return None
    try:
        return read_moment(said, now=datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"not a moment: {said!r}; write '90m' or '7d' for so long ago, 'today', 'yesterday',"
            " '2026-11-01' or '2026-11-01T14:30', local unless it ends in Z",
            ctx,
            option,
        ) from error


def read_moment(written: str, *, now: datetime) -> datetime:
    """The moment meant; what bears no zone is local time."""
    local = now.astimezone()
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if written in ("now", "today", "yesterday"):
        moments = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
        return moments[written].astimezone(UTC)
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except ValueError:
        return now - timedelta(seconds=read_duration(written))


def read_which_day(ctx: click.Context, option: click.Parameter, said: str | None) -> date | None:
    """A UTC day as people say it: `today`, `7d`, `2026-11-01`."""
    if said is None:
        return None
    try:
        return read_day(said, now=datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"not a day: {said!r}; write 'today', 'yesterday', '7d' for so long ago,"
            " or '2026-11-01'",
            ctx,
            option,
        ) from error


def read_day(written: str, *, now: datetime) -> date:
    """The UTC day meant."""
    today = now.astimezone(UTC).date()
    if written in ("today", "yesterday"):
        return today - timedelta(days=written == "yesterday")
    try:
        return date.fromisoformat(written)
    except ValueError:
        return read_moment(written, now=now).date()


def days_options(command: F) -> F:
    """Add --since and --until, whole UTC days; the command gets `start` and `end`."""
    since = click.option(
        "--since",
        "start",
        metavar="DAY",
        callback=read_which_day,
        help="From that day on: today, 7d, 2026-11-01.",
    )
    until = click.option(
        "--until", "end", metavar="DAY", callback=read_which_day, help="Up to that day, included."
    )
    return since(until(command))


kinds_option = click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    callback=read_kinds,
    help="Only these: llm:response, tool:*, *:error. Several by commas or options.",
)
since_option = click.option(
    "--since", metavar="WHEN", callback=read_when, help="From then on: 90m, 7d, today, 2026-11-01."
)
until_option = click.option(
    "--until", metavar="WHEN", callback=read_when, help="Up to then, not included."
)
source_option = click.option(
    "--source", metavar="NAME", help="Only of this source; 'web*' for all that begin so."
)
component_option = click.option("--component", metavar="NAME", help="Only of this component.")
session_option = click.option("--session", metavar="ID", help="Only of this session.")
