"""How a block ended: well, by an error, or because it was cancelled."""

import sys
from typing import Literal

__all__ = ["Outcome", "outcome_of"]

Outcome = Literal["success", "error", "cancelled"]

_ENDS = (GeneratorExit, KeyboardInterrupt, SystemExit)
"""What ends a block from outside, with no loop at work."""


def outcome_of(error: BaseException | None) -> Outcome:
    """Told by the exception that leaves the block; a group is cancelled if all in it is."""
    if error is None:
        return "success"
    if isinstance(error, BaseExceptionGroup):
        outcomes = {outcome_of(each) for each in error.exceptions}
        return "cancelled" if outcomes == {"cancelled"} else "error"
    if isinstance(error, Exception):
        return "error"
    return "cancelled" if isinstance(error, (*_ENDS, *_cancellations())) else "error"


def _cancellations() -> list[type[BaseException]]:
    """What the loops that are loaded cancel with; none is loaded for it."""
    named = (("asyncio", "CancelledError"), ("trio", "Cancelled"))
    loaded = ((sys.modules.get(loop), name) for loop, name in named)
    return [getattr(loop, name) for loop, name in loaded if hasattr(loop, name)]
