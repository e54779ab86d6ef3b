"""A file that is written all the time is told once a second, as it is by then."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from eventbus.watching.change import Change
from eventbus.watching.pace import Rest, no_rest, paced

__all__ = ["Calm"]

OFTEN = 5
"""Writes of one file that are told as they come, as long as no second is without one."""
HELD_S = 1.0


class _Path(msgspec.Struct, gc=False):
    told: int
    until_s: float
    """It counts as written all the time if it is written again before that."""


class Calm:
    """Holds a write back for a second when the file was told too often; keeps the latest."""

    def __init__(self, rest: Rest = no_rest) -> None:
        self._rest = rest
        self._busy: dict[tuple[str, str], _Path] = {}
        self._held: dict[tuple[str, str], Change] = {}

    @property
    def due(self) -> float | None:
        """When the next one that is held is to be told."""
        return min((self._busy[key].until_s for key in self._held), default=None)

    def sift(self, changes: Iterable[Change], *, now_s: float) -> list[Change]:
        """The changes to be told now, those among them whose time has come."""
        told = self._released(now_s)
        for change in paced(changes, self._rest):
            key = (str(change.root), change.path)
            if change.op != "write" or change.moved_from is not None:
                self._held.pop(key, None)
                told.append(change)
            elif self._is_told_now(key, now_s):
                told.append(change)
            else:
                self._held[key] = change
        self._forget(now_s)
        return told

    def held_under(self, root: Path) -> set[str]:
        """The paths under a root that are held, and not told yet."""
        return {path for under, path in self._held if under == str(root)}

    def all_held(self) -> list[Change]:
        """Everything that is held, to be told at the end."""
        held, self._held = [*self._held.values()], {}
        return held

    def _released(self, now_s: float) -> list[Change]:
        due = [key for key in self._held if self._busy[key].until_s <= now_s]
        for key in due:
            self._busy[key].until_s = now_s + HELD_S
        return [self._held.pop(key) for key in due]

    def _is_told_now(self, key: tuple[str, str], now_s: float) -> bool:
        busy = self._busy.get(key)
        if busy is None or busy.until_s <= now_s:
            self._busy[key] = _Path(1, now_s + HELD_S)
            return True
        if key in self._held or busy.told >= OFTEN:
            return False
        busy.told += 1
        busy.until_s = now_s + HELD_S
        return True

    def _forget(self, now_s: float) -> None:
        busy = paced([*self._busy.items()], self._rest)
        old = [key for key, each in busy if each.until_s <= now_s]
        for key in old:
            if key not in self._held:
                del self._busy[key]
