"""Long work in short turns: who does it rests between two items, as others want to run."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["Rest", "no_rest", "paced"]

Rest = Callable[[], None]
"""Is called between items, and sleeps for a moment when it is time to."""

_T = TypeVar("_T")


def no_rest() -> None:
    """For whoever has nobody beside it."""


def paced(items: Iterable[_T], rest: Rest) -> Iterator[_T]:
    """The same items, with a chance to rest before each."""
    for item in items:
        rest()
        yield item
