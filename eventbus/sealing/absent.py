"""What stands where nothing is sealed; light, because every journal imports it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from eventbus.event import Event

__all__ = ["Lines", "Seals", "Unsealed"]

Lines = Sequence[tuple[int, Sequence[bytes]]]
"""Of each blob: how many lines it has, and those among which all critical ones are."""


class Seals(Protocol):
    """What a writer of lines tells of them."""

    def mend(self, directory: Path) -> None:
        """It found what dead writers left there."""

    def turn_to(self, of: Path, *, start: int, lines: int | None = 0) -> None:
        """It writes this file from there on."""

    def note(self, blobs: Sequence[bytes], *, lines: Lines | None = None) -> None:
        """It has appended these whole lines."""

    def mark(self) -> None:
        """All of them are on the disk."""

    def seal_if_due(self) -> None:
        """Time has passed."""

    def end(self, why: str) -> None:
        """It writes the file no more."""

    def abandon(self) -> None:
        """It leaves the file as it is."""

    def tell(self) -> list[Event]:
        """What went wrong since it was asked last."""


class Unsealed:
    """Hears all of it, and seals nothing."""

    def mend(self, directory: Path) -> None:
        pass

    def turn_to(self, of: Path, *, start: int, lines: int | None = 0) -> None:
        pass

    def note(self, blobs: Sequence[bytes], *, lines: Lines | None = None) -> None:
        pass

    def mark(self) -> None:
        pass

    def seal_if_due(self) -> None:
        pass

    def end(self, why: str) -> None:
        pass

    def abandon(self) -> None:
        pass

    def tell(self) -> list[Event]:
        return []
