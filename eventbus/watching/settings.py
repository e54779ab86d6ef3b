"""`[watch]`: which files are watched, and how much is kept of them."""

from typing import Literal

import msgspec

from eventbus.errors import SettingsError

__all__ = ["WatchSettings", "check_watch"]

MIB = 1024 * 1024
MOST = 2.0**53


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
    grace_ms: float = 500
    """A change noticed so long after a tool call has ended may still be that call's."""
    writers: bool = True
    """Whether the process that wrote is told as well, where the kernel says so (Linux, root)."""
    keep: Literal["off", "text", "all"] = "off"
    """Whether contents are kept, of texts or of all files, to compare with and to go back to."""
    keep_bytes: int = 512 * MIB
    """The oldest contents go when there is more."""
    keep_days: float = 30
    """Older contents go; 0: none."""
    poll: bool = False
    """Look again and again instead of asking the kernel: for network file systems."""


def check_watch(settings: WatchSettings) -> WatchSettings:
    """The same, or `SettingsError` for a value that cannot be."""
    if settings.hash_bytes < 0:
        raise SettingsError(
            f"watch.hash_bytes cannot be {settings.hash_bytes!r}; it is a number from 0 on"
        )
    for name in ("grace_ms", "keep_bytes", "keep_days"):
        value = getattr(settings, name)
        if not 0 <= value < MOST:
            raise SettingsError(f"watch.{name} cannot be {value!r}; it is a number from 0 on")
    for pattern in settings.ignore:
        if not pattern.strip("!/ ") or "\n" in pattern or "\0" in pattern:
            raise SettingsError(
                f"watch.ignore cannot hold {pattern!r}; a pattern is a line as in .gitignore,"
                " for example 'build/' or '!build/kept.txt'"
            )
    return settings
