"""Who is looking at the page: websocket:*."""

from eventbus.event import Event

__all__ = ["ViewerJoined", "ViewerLeft"]


class ViewerJoined(Event, tag="websocket:connect"):
    """A viewer connected."""

    client: str | None = None
    """Its address."""


class ViewerLeft(Event, tag="websocket:disconnect"):
    """A viewer is gone."""

    client: str | None = None
    """Its address."""
