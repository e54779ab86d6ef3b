"""What is open in this process: closed at its end when that was forgotten, told of a fork."""

import atexit
import os
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

__all__ = ["OpenOnes", "Openable"]


class Openable(Protocol):
    """What can be open."""

    @property
    def is_open(self) -> bool: ...


One = TypeVar("One", bound=Openable)


class OpenOnes(Generic[One]):
    """Holds what is open: one nobody else holds still has events to write."""

    def __init__(
        self, *, close: Callable[[One], object], after_fork: Callable[[One], object]
    ) -> None:
        self._ones: list[One] = []
        self._close = close
        self._after_fork = after_fork
        atexit.register(self._close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork_in_child)

    def now(self) -> list[One]:
        """Those open now, oldest first."""
        return [one for one in list(self._ones) if one.is_open]

    def hold(self, one: One) -> None:
        """Hold it until it is let go; holding twice is holding once."""
        if all(each is not one for each in self._ones):
            self._ones.append(one)

    def let_go(self, one: One) -> None:
        self._ones[:] = [each for each in self._ones if each is not one]

    def _close_all(self) -> None:
        """A close that was forgotten: drain at exit."""
        for one in self.now():
            self._close(one)

    def _after_fork_in_child(self) -> None:
        for one in self.now():
            self._after_fork(one)
