"""A word where the store does not have yet what the journal has."""

from contextlib import suppress

import click

from eventbus.residence import resident_of
from eventbus.settings import Settings
from eventbus.store.cursors import read_cursor
from eventbus.store.engine import Reader
from eventbus.store.merging import has_events_after
from eventbus.store.whereabouts import stores_of

__all__ = ["say_if_behind"]


def say_if_behind(settings: Settings, store: Reader) -> None:
    """Say on stderr that events are still to land, where nobody is at it."""
    own = [
        each
        for each in stores_of(settings.named_sinks, settings.state)
        if each.engine == store.dialect.name
    ]
    if not own or not settings.state.is_dir() or resident_of(settings.state) is not None:
        return
    with suppress(OSError):  # a segment may be pruned meanwhile
        after = read_cursor(store, own[0].lane)
        if has_events_after(settings.state, after, kinds=own[0].kinds):
            click.echo(
                "eventbus: the journal has events that have not landed yet, so they are not among"
                " these; 'eventbus up' lands them, as does any program that records here",
                err=True,
            )
