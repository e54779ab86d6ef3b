"""What went wrong: error:*, one class a kind, all of one form."""

from typing import Any

from eventbus.event import Event

__all__ = ["ErrorRaised", "IoFailed", "ReloadFailed", "ToolErrored", "ValidationFailed"]


class ErrorRaised(Event, tag="error:runtime"):
    """An error in running code; the other `error:*` kinds build on it."""

    type: str
    """The exception's class name."""
    message: str = ""
    stack: str | None = None
    """The traceback as text."""
    component: str | None = None
    """None: the scope's."""
    context: str | None = None
    """What was being done."""


class ValidationFailed(ErrorRaised, tag="error:validation"):
    """Something given to us was not as it must be."""


class IoFailed(ErrorRaised, tag="error:io"):
    """A file, a socket or a disk did not do what was asked."""


class ToolErrored(ErrorRaised, tag="error:tool"):
    """A tool call raised."""

    tool: str | None = None
    args: Any = None
    """Its arguments, whatever JSON can hold."""


class ReloadFailed(ErrorRaised, tag="error:reload"):
    """New code or settings could not be taken up while running."""

    rolled_back: bool = False
    """True when the old ones are in force again."""
