"""Contestants to try the contest with: honest, forgetful, broken."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.laps import MARK


def honest(numbers: Iterable[int], directory: Path) -> None:
    """Keeps every event."""
    (directory / "events").write_bytes(_lines(numbers))


def forgetful(numbers: Iterable[int], directory: Path) -> None:
    """Keeps every event but the first."""
    (directory / "events").write_bytes(_lines(numbers).partition(b"\n")[2])


def broken(numbers: Iterable[int], directory: Path) -> None:
    """Ends in the middle."""
    raise OSError("the disk is gone")


def unfed(numbers: Iterable[int], directory: Path) -> None:
    """Wants a package that nobody has."""
    import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def chatty(directory: Path) -> dict[str, float]:
    """Says things besides its figures."""
    print('{"not": "figures"}')
    return {"ms": 1.5}


def _lines(numbers: Iterable[int]) -> bytes:
    return b"".join(MARK + b"%d\n" % number for number in numbers)
