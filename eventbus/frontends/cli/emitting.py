"""Events that a command emits: through the bus, as any program here would."""

from collections.abc import Iterator
from contextlib import contextmanager

from eventbus.bus import EventBus
from eventbus.errors import SettingsError
from eventbus.frontends.cli.options import Where
from eventbus.scope import scope

__all__ = ["emitting"]

SOURCE = "cli"


@contextmanager
def emitting(where: Where, *, session: str | None) -> Iterator[EventBus]:
    """A bus to emit to; when the block is left they have landed, unless others see to it."""
    settings = where.settings()
    if settings.disabled:
        raise SettingsError("nothing would be recorded: EVENTBUS_DISABLED is set; unset it")
    # The terminal is this command's own.
    sinks = [sink for sink in settings.named_sinks if sink.use != "console"]
    bus = EventBus(settings.state, sinks=sinks, journal=settings.journal)
    with bus, scope(source=SOURCE, session=session):
        yield bus
