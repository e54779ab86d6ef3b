"""`[watch]`: which files are watched, and how much is kept of them."""

import msgspec

from eventbus.errors import SettingsError

__all__ = ["WatchSettings", "check_watch"]

MIB = 1024 * 1024


class WatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the watcher watches, and what it tells."""

    off: bool = False
    roots: tuple[str, ...] = ()
    """Directories; none: the working directory."""
    ignore: tuple[str, ...] = ()
    """Patterns as in `.gitignore`, after those that ship; `!` takes one back."""
    gitignore: bool = False
    """Whether the root's own `.gitignore` files hide what they name."""
    hash: bool = False
    """Whether a written file's content is hashed."""
    hash_bytes: int = 64 * MIB
    """A larger file is not hashed."""
    quick: bool = False
    """Tell within some 20 ms instead of 80, for a little more CPU while idle."""
    poll: bool = False
    """Look again and again instead of asking the kernel: for network file systems."""


def check_watch(settings: WatchSettings) -> WatchSettings:
    """The same, or `SettingsError` for a value that cannot be."""
    if settings.hash_bytes < 0:
        raise SettingsError(
            f"watch.hash_bytes cannot be {settings.hash_bytes!r}; it is a number from 0 on"
        )
    for pattern in settings.ignore:
        if not pattern.strip("!/ ") or "\n" in pattern or "\0" in pattern:
            raise SettingsError(
                f"watch.ignore cannot hold {pattern!r}; a pattern is a line as in .gitignore,"
                " for example 'build/' or '!build/kept.txt'"
            )
    return settings
