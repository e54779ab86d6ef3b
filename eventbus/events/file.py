"""Changes to files under a watched root: file:*."""

from msgspec import UNSET, UnsetType

from eventbus.event import Event

__all__ = ["DirectoryMade", "FileDeleted", "FileWritten"]


class FileWritten(Event, tag="file:write"):
    """A file was made, changed or moved here."""

    path: str
    """Relative to the watched root, with `/` between its parts."""
    size_bytes: int | None = None
    """None: it was gone before it could be asked."""
    actor: str | None = None
    """The tool that wrote it, `ambiguous` where it may be several; None: unknown."""
    agent_name: str | None = None
    """None: unknown."""
    trace: str | None = None
    """The tool call that wrote it."""
    candidates: tuple[str, ...] = ()
    """The traces it may belong to, when it is not clear to which."""
    hash: str | None = None
    """Of its content, with the algorithm before a colon; None: not asked for."""
    moved_from: str | None = None
    """The path it had before, if it was moved."""
    pid: int | UnsetType | None = UNSET
    """The process that did it, where the kernel says so."""
    command: str | UnsetType | None = UNSET
    """What that process was called."""
    burst: str | UnsetType = UNSET
    """The id of the `watch:burst` it is a part of."""


class FileDeleted(Event, tag="file:delete"):
    """A file or directory was deleted or moved away."""

    path: str
    size_bytes: int | None = None
    """What it held when last seen."""
    actor: str | None = None
    agent_name: str | None = None
    trace: str | None = None
    candidates: tuple[str, ...] = ()
    hash: str | None = None
    """Of its content when last seen."""
    moved_to: str | None = None
    """The path it has now, if it was moved."""
    pid: int | UnsetType | None = UNSET
    """The process that did it, where the kernel says so."""
    command: str | UnsetType | None = UNSET
    """What that process was called."""
    burst: str | UnsetType = UNSET
    """The id of the `watch:burst` it is a part of."""


class DirectoryMade(Event, tag="file:mkdir"):
    """A directory was made."""

    path: str
    actor: str | None = None
    agent_name: str | None = None
    trace: str | None = None
    candidates: tuple[str, ...] = ()
    pid: int | UnsetType | None = UNSET
    """The process that did it, where the kernel says so."""
    command: str | UnsetType | None = UNSET
    """What that process was called."""
    burst: str | UnsetType = UNSET
    """The id of the `watch:burst` it is a part of."""
