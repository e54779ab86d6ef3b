"""The stores of the settings, where one has to name what is kept and not only ask it."""

from collections.abc import Callable

import click

from eventbus.frontends.cli.options import F, Where
from eventbus.settings import Settings
from eventbus.store.serving import LANE
from eventbus.store.sqlite import FILE_NAME
from eventbus.store.whereabouts import StoreAt, stores_of
from eventbus.units import without_password

__all__ = ["lane_option", "stores", "the_file", "the_store"]


def lane_option(command: F) -> F:
    """Add --lane, for who has several stores."""
    option: Callable[[F], F] = click.option(
        "--lane", metavar="NAME", help="Whose store, where the settings have several."
    )
    return option(command)


def stores(where: Where, settings: Settings) -> list[StoreAt]:
    """Every store of the settings; the one that is there by default when they name none."""
    if not settings.state.is_dir():
        raise where.no_state(settings.state)
    default = StoreAt(engine="sqlite", lane=LANE, path=settings.state / FILE_NAME)
    return stores_of(settings.named_sinks, settings.state) or [default]


def the_store(found: list[StoreAt], lane: str | None) -> StoreAt:
    """The store of a lane; where there is but one, no lane has to be named."""
    lanes = ", ".join(store.lane for store in found)
    if lane is None and len(found) > 1:
        raise click.UsageError(f"several stores: name one by --lane: {lanes}")
    wanted = [store for store in found if lane in (None, store.lane)]
    if not wanted:
        raise click.UsageError(f"no store of a lane {lane!r}; there are: {lanes}")
    return wanted[0]


def the_file(where: Where, settings: Settings, lane: str | None, *, wish: str) -> StoreAt:
    """The same, of one on SQLite: only files can be replaced."""
    store = the_store(stores(where, settings), lane)
    if store.path is None:
        raise click.UsageError(
            f"cannot {wish} {without_password(store.url or '')}: only a store on SQLite can be;"
            " PostgreSQL has pg_restore for the dumps that 'eventbus backup' makes"
        )
    return store
