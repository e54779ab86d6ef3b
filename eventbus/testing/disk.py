"""A disk that fails."""

import errno
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from eventbus.disk import Disk

__all__ = ["OPERATIONS", "Crashed", "FaultyDisk"]


WRITES = ("write", "writev")
SHORT = "short"


class Crashed(BaseException):
    """The process would be gone from here on."""


class Fault(msgspec.Struct, frozen=True):
    """Calls that will not go well."""

    operation: str
    nth: int
    error: int | None
    """None: the write is short, or the process gone."""
    is_for_good: bool = False
    is_after: bool = False
    """True when the thing is done all the same."""

    def hits(self, operation: str, count: int) -> bool:
        is_due = count >= self.nth if self.is_for_good else count == self.nth
        is_short = self.operation == SHORT and operation in WRITES
        return is_due and (is_short or self.operation in ("*", operation))


class FaultyDisk(Disk):
    """Fails where it is told to, and remembers in `calls` what it was asked for.

    Operations are called like the methods of `Disk`; `*` means any of them.
    Calls are counted from the moment the fault is set.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        """The operations, in order."""
        self._faults: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._open: set[int] = set()
        self._is_gone = False

    def fail(
        self,
        operation: str = "*",
        nth: int = 1,
        *,
        error: int = errno.EIO,
        for_good: bool = False,
        after: bool = False,
    ) -> None:
        """Let the nth call fail; `after` it was done all the same."""
        nth += self._counts[operation]
        self._faults.append(Fault(operation, nth, error, for_good, after))

    def shorten(self, nth: int = 1, *, for_good: bool = False) -> None:
        """Let the nth write take only half of what it is given."""
        self._faults.append(Fault(SHORT, nth + self._counts[SHORT], None, for_good))

    def crash(self, nth: int = 1, *, after: bool = False) -> None:
        """Let the process be gone at the nth call of any kind, a write half done.

        From then on every call raises `Crashed`; what was open is closed and
        unlocked, as the kernel does it.
        """
        self._faults.append(Fault("*", nth + self._counts["*"], None, True, after))

    def heal(self) -> None:
        """Let everything go well again."""
        self._faults.clear()

    def _do(self, operation: str, args: tuple[Any, ...]) -> Any:
        if self._is_gone:
            raise Crashed(operation)
        self.calls.append(operation)
        self._counts["*"] += 1
        self._counts[operation] += 1
        self._counts[SHORT] += operation in WRITES
        fault = self._fault_for(operation)
        if fault is None:
            return self._really(operation, args)
        if fault.error is not None:
            if fault.is_after or operation == "close":  # a descriptor is closed in any case
                self._really(operation, args)
            raise OSError(fault.error, os.strerror(fault.error))
        if fault.operation == SHORT:
            return self._really(operation, _half(args))
        return self._crash(operation, args, is_after=fault.is_after)

    def _fault_for(self, operation: str) -> Fault | None:
        for fault in self._faults:
            if fault.hits(operation, self._counts[fault.operation]):
                return fault
        return None

    def _really(self, operation: str, args: tuple[Any, ...]) -> Any:
        outcome = getattr(super(), operation)(*args)
        if operation == "open":
            self._open.add(outcome)
        elif operation == "close":
            self._open.discard(args[0])
        return outcome

    def _crash(self, operation: str, args: tuple[Any, ...], *, is_after: bool) -> Any:
        if is_after:
            self._really(operation, args)
        elif operation in WRITES:
            self._really(operation, _half(args))
        self._is_gone = True
        for fd in self._open:
            super().close(fd)
        self._open.clear()
        raise Crashed(operation)


def _half(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a write that takes half."""
    fd, given = args
    whole = b"".join(given) if isinstance(given, list | tuple) else given
    half = memoryview(whole)[: max(1, len(whole) // 2)]
    return fd, half if whole is given else [half]


def _watched(operation: str) -> Callable[..., Any]:
    def call(self: FaultyDisk, *args: Any) -> Any:
        return self._do(operation, args)

    return call


MADE_OF_OTHERS = ("read", "replace", "write_all")
OPERATIONS = tuple(
    name for name in vars(Disk) if not name.startswith("_") and name not in MADE_OF_OTHERS
)
"""What `FaultyDisk` can let fail; the other methods of `Disk` are made of these."""

for _operation in OPERATIONS:
    setattr(FaultyDisk, _operation, _watched(_operation))
