"""The recorder's own start and end: app:start, app:shutdown."""

from eventbus.event import Event

__all__ = ["AppStarted", "AppStopped"]


class AppStarted(Event, tag="app:start"):
    """A recorder came up."""

    version: str | None = None
    pid: int | None = None
    reason: str | None = None


class AppStopped(Event, tag="app:shutdown"):
    """A recorder went down in good order."""

    version: str | None = None
    pid: int | None = None
    reason: str | None = None
